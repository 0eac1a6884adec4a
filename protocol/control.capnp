# SPDX-License-Identifier: Apache-2.0
@0xb7a7e0c0ffee0301;
# Baton's control protocol, version 1. This file is the specification; protocol/messages.h has the same as plain structs.
#
# Carriage. Messages travel in link frames over ZeroMQ (runtime/link/frame.h): a frame names the sender's node and life
# (incarnation), carries a sequence number per link and an acknowledgement, and holds one or more messages {kind, bytes},
# bytes being one of the structs below as a flat Cap'n Proto message. To one life of a peer, messages arrive in order, at
# most once, resent until acknowledged. A new life of a peer starts afresh; frames of an earlier life are dropped (fencing).
#
# Versions. The hello carries the range of protocol versions a process speaks; the coordinator picks the highest common one.
# Fields are only ever added; a field that is absent reads as its default (zero unless given), which means "as in the version before".
#
# Limits. A message is at most 8 MiB. Each text, list and enumeration has its own bound (codec_*.cc); a message beyond one does not
# decode, which is a fault of the peer: it is counted and the link is dropped. Pointer traversal is limited to the message's size.
#
# Epochs. A job is attempted under epoch 1, 2, ...; each dispatch raises it. What a worker says about an older epoch is dropped by
# everybody. One writer per (job, epoch, position).
#
# A job's life:   client          edge            coordinator        prefill           decode
#   ClientSubmit  ------------->  AdmitJob  ------>  |                  |                 |
#   ClientAccepted <------------  <-- JobAdmitted ---|                  |                 |
#                                 <-- JobPlaced -----|-- StartPrefill ->|                 |
#                                                    |-- StartDecode ------------------->  |  reserves blocks
#                                                    |                  |<---- Grant ------|
#   ClientTokens  <------------   <------------------------ TokenBatch -|  (first token)   |
#                                                    |                  |== KV over UCX ==>|
#                                                    |                  |-- KvHandoff ---->|  verifies digests
#                                                    |                  |<- TransferResult-|
#   ClientTokens  <------------   <------------------------------------------ TokenBatch --|  (the rest)
#   ClientDone    <------------   (finish)           |<-- TokenBatch{released} from both --|
#
# Durations are nanoseconds and relative: no clock reading ever crosses the wire.

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("baton::wire");

# ---- Common parts ----------------------------------------------------------------------------------------

struct ActorRef {
  # The address of an actor: process, life of it, slot, tenant of the slot. Incarnation 0 only in first contact.
  node @0 :UInt64;
  incarnation @1 :UInt64;
  slot @2 :UInt32;
  generation @3 :UInt32;
}

struct TransferId {
  # 128 random bits that name one transfer. Whoever holds them, and is the peer the receiver named, may push into it.
  high @0 :UInt64;
  low @1 :UInt64;
}

struct KvGeometry {
  # Shape of a KV group's pool: [block][kv_head][layer][K|V][token][head_dim]. Equal on both ends or the pair is refused.
  group @0 :UInt32;
  layers @1 :UInt32;
  kvHeads @2 :UInt32;
  headDim @3 :UInt32;
  blockTokens @4 :UInt32;
  dtype @5 :UInt8;
}

struct TokenBias {
  token @0 :Int32;
  bias @1 :Float32;
}

struct SamplingParams {
  # Everything besides prompt and emitted ids that a token depends on. temperature 0 is greedy; top_k 0, top_p 1, min_p 0 are off,
  # so are repetition_penalty 1 and the other penalties at 0. The draw at a position is keyed by (seed, position, choice), so any
  # worker can continue a stream. logprobs and promptLogprobs: 0 none, else one more than the number of likeliest tokens beside each.
  temperature @0 :Float32;
  topK @1 :UInt32;
  topP @2 :Float32;
  minP @3 :Float32;
  seed @4 :UInt64;
  maxTokens @5 :UInt32;
  ignoreEos @6 :Bool;
  repetitionPenalty @7 :Float32 = 1;
  presencePenalty @8 :Float32;
  frequencyPenalty @9 :Float32;
  minTokens @10 :UInt32;
  choice @11 :UInt32;
  logprobs @12 :UInt8;
  promptLogprobs @13 :UInt8;
  logitBias @14 :List(TokenBias);
  stopTokenIds @15 :List(Int32);
  badWords @16 :List(List(Int32));
}

struct TokenLogprob {
  # A natural logarithm of a probability under the model's unmodified distribution.
  token @0 :Int32;
  logprob @1 :Float32;
}

# ---- Membership ------------------------------------------------------------------------------------------

struct WorkerHello {  # kind 1
  # Worker -> coordinator, first message of every life of a worker. Answered by JoinAccepted or JoinRefused. Idempotent.
  # Refused when the protocol ranges do not meet, or when model, geometry or numerics differ from those of the workers already in:
  # a worker of another model would return wrong tokens with a success status.
  protocolMin @0 :UInt32;
  protocolMax @1 :UInt32;
  name @2 :Text;
  pool @3 :Text;
  role @4 :UInt8;
  pid @5 :UInt32;
  controlAddress @6 :Text;
  dataAddress @7 :Data;
  modelHash @8 :UInt64;
  modelName @9 :Text;
  geometry @10 :KvGeometry;
  numericsFingerprint @11 :UInt64;
  vocabSize @12 :UInt32;
  maxModelLen @13 :UInt32;
  blocksTotal @14 :UInt32;
  maxNumSeqs @15 :UInt32;
  maxNumBatchedTokens @16 :UInt32;
}

struct EdgeHello {  # kind 2
  # Edge -> coordinator, first message. The model hash proves that both count tokens of one vocabulary; 0 while no model is known.
  protocolMin @0 :UInt32;
  protocolMax @1 :UInt32;
  name @2 :Text;
  controlAddress @3 :Text;
  modelHash @4 :UInt64;
}

struct JoinAccepted {  # kind 3
  # Coordinator -> worker or edge. From now on Heartbeat is due every interval; `miss` silent intervals mean death to either side.
  protocol @0 :UInt32;
  heartbeatIntervalNs @1 :UInt64;
  heartbeatMiss @2 :UInt32;
}

struct JoinRefused {  # kind 4
  # Coordinator -> worker or edge. Final: the process logs the reason and exits non-zero.
  code @0 :UInt16;
  message @1 :Text;
}

struct PeerCard {
  # How to reach one member: control address for messages, data address for KV (empty for edges).
  actor @0 :ActorRef;
  name @1 :Text;
  controlAddress @2 :Text;
  dataAddress @3 :Data;
}

struct PeersJoined {  # kind 5
  # Coordinator -> workers and edges: after each join, the newcomers to the old members and everybody to the newcomer. Always sent
  # before the first message that names a peer on it (links keep order).
  peers @0 :List(PeerCard);
}

struct PeerLeft {  # kind 6
  # Coordinator -> workers and edges: this life of a member is over. Fence it, end what depends on it.
  actor @0 :ActorRef;
  reason @1 :Text;
}

struct LinkTraffic {
  # What one worker has pushed to another since it began. A transfer is one push of blocks; busyNs is the time with at least one under
  # way, latencyNs the sum of each one's own.
  peer @0 :Text;
  transport @1 :Text;
  transfers @2 :UInt64;
  failures @3 :UInt64;
  bytes @4 :UInt64;
  busyNs @5 :UInt64;
  latencyNs @6 :UInt64;
}

struct Heartbeat {  # kind 7
  # Worker -> coordinator every interval, from the loop (never held up by a step). `progress` counts finished engine steps: running > 0
  # with progress standing still is alive but stuck.
  progress @0 :UInt64;
  running @1 :UInt32;
  waiting @2 :UInt32;
  blocksFree @3 :UInt32;
  kvBytesSent @4 :UInt64;
  kvBytesReceived @5 :UInt64;
  promptTokensComputed @6 :UInt64;
  tokensGenerated @7 :UInt64;
  # blocksFree counts free and cached blocks. Tokens looked up in the prefix cache and found there, and sequences that gave their
  # blocks to an older one, since the worker began.
  prefixCacheQueries @8 :UInt64;
  prefixCacheHits @9 :UInt64;
  numPreemptions @10 :UInt64;
  # Totals of the peers with news since the last heartbeat, at most 16; the others' come with the next ones.
  traffic @11 :List(LinkTraffic);
}

struct HeartbeatAck {  # kind 8
  # Coordinator -> worker. Its absence for the same time makes the worker give up its jobs and exit: a coordinator that cannot hear
  # us has given our jobs away.
}

struct Alive {  # kind 11
  # Edge -> coordinator, client -> edge, a few times a second: here I am. Not answered. Whoever has died has a next life that does not know
  # the sender's link and says so; a sender that only waits would never learn of it.
}

struct RoleChange {  # kind 9
  # Coordinator -> worker: what it says it is from now on. Sequences of any kind go on where they are; what the coordinator sends it
  # follows the role.
  role @0 :UInt8;
}

struct WorkerLeaving {  # kind 10
  # Worker -> coordinator: its process was asked to end. It gets no new jobs, those it has move away, and it ends when it has none.
}

# ---- A job inside the cluster ----------------------------------------------------------------------------

struct AdmitJob {  # kind 16
  # Edge -> coordinator. Answered by JobAdmitted or JobFailed{epoch 0}. The edge owns the id (random 64 bits). Repeating it is harmless.
  job @0 :UInt64;
  prompt @1 :List(Int32);
  sampling @2 :SamplingParams;
  seedGiven @3 :Bool;
  timeLimitNs @4 :UInt64;
  cacheSalt @5 :Text;
  client @6 :Data;  # the edge's own: comes back with AdoptJob to a later life of it; empty: the job ends with the edge
}

struct JobAdmitted {  # kind 17
  # Coordinator -> edge. The job will end: finished, cancelled or a typed error, within its time limit. `seed` is drawn here if none was given.
  job @0 :UInt64;
  seed @1 :UInt64;
}

struct JobPlaced {  # kind 18
  # Coordinator -> edge at each dispatch. Tokens of older epochs are no longer accepted.
  job @0 :UInt64;
  epoch @1 :UInt32;
  prefillWorker @2 :Text;
  decodeWorker @3 :Text;
}

struct JobFailed {  # kind 19
  # Worker -> coordinator: this attempt is over. Coordinator -> edge: the job is over. Terminal on that link; repeats are ignored.
  job @0 :UInt64;
  epoch @1 :UInt32;
  code @2 :UInt16;
  message @3 :Text;
  retryAfterNs @4 :UInt64;  # of a refusal: when it may be otherwise; 0: nobody knows
}

struct CancelJob {  # kind 20
  # Edge -> coordinator -> workers. May overtake or follow anything: workers keep a tombstone, so that a later Grant or KvHandoff of the
  # same epoch is refused. Idempotent.
  job @0 :UInt64;
  epoch @1 :UInt32;
}

struct StartPrefill {  # kind 21
  # Coordinator -> prefill worker. `decode` invalid: the worker keeps the sequence and decodes too. Followed by TokenBatch with index 0
  # to edge and coordinator, and by KvHandoff once the decode worker's Grant is there. Refused (JobFailed) when it can never fit.
  job @0 :UInt64;
  epoch @1 :UInt32;
  edge @2 :ActorRef;
  decode @3 :ActorRef;
  prompt @4 :List(Int32);
  sampling @5 :SamplingParams;
  cacheSalt @6 :Text;  # KV is shared only between jobs of equal salts
  # Ids that earlier attempts have generated: the job goes on behind them, at position len(emitted). They count as generated, not as
  # prompt, for penalties, minimum and maximum length, and are not sent again.
  emitted @7 :List(Int32);
  # A fetch: nothing is drawn and nobody is told. The worker pushes those whole blocks of `prompt` that its prefix cache has to
  # `decode`, which asks for them with a Grant like any other; the last KvHandoff comes with as many handles as there were.
  fetch @8 :Bool;
}

struct StartDecode {  # kind 22
  # Coordinator -> decode worker, at the same time. The worker reserves blocks for the prompt and sends a Grant to `prefill`; with no
  # room it waits. Not sent for jobs of one token.
  job @0 :UInt64;
  epoch @1 :UInt32;
  edge @2 :ActorRef;
  prefill @3 :ActorRef;
  prompt @4 :List(Int32);
  sampling @5 :SamplingParams;
  cacheSalt @6 :Text;
  emitted @7 :List(Int32);  # the KV of these is asked for too, but for the last one's
  fetch @8 :Bool;           # what comes is put into the prefix cache, and PrefixFetched says how much
}

struct TokenItem {
  # One generated token: index 0 is the first after the prompt. Never withdrawn; repeated only with equal content. logprob and the
  # likeliest tokens are 0 and none where the job asked for neither.
  job @0 :UInt64;
  epoch @1 :UInt32;
  index @2 :UInt32;
  token @3 :Int32;
  logprob @4 :Float32;
  top @5 :List(TokenLogprob);
}

struct JobFinish {
  # The attempt produced its last token; `tokens` in all. The edge is done when that many positions have arrived, by whatever way.
  job @0 :UInt64;
  epoch @1 :UInt32;
  reason @2 :UInt8;
  tokens @3 :UInt32;
  kvBytesMoved @4 :UInt64;
  transport @5 :Text;
  preemptions @6 :UInt32;  # times that this worker took the job's blocks for an older one
}

struct JobRelease {
  # The worker holds no block, lease, grant or sequence of this attempt any more.
  job @0 :UInt64;
  epoch @1 :UInt32;
}

struct TokenTiming {
  # Where the time before a job's first two tokens went on the worker that drew them, as durations of its own clock. Index 0: waitingNs
  # from the job's arrival to its first step, computingNs from there to the token; cachedTokens of the prompt were in the prefix
  # cache. Index 1: computingNs since token 0 and its KV were here, transferNs from the first sign of the hand-over to its end;
  # missed: it did not come and the prompt was computed here.
  job @0 :UInt64;
  epoch @1 :UInt32;
  index @2 :UInt32;
  waitingNs @3 :UInt64;
  computingNs @4 :UInt64;
  transferNs @5 :UInt64;
  cachedTokens @6 :UInt32;
  missed @7 :Bool;
  preemptions @8 :UInt32;  # until now, on this worker
}

struct TokenBatch {  # kind 23
  # Worker -> each edge (its jobs) and the coordinator (all), one per engine step: never one message per token and request.
  # `prompt`, to edges only, is what sampling.promptLogprobs asks for: index is the position in the prompt, from 1 on in rising
  # order from whoever computes the prompt, ahead of the first token. Large ones are cut into several messages. `timings`, to edges
  # only, come with the token they are of; the first that comes for a token counts.
  tokens @0 :List(TokenItem);
  finished @1 :List(JobFinish);
  released @2 :List(JobRelease);
  prompt @3 :List(TokenItem);
  timings @4 :List(TokenTiming);
}

struct RelayedBatch {  # kind 28
  # Worker -> coordinator: the link between this life of the worker and that of the edge is given up, and lives never speak again. What the
  # edge is to get goes this way from now on. The first one is empty: the coordinator sends what it has had of the worker's jobs
  # itself, since it may not have arrived.
  edge @0 :ActorRef;
  batch @1 :TokenBatch;
}

struct HeldJob {
  # One attempt as a worker has it. kind: 0 whole, 1 a prefill half, 2 a decode half. finished: it ended while no coordinator was there.
  job @0 :UInt64;
  epoch @1 :UInt32;
  kind @2 :UInt8;
  tokens @3 :List(Int32);
  finished @4 :Bool;
  finish @5 :JobFinish;
}

struct JobReport {  # kind 12
  # Worker -> coordinator, after JoinAccepted by another life than the one that gave it its jobs: what it goes on with. What the new one
  # does not know it cancels.
  jobs @0 :List(HeldJob);
}

struct OpenStream {
  # Tokens of attempts before `epoch` are not accepted any more.
  job @0 :UInt64;
  epoch @1 :UInt32;
}

struct EdgeReport {  # kind 13
  # Edge -> coordinator, after JoinAccepted by another life, behind the AdmitJobs that were not answered: the streams that are open. Jobs of
  # this edge that are not in it have ended.
  streams @0 :List(OpenStream);
  last @1 :Bool;
}

struct AdoptJob {  # kind 29
  # Coordinator -> a new life of an edge: a job of an earlier one. The edge keeps its answer, as a detached job's, until its client attaches.
  job @0 :UInt64;
  prompt @1 :List(Int32);
  sampling @2 :SamplingParams;
  client @3 :Data;
}

struct JobRecord {  # kind 96
  # Never sent: a job in the coordinator's journal.
  admit @0 :AdmitJob;
  edge @1 :UInt64;
  edgeLife @2 :UInt64;
  order @3 :UInt64;
}

struct JobClosed {  # kind 24
  # Edge -> coordinator: the client has its terminal. Until then the coordinator keeps the job and its tokens: a worker may die between
  # the batch that reached the coordinator and the same batch to the edge.
  job @0 :UInt64;
}

struct ResumeQuery {  # kind 26
  # Coordinator -> edge: the job's attempt is over, the next one will have this epoch; what comes under older ones is no longer accepted.
  # Answered by ResumePoint. So the next attempt begins behind what the client has, whatever the coordinator had heard of.
  job @0 :UInt64;
  epoch @1 :UInt32;
}

struct ResumePoint {  # kind 27
  # Edge -> coordinator: the stream's ids from position 0 on, without a gap, delivered or about to be.
  job @0 :UInt64;
  epoch @1 :UInt32;
  tokens @2 :List(Int32);
  promptDue @3 :Bool;  # log-probabilities of the prompt have not all come: the next attempt begins at the beginning
}

struct JobAttempt {
  # A dispatch: so long after the submission.
  epoch @0 :UInt32;
  placedNs @1 :UInt64;
  prefillWorker @2 :Text;
  decodeWorker @3 :Text;
}

struct JobTimeline {
  # Where a submission's time went, by its edge's clock. queue (to the first placement) + prefill (to the first token) is TTFT. Between
  # the first and the second token lie transfer and firstStep: firstStep is the decode worker's own count, transfer the rest of
  # it; both are 0 where the worker did not say. decode is what remains. The five add up to the total exactly. waiting and computing
  # are inside prefill, kv is the whole hand-over, hidden under prefill or not; these three are workers' counts.
  # state: 0 queued, 1 prefill, 2 decode, 3 done, 4 failed. A job that goes on: what is known by now.
  state @0 :UInt8;
  reason @1 :UInt8;
  error @2 :Text;
  promptTokens @3 :UInt32;
  cachedTokens @4 :UInt32;
  completionTokens @5 :UInt32;
  queueNs @6 :UInt64;
  prefillNs @7 :UInt64;
  transferNs @8 :UInt64;
  firstStepNs @9 :UInt64;
  decodeNs @10 :UInt64;
  waitingNs @11 :UInt64;
  computingNs @12 :UInt64;
  kvNs @13 :UInt64;
  apart @14 :Bool;
  missed @15 :Bool;
  attempts @16 :List(JobAttempt);
  preemptions @17 :UInt32;  # on the worker that drew the first token, and the one that ended it
}

struct JobEnded {  # kind 25
  # Edge -> coordinator: a submission has ended. The coordinator remembers the latest ones, for TraceRequest.
  id @0 :Text;
  timeline @1 :JobTimeline;
}

# ---- KV --------------------------------------------------------------------------------------------------

struct KvHandle {
  # Names the content of one block at its source. `digest` is the 64-bit sum over the rows of the first `tokens` slots of
  # XXH3(row, seed = mix(plane, position)); the receiver recomputes it from what landed. Any difference is a miss, never data.
  worker @0 :UInt64;
  incarnation @1 :UInt64;
  group @2 :UInt32;
  block @3 :UInt32;
  generation @4 :UInt32;
  tokens @5 :UInt32;
  digest @6 :UInt64;
}

struct Grant {  # kind 32
  # Decode -> prefill: these blocks of mine, in logical order from `firstBlock` to the prompt's last, await the prompt's KV, for so long;
  # what comes before is here already. Prefill may merge neighbours that are neighbours on both sides. Refused by a tombstone with
  # nothing sent: the time limit frees the blocks.
  transfer @0 :TransferId;
  job @1 :UInt64;
  epoch @2 :UInt32;
  group @3 :UInt32;
  blocks @4 :List(UInt32);
  timeLimitNs @5 :UInt64;
  firstBlock @6 :UInt32;
}

struct KvHandoff {  # kind 33
  # Prefill -> decode, after each push: what the bytes on the data plane are. Bytes and handles may arrive in either order. The last one
  # carries the first token; decode emits it again, in case prefill dies with its own batch undelivered.
  transfer @0 :TransferId;
  job @1 :UInt64;
  epoch @2 :UInt32;
  firstBlock @3 :UInt32;
  handles @4 :List(KvHandle);
  last @5 :Bool;
  firstToken @6 :Int32;
  firstLogprob @7 :Float32;
  firstTop @8 :List(TokenLogprob);
}

struct TransferResult {  # kind 34
  # Decode -> prefill: verified or not; either way the source lease ends. The only proof of delivery there is. Prefill -> decode, never ok:
  # a push failed, nothing more will come.
  transfer @0 :TransferId;
  job @1 :UInt64;
  epoch @2 :UInt32;
  ok @3 :Bool;
  reason @4 :Text;
}

struct PrefixFetched {  # kind 35
  # Worker -> coordinator: a fetch has ended. `tokens` of its prompt, whole blocks, are in this worker's prefix cache now.
  job @0 :UInt64;
  epoch @1 :UInt32;
  tokens @2 :UInt32;
  reason @3 :Text;  # why not all
}

# ---- Clients of the jobs socket --------------------------------------------------------------------------

struct ClientSubmit {  # kind 64
  # Client -> edge. Answered by ClientAccepted then ClientTokens and one ClientDone, or by ClientError, all with the client's tag.
  # n answers (0 is 1) are n jobs of one seed, choices 0 to n-1; each ends with a ClientChoiceDone, all together with the terminal.
  # stop: texts that end a choice. badWords: texts that are not generated; the edge makes them sampling.badWords, which is empty here.
  tag @0 :UInt64;
  id @1 :Text;
  prompt @2 :Text;
  promptIds @3 :List(Int32);
  sampling @4 :SamplingParams;
  seedGiven @5 :Bool;
  maxTokensGiven @6 :Bool;
  timeLimitNs @7 :UInt64;
  n @8 :UInt32;
  stop @9 :List(Text);
  includeStop @10 :Bool;
  badWords @11 :List(Text);
  cacheSalt @12 :Text;  # at most 128 bytes; empty: shared with all who give none
  detached @13 :Bool;   # the job goes on when the client has gone; see ClientAttach
}

struct ClientAccepted {  # kind 65
  # Edge -> client: admitted under this id.
  tag @0 :UInt64;
  id @1 :Text;
  promptTokens @2 :UInt32;
  seed @3 :UInt64;
}

struct ClientLogprob {
  # One of the likeliest tokens at a position. Text is the token's own bytes, which need not be UTF-8.
  token @0 :Int32;
  logprob @1 :Float32;
  text @2 :Data;
}

struct ClientToken {
  # Text is whole UTF-8 characters; a token that completes none has an empty text, so has one whose text may yet turn out to
  # begin a stop string. Of a prompt token, text is its own bytes.
  index @0 :UInt32;
  token @1 :Int32;
  text @2 :Data;
  logprob @3 :Float32;
  top @4 :List(ClientLogprob);
}

struct ClientTokens {  # kind 66
  # Edge -> client: positions of one choice in order, each once. `prompt`: positions of the prompt from 1 on, in order, before any token.
  tag @0 :UInt64;
  tokens @1 :List(ClientToken);
  choice @2 :UInt32;
  prompt @3 :List(ClientToken);
}

struct ClientDone {  # kind 67
  # Edge -> client: terminal. Of one choice: how it ended, see ClientChoiceDone. Of several: the tokens of all, no tail, and reason
  # length if one was cut short.
  tag @0 :UInt64;
  reason @1 :UInt8;
  tail @2 :Data;
  promptTokens @3 :UInt32;
  completionTokens @4 :UInt32;
  queueNs @5 :UInt64;
  ttftNs @6 :UInt64;
  totalNs @7 :UInt64;
  prefillWorker @8 :Text;
  decodeWorker @9 :Text;
  kvBytesMoved @10 :UInt64;
  transport @11 :Text;
  stop @12 :Text;
  stopToken @13 :Int32 = -1;
  kvBytesKnown @14 :Bool;
  timeline @15 :JobTimeline;
}

struct ClientError {  # kind 68
  # Edge -> client: terminal. retryAfterNs: see JobFailed.
  tag @0 :UInt64;
  code @1 :UInt16;
  message @2 :Text;
  retryAfterNs @3 :UInt64;
}

struct ClientCancel {  # kind 69
  # Client -> edge: cancel the job of that id, whoever submitted it.
  tag @0 :UInt64;
  id @1 :Text;
}

struct ClientCancelled {  # kind 70
  # Edge -> client.
  tag @0 :UInt64;
  found @1 :Bool;
}

struct StatusRequest {  # kind 71
  # Client -> edge -> coordinator. traffic: with that of each pair of workers.
  tag @0 :UInt64;
  traffic @1 :Bool;
}

struct WorkerStatus {
  # One worker as the coordinator sees it.
  name @0 :Text;
  pool @1 :Text;
  role @2 :UInt8;
  state @3 :UInt8;
  pid @4 :UInt32;
  last @5 :Heartbeat;
  blocksTotal @6 :UInt32;
  traffic @7 :List(LinkTraffic);
}

struct AdmissionStatus {
  # Jobs since the coordinator began: admitted; refused because their first token would have come too late, or because the queue was full;
  # out of time before a worker had them. Attempts that were lost: made again, or not because the retry budget was spent. Then what
  # waits now, and for how long a job that came now would wait for it; 0: nothing is ahead, or nothing is known.
  admitted @0 :UInt64;
  refusedPredicted @1 :UInt64;
  refusedFull @2 :UInt64;
  expired @3 :UInt64;
  resumed @4 :UInt64;
  outOfRetries @5 :UInt64;
  queued @6 :UInt32;
  queuedTokens @7 :UInt64;
  waitNs @8 :UInt64;
}

struct StatusReport {  # kind 72
  # Coordinator -> edge -> client.
  tag @0 :UInt64;
  name @1 :Text;
  coordinatorPid @2 :UInt32;
  jobs @3 :UInt32;
  modelName @4 :Text;
  maxModelLen @5 :UInt32;
  blockTokens @6 :UInt32;
  workers @7 :List(WorkerStatus);
  trafficLeftOut @8 :UInt32;  # pairs beyond the 8192 that a report carries
  admission @9 :AdmissionStatus;
}

struct FsckRequest {  # kind 73
  # Client -> edge -> coordinator -> workers.
  tag @0 :UInt64;
}

struct FsckAccount {
  # A worker's block accounts: free + cached + held + leased + quarantined = total, or `problems` says what is wrong.
  worker @0 :Text;
  blocksTotal @1 :UInt32;
  free @2 :UInt32;
  held @3 :UInt32;
  leased @4 :UInt32;
  quarantined @5 :UInt32;
  sequences @6 :UInt32;
  transfers @7 :UInt32;
  problems @8 :List(Text);
  cached @9 :UInt32;
}

struct FsckReport {  # kind 74
  # Workers -> coordinator (one account each), coordinator -> edge -> client (all; not complete if one stayed silent).
  tag @0 :UInt64;
  complete @1 :Bool;
  accounts @2 :List(FsckAccount);
}

struct ClientChoiceDone {  # kind 75
  # Edge -> client, where n is above 1: a choice has ended; nothing more of it follows. tail: text held back until now. stop: the stop
  # string that ended it; stopToken: the one of stop_token_ids that did, -1 if none. An end-of-sequence id leaves both empty.
  tag @0 :UInt64;
  choice @1 :UInt32;
  reason @2 :UInt8;
  tail @3 :Data;
  completionTokens @4 :UInt32;
  stop @5 :Text;
  stopToken @6 :Int32 = -1;
}

struct TraceRequest {  # kind 76
  # Client -> edge: where that job's time went. An edge that does not have it asks the coordinator, which knows those that have ended
  # and asks the other edges for the rest.
  tag @0 :UInt64;
  id @1 :Text;
}

struct TraceReport {  # kind 77
  # Edge -> coordinator -> edge -> client. Not found: nobody knows the id, or an edge stayed silent.
  tag @0 :UInt64;
  found @1 :Bool;
  timeline @2 :JobTimeline;
}

struct ClusterEvent {
  # kind: 0 the coordinator started, 1 a member joined, 2 an edge left, 3 a worker was lost, 4 one was refused, 5 jobs were placed again,
  # 6 the cluster is being stopped or a worker drained, 7 a worker has no job any more, 8 a worker has another role, 9 a job was refused because
  # workers died of it, 10 jobs were found in the journal, or it can be written again, 11 it cannot, 12 jobs are refused or expire because there are too
  # many, 13 they are not any more, 14 lost attempts are not made again because the retry budget is spent. seq counts from 1 in each
  # life of the coordinator.
  seq @0 :UInt64;
  kind @1 :UInt8;
  ageNs @2 :UInt64;
  subject @3 :Text;
  detail @4 :Text;
}

struct EventsRequest {  # kind 78
  # Client -> edge -> coordinator: what happened after event number `after`.
  tag @0 :UInt64;
  after @1 :UInt64;
}

struct EventsReport {  # kind 79
  # Coordinator -> edge -> client: the oldest 256 at most of those; `last` is the number of the latest there is. `missed` have been
  # forgotten. Another `life` is another coordinator, which counts anew.
  tag @0 :UInt64;
  life @1 :UInt64;
  last @2 :UInt64;
  missed @3 :UInt64;
  events @4 :List(ClusterEvent);
}

struct ClientAttach {  # kind 80
  # Client -> edge: from now on this client gets the answer of that detached job, from token `from` on. Answered as a ClientSubmit
  # is, by ClientAccepted and so on, or by a ClientError of code not_found where the job, or that token of it, is not kept any more.
  # Whoever was attached before is told with a ClientError of code cancelled. A job is kept for some minutes after its end.
  tag @0 :UInt64;
  id @1 :Text;
  from @2 :UInt32;
}

struct ClusterCommand {  # kind 81
  # Client -> edge -> coordinator: changes the cluster while it serves. action: 0 drain `worker` (its jobs move away, it gets no new ones),
  # 1 take that back, 2 make it `role`, 3 its process `pid` has ended (said by its supervisor, who knows sooner than heartbeats).
  tag @0 :UInt64;
  action @1 :UInt8;
  worker @2 :Text;
  role @3 :UInt8;
  pid @4 :UInt32;
  detail @5 :Text;
  crashed @6 :Bool;  # it did not exit of its own will: its jobs may be the cause
  key @7 :Text;      # action 3: the supervisor's, which any client of this socket could claim to be
}

struct ClusterCommandDone {  # kind 82
  # Coordinator -> edge -> client. A drain is answered when the worker has no job any more.
  tag @0 :UInt64;
  ok @1 :Bool;
  code @2 :UInt16;
  message @3 :Text;
}
