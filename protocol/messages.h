// SPDX-License-Identifier: Apache-2.0
// The control protocol's messages as plain structs; control.capnp says in prose who sends which, when, and what may follow.
// encode/decode are in codec.h. Every decoded message has passed the codec's size and range checks.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kernels/kv_geometry.h"
#include "protocol/sampling_params.h"
#include "protocol/status_figures.h"
#include "runtime/actor/actor_ref.h"
#include "runtime/base/result.h"

namespace baton {

using JobId = Id<struct JobIdTag, std::uint64_t>;
using Epoch = std::uint32_t;  // attempt number of a job; a worker's output under an old epoch is dropped

inline constexpr std::uint32_t kProtocolMin = 1;
inline constexpr std::uint32_t kProtocolMax = 1;

enum class Role : std::uint8_t { kPrefill = 0, kDecode = 1, kBoth = 2 };
// kDraining: gets no new jobs, those it has move away. kDrained: they have.
enum class WorkerState : std::uint8_t { kJoining = 0, kReady = 1, kDraining = 2, kLost = 3, kDrained = 4 };

// ---- membership -------------------------------------------------------------------------------------------------

struct WorkerHello {
  static constexpr std::uint16_t kKind = 1;
  std::uint32_t protocol_min = kProtocolMin;
  std::uint32_t protocol_max = kProtocolMax;
  std::string name;  // "prefill-0"
  std::string pool;
  Role role = Role::kBoth;
  std::uint32_t pid = 0;
  std::string control_address;  // where peers dial this worker
  std::string data_address;     // opaque, of its data plane
  std::uint64_t model_hash = 0;
  std::string model_name;
  KvGeometry geometry;
  std::uint64_t numerics_fingerprint = 0;
  std::uint32_t vocab_size = 0;
  std::uint32_t max_model_len = 0;
  std::uint32_t blocks_total = 0;
  std::uint32_t max_num_seqs = 0;
  std::uint32_t max_num_batched_tokens = 0;
};
struct EdgeHello {
  static constexpr std::uint16_t kKind = 2;
  std::uint32_t protocol_min = kProtocolMin;
  std::uint32_t protocol_max = kProtocolMax;
  std::string name;
  std::string control_address;
  std::uint64_t model_hash = 0;  // of the model whose tokenizer it uses
};
struct JoinAccepted {
  static constexpr std::uint16_t kKind = 3;
  std::uint32_t protocol = kProtocolMax;
  std::uint64_t heartbeat_interval_ns = 0;
  std::uint32_t heartbeat_miss = 0;
};
struct JoinRefused {
  static constexpr std::uint16_t kKind = 4;
  ErrorCode code = ErrorCode::kIncompatible;
  std::string message;
};
struct PeerCard {
  ActorRef actor;
  std::string name;
  std::string control_address;
  std::string data_address;  // empty for edges
};
struct PeersJoined {
  static constexpr std::uint16_t kKind = 5;
  std::vector<PeerCard> peers;
};
struct PeerLeft {
  static constexpr std::uint16_t kKind = 6;
  ActorRef actor;
  std::string reason;
};
struct Heartbeat {
  static constexpr std::uint16_t kKind = 7;
  std::uint64_t progress = 0;  // engine steps finished; alive but stuck is seen by it standing still
  std::uint32_t running = 0;
  std::uint32_t waiting = 0;
  std::uint32_t blocks_free = 0;  // free or cached
  std::uint64_t kv_bytes_sent = 0;
  std::uint64_t kv_bytes_received = 0;
  std::uint64_t prompt_tokens_computed = 0;
  std::uint64_t tokens_generated = 0;
  std::uint64_t prefix_cache_queries = 0;  // tokens looked up
  std::uint64_t prefix_cache_hits = 0;     // tokens found
  std::uint64_t num_preemptions = 0;
  std::vector<LinkTraffic> traffic = {};  // of the peers with news since the last heartbeat, at most kTrafficPerHeartbeat
};
struct HeartbeatAck {
  static constexpr std::uint16_t kKind = 8;
};
// Edge -> coordinator, client -> edge: here I am. Not answered; a link that lasts says so by itself, and the next life of whoever died
// refuses it: one who only waits would not notice.
struct Alive {
  static constexpr std::uint16_t kKind = 11;
};
// Coordinator -> worker: what it is from now on. Its sequences go on where they are.
struct RoleChange {
  static constexpr std::uint16_t kKind = 9;
  Role role = Role::kBoth;
};
// Worker -> coordinator: it was asked to end and will, once its jobs are elsewhere.
struct WorkerLeaving {
  static constexpr std::uint16_t kKind = 10;
};

enum class HeldKind : std::uint8_t { kWhole = 0, kPrefillHalf = 1, kDecodeHalf = 2 };

// ---- a job, inside the cluster -----------------------------------------------------------------------------------

struct AdmitJob {
  static constexpr std::uint16_t kKind = 16;
  JobId job;
  std::vector<TokenId> prompt;
  SamplingParams sampling;
  bool seed_given = false;
  std::uint64_t time_limit_ns = 0;
  std::string cache_salt;
  std::string client = {};  // the edge's own: what a later life of it needs to go on; empty: the job ends with the edge
};
struct JobAdmitted {
  static constexpr std::uint16_t kKind = 17;
  JobId job;
  std::uint64_t seed = 0;
};
// Placed on workers: names for the client's summary. Sent at each (re)dispatch.
struct JobPlaced {
  static constexpr std::uint16_t kKind = 18;
  JobId job;
  Epoch epoch = 0;
  std::string prefill_worker;
  std::string decode_worker;
};
struct JobFailed {
  static constexpr std::uint16_t kKind = 19;
  JobId job;
  Epoch epoch = 0;  // 0: not tied to an attempt
  ErrorCode code = ErrorCode::kInternal;
  std::string message;
  std::uint64_t retry_after_ns = 0;  // a refusal's: when it may be otherwise; 0: nobody knows
};
struct CancelJob {
  static constexpr std::uint16_t kKind = 20;
  JobId job;
  Epoch epoch = 0;  // workers drop the job up to and including this epoch and leave a tombstone
};
struct StartPrefill {
  static constexpr std::uint16_t kKind = 21;
  JobId job;
  Epoch epoch = 0;
  ActorRef edge;
  ActorRef decode;  // invalid: decode here too (role both), or nothing follows the first token
  std::vector<TokenId> prompt;
  SamplingParams sampling;
  std::string cache_salt;  // KV is shared only between jobs of equal salts
  std::vector<TokenId> emitted = {};  // what earlier attempts have generated: the job goes on behind it
  bool fetch = false;                 // only the KV of `prompt`, whole blocks, as far as the source has it cached; nothing is drawn
};
struct StartDecode {
  static constexpr std::uint16_t kKind = 22;
  JobId job;
  Epoch epoch = 0;
  ActorRef edge;
  ActorRef prefill;
  std::vector<TokenId> prompt;
  SamplingParams sampling;
  std::string cache_salt;
  std::vector<TokenId> emitted = {};  // what earlier attempts have generated: the job goes on behind it
  bool fetch = false;                 // only the KV of `prompt`, whole blocks, as far as the source has it cached; nothing is drawn
};

struct TokenItem {
  JobId job;
  Epoch epoch = 0;
  std::uint32_t index = 0;  // 0 for the first generated token
  TokenId token = 0;
  float logprob = 0.0F;                // 0 where the job did not ask
  std::vector<TokenLogprob> top = {};  // the likeliest tokens there, as many as asked for
};
struct JobFinish {
  JobId job;
  Epoch epoch = 0;
  FinishReason reason = FinishReason::kNone;
  std::uint32_t tokens = 0;  // generated in all; the stream is complete once that many positions arrived
  std::uint64_t kv_bytes_moved = 0;
  std::string transport;  // empty: no transfer
  std::uint32_t preemptions = 0;  // times that this worker took the job's blocks for an older one
};
struct JobRelease {
  JobId job;
  Epoch epoch = 0;
};
// Where the time before a job's first two tokens went on the worker that drew them; at most two per attempt and worker.
struct TokenTiming {
  JobId job;
  Epoch epoch = 0;
  std::uint32_t index = 0;         // 0 or 1: which token
  std::uint64_t waiting_ns = 0;    // 0: from the job's arrival to its first step
  std::uint64_t computing_ns = 0;  // 0: from there to the token; 1: from the moment that token 0 and its KV were here
  std::uint64_t transfer_ns = 0;   // 1: from the first sign of the hand-over to its end; 0: there was none
  std::uint32_t cached_tokens = 0; // 0: of the prompt, found in the prefix cache
  bool missed = false;             // 1: the KV did not come, the prompt was computed here
  std::uint32_t preemptions = 0;   // until now, on this worker
};
// One per engine step and destination. To an edge: its own jobs. To the coordinator: everything.
struct TokenBatch {
  static constexpr std::uint16_t kKind = 23;
  std::vector<TokenItem> tokens;
  std::vector<JobFinish> finished;
  std::vector<JobRelease> released;  // coordinator only: this worker holds nothing of the job any more
  std::vector<TokenItem> prompt = {};  // edges only: of prompt tokens, `index` being their position (>= 1)
  std::vector<TokenTiming> timings = {};  // edges only
};
// Worker -> coordinator: what an edge is to get, whom this worker cannot reach any more. The first one is empty: what was sent before
// may not have arrived.
struct RelayedBatch {
  static constexpr std::uint16_t kKind = 28;
  ActorRef edge;
  TokenBatch batch;
};
// One attempt as a worker has it, or (finished) had it when no coordinator was there to be told.
struct HeldJob {
  JobId job;
  Epoch epoch = 0;
  HeldKind kind = HeldKind::kWhole;
  std::vector<TokenId> tokens;  // generated, from position 0 on
  bool finished = false;
  JobFinish finish;
};
// Worker -> coordinator, after JoinAccepted of another life than before: what it holds. In several messages if need be.
struct JobReport {
  static constexpr std::uint16_t kKind = 12;
  std::vector<HeldJob> jobs;
};
struct OpenStream {
  JobId job;
  Epoch epoch = 0;  // tokens of older attempts are not accepted
};
// Edge -> coordinator, likewise: its open streams. In several messages if need be.
struct EdgeReport {
  static constexpr std::uint16_t kKind = 13;
  std::vector<OpenStream> streams;
  bool last = false;
};
// Coordinator -> a new life of an edge: a job that an earlier life had, to be gone on with until its client comes for it.
struct AdoptJob {
  static constexpr std::uint16_t kKind = 29;
  JobId job;
  std::vector<TokenId> prompt;
  SamplingParams sampling;
  std::string client;
};
// Never sent: a job as the coordinator's journal keeps it.
struct JobRecord {
  static constexpr std::uint16_t kKind = 96;
  AdmitJob admit;  // with the seed that was drawn
  NodeId edge;
  Incarnation edge_life;
  std::uint64_t order = 0;
};
// Edge -> coordinator: the client has its terminal; whatever the job still is can go.
struct JobClosed {
  static constexpr std::uint16_t kKind = 24;
  JobId job;
};

// Coordinator -> edge: that job's attempt is over. How far is its stream? What comes under older epochs is no longer accepted.
struct ResumeQuery {
  static constexpr std::uint16_t kKind = 26;
  JobId job;
  Epoch epoch = 0;  // of the next attempt
};
// Edge -> coordinator: its ids from position 0 on without a gap.
struct ResumePoint {
  static constexpr std::uint16_t kKind = 27;
  JobId job;
  Epoch epoch = 0;
  std::vector<TokenId> tokens;
  bool prompt_due = false;  // log-probabilities of the prompt have not all come
};

// ---- timelines ---------------------------------------------------------------------------------------------------

enum class JobState : std::uint8_t { kQueued = 0, kPrefill = 1, kDecode = 2, kDone = 3, kFailed = 4 };

struct JobAttempt {
  Epoch epoch = 0;
  std::uint64_t placed_ns = 0;  // since submission
  std::string prefill_worker;
  std::string decode_worker;
};
// Where a submission's time went, by its edge's clock: queue + prefill is TTFT, all five parts are the total, to the nanosecond.
// Of a job that goes on: what is known by now. actors/job_timeline.h makes it.
struct JobTimeline {
  JobState state = JobState::kQueued;
  FinishReason reason = FinishReason::kNone;
  std::string error;               // kFailed: why
  std::uint32_t prompt_tokens = 0;
  std::uint32_t cached_tokens = 0;
  std::uint32_t completion_tokens = 0;
  std::uint64_t queue_ns = 0;      // submission to its first placement
  std::uint64_t prefill_ns = 0;    // to the first token
  std::uint64_t transfer_ns = 0;   // of what follows until the second token: all that is not first step
  std::uint64_t first_step_ns = 0; // by the decode worker's own count
  std::uint64_t decode_ns = 0;     // the rest
  std::uint64_t waiting_ns = 0;    // of prefill: the worker's queue, by its own count
  std::uint64_t computing_ns = 0;  // of prefill: its steps, by its own count
  std::uint64_t kv_ns = 0;         // the whole hand-over, with what was hidden under prefill, by the decode worker's count
  bool apart = false;              // two workers
  bool missed = false;             // the KV did not come; the decode worker computed the prompt, which `transfer` shows
  std::vector<JobAttempt> attempts;
  std::uint32_t preemptions = 0;   // on the worker that drew the first token, and the one that ended it
};
// Edge -> coordinator: a submission has ended, so that it can be asked for by its id.
struct JobEnded {
  static constexpr std::uint16_t kKind = 25;
  std::string id;
  JobTimeline timeline;
};

// ---- KV ------------------------------------------------------------------------------------------------------------

// Names one block's content at its source. A mismatch anywhere is a miss, never data.
struct KvHandle {
  NodeId worker;
  Incarnation incarnation;
  std::uint32_t group = 0;
  std::uint32_t block = 0;
  std::uint32_t generation = 0;
  std::uint32_t tokens = 0;
  std::uint64_t digest = 0;
};
// Decode -> prefill: these blocks of mine, in order, await the prompt's KV from logical block `first_block` to its end.
struct Grant {
  static constexpr std::uint16_t kKind = 32;
  TransferId transfer;
  JobId job;
  Epoch epoch = 0;
  std::uint32_t group = 0;
  std::vector<std::uint32_t> blocks;
  std::uint64_t time_limit_ns = 0;
  std::uint32_t first_block = 0;
};
// Prefill -> decode: what was pushed, block by logical block from `first_block` on. The last one carries the first token.
struct KvHandoff {
  static constexpr std::uint16_t kKind = 33;
  TransferId transfer;
  JobId job;
  Epoch epoch = 0;
  std::uint32_t first_block = 0;
  std::vector<KvHandle> handles;
  bool last = false;
  TokenId first_token = 0;
  float first_logprob = 0.0F;
  std::vector<TokenLogprob> first_top = {};
};
// Decode -> prefill: ends the source lease. Not ok: the data will not be used; the blocks may go.
struct TransferResult {
  static constexpr std::uint16_t kKind = 34;
  TransferId transfer;
  JobId job;
  Epoch epoch = 0;
  bool ok = false;
  std::string reason;
};

// Worker -> coordinator: a fetch (StartDecode) has ended; `tokens` of its prompt are in the prefix cache here now.
struct PrefixFetched {
  static constexpr std::uint16_t kKind = 35;
  JobId job;
  Epoch epoch = 0;
  std::uint32_t tokens = 0;
  std::string reason;  // why not all
};

// ---- clients of the jobs socket ------------------------------------------------------------------------------------

struct ClientSubmit {
  static constexpr std::uint16_t kKind = 64;
  std::uint64_t tag = 0;  // the client's own number; echoed
  std::string id;         // wanted name; empty: the edge makes one
  std::string prompt;
  std::vector<TokenId> prompt_ids;  // used instead of `prompt` when not empty
  SamplingParams sampling;
  bool seed_given = false;
  bool max_tokens_given = true;
  std::uint64_t time_limit_ns = 0;  // 0: the cluster's own
  std::uint32_t n = 1;              // answers, each a job of its own; 0 is 1
  std::vector<std::string> stop;    // texts that end an answer
  bool include_stop = false;        // deliver what ended it too
  std::vector<std::string> bad_words;  // texts that are not generated; sampling.bad_words() must be empty
  std::string cache_salt;           // KV is shared only between jobs of equal salts
  bool detached = false;            // the job goes on when the client has gone; ClientAttach gets at its answer
};
struct ClientAccepted {
  static constexpr std::uint16_t kKind = 65;
  std::uint64_t tag = 0;
  std::string id;
  std::uint32_t prompt_tokens = 0;
  std::uint64_t seed = 0;
};
struct ClientLogprob {
  TokenId token = 0;
  float logprob = 0.0F;
  std::string text;  // the token's own bytes
};
struct ClientToken {
  std::uint32_t index = 0;
  TokenId token = 0;
  std::string text;
  float logprob = 0.0F;  // 0 where not asked for
  std::vector<ClientLogprob> top = {};
};
struct ClientTokens {
  static constexpr std::uint16_t kKind = 66;
  std::uint64_t tag = 0;
  std::vector<ClientToken> tokens;
  std::uint32_t choice = 0;
  std::vector<ClientToken> prompt = {};  // of the prompt, before any token
};
struct ClientDone {
  static constexpr std::uint16_t kKind = 67;
  std::uint64_t tag = 0;
  FinishReason reason = FinishReason::kNone;
  std::string tail;  // text held back until now
  std::uint32_t prompt_tokens = 0;
  std::uint32_t completion_tokens = 0;
  std::uint64_t queue_ns = 0;  // admission to placement
  std::uint64_t ttft_ns = 0;   // submission to first token, at the edge
  std::uint64_t total_ns = 0;
  std::string prefill_worker;
  std::string decode_worker;
  std::uint64_t kv_bytes_moved = 0;
  std::string transport;
  std::string stop;            // the stop string that ended the job
  TokenId stop_token = -1;     // the one of stop_token_ids that did
  bool kv_bytes_known = false; // false: it ended before its workers could say
  JobTimeline timeline;        // of all choices; that of the first to speak is timed
};
struct ClientError {
  static constexpr std::uint16_t kKind = 68;
  std::uint64_t tag = 0;
  ErrorCode code = ErrorCode::kInternal;
  std::string message;
  std::uint64_t retry_after_ns = 0;  // a refusal's: when it may be otherwise; 0: nobody knows
};
struct ClientCancel {
  static constexpr std::uint16_t kKind = 69;
  std::uint64_t tag = 0;
  std::string id;
};
struct ClientCancelled {
  static constexpr std::uint16_t kKind = 70;
  std::uint64_t tag = 0;
  bool found = false;
};
// Client -> edge -> coordinator and back; `tag` is the asker's.
struct StatusRequest {
  static constexpr std::uint16_t kKind = 71;
  std::uint64_t tag = 0;
  bool traffic = false;  // with the workers' traffic, which may be much
};
struct WorkerStatus {
  std::string name;
  std::string pool;
  Role role = Role::kBoth;
  WorkerState state = WorkerState::kJoining;
  std::uint32_t pid = 0;
  Heartbeat last;  // without its traffic
  std::uint32_t blocks_total = 0;
  std::vector<LinkTraffic> traffic = {};  // all, by peer, if it was asked for
};
struct StatusReport {
  static constexpr std::uint16_t kKind = 72;
  std::uint64_t tag = 0;
  std::string name;
  std::uint32_t coordinator_pid = 0;
  std::uint32_t jobs = 0;
  std::string model_name;
  std::uint32_t max_model_len = 0;
  std::uint32_t block_tokens = 0;
  std::vector<WorkerStatus> workers;
  std::uint32_t traffic_left_out = 0;  // pairs beyond what fits
  AdmissionStatus admission = {};
};
// Client -> edge -> coordinator -> every worker; each answers with its own account.
struct FsckRequest {
  static constexpr std::uint16_t kKind = 73;
  std::uint64_t tag = 0;
};
struct FsckAccount {
  std::string worker;
  std::uint32_t blocks_total = 0;
  std::uint32_t free = 0;
  std::uint32_t cached = 0;       // by nobody, with content that may be used again
  std::uint32_t held = 0;         // by running or waiting sequences
  std::uint32_t leased = 0;       // sources of transfers
  std::uint32_t quarantined = 0;  // destinations that may still be written
  std::uint32_t sequences = 0;
  std::uint32_t transfers = 0;
  std::vector<std::string> problems;  // each names a block or a job
};
struct FsckReport {
  static constexpr std::uint16_t kKind = 74;
  std::uint64_t tag = 0;
  bool complete = false;  // false: some worker has not answered in time
  std::vector<FsckAccount> accounts;
};

// Edge -> client, with several choices: one has ended.
struct ClientChoiceDone {
  static constexpr std::uint16_t kKind = 75;
  std::uint64_t tag = 0;
  std::uint32_t choice = 0;
  FinishReason reason = FinishReason::kNone;
  std::string tail;
  std::uint32_t completion_tokens = 0;
  std::string stop;
  TokenId stop_token = -1;
};
// Client -> edge -> coordinator -> other edges: where that job's time went.
struct TraceRequest {
  static constexpr std::uint16_t kKind = 76;
  std::uint64_t tag = 0;
  std::string id;
};
struct TraceReport {
  static constexpr std::uint16_t kKind = 77;
  std::uint64_t tag = 0;
  bool found = false;
  JobTimeline timeline;
};

enum class EventKind : std::uint8_t { kStarted = 0, kJoined = 1, kLeft = 2, kLost = 3, kRefused = 4, kRedispatched = 5, kDraining = 6, kDrained = 7, kRole = 8, kQuarantined = 9, kRecovered = 10, kDegraded = 11, kOverloaded = 12, kRelieved = 13, kOutOfRetries = 14 };
struct ClusterEvent {
  std::uint64_t seq = 0;  // 1, 2, … in one life of the coordinator
  EventKind kind = EventKind::kStarted;
  std::uint64_t age_ns = 0;
  std::string subject;  // a worker's or edge's name
  std::string detail;
};
// Client -> edge -> coordinator and back: what happened after event number `after`.
struct EventsRequest {
  static constexpr std::uint16_t kKind = 78;
  std::uint64_t tag = 0;
  std::uint64_t after = 0;
};
struct EventsReport {
  static constexpr std::uint16_t kKind = 79;
  std::uint64_t tag = 0;
  std::uint64_t life = 0;    // the coordinator's incarnation: another one counts anew
  std::uint64_t last = 0;    // number of the latest event; more than in `events`: ask again
  std::uint64_t missed = 0;  // newer than `after`, but forgotten
  std::vector<ClusterEvent> events;
};
// Client -> edge: send that detached job's answer from token `from` on, under this tag.
struct ClientAttach {
  static constexpr std::uint16_t kKind = 80;
  std::uint64_t tag = 0;
  std::string id;
  std::uint32_t from = 0;
};

enum class ClusterAction : std::uint8_t { kDrain = 0, kUndrain = 1, kRole = 2, kProcessEnded = 3 };
// Client -> edge -> coordinator: changes the cluster while it serves. kProcessEnded: whoever supervises the worker's process
// has seen it end, sooner than heartbeats can tell.
struct ClusterCommand {
  static constexpr std::uint16_t kKind = 81;
  std::uint64_t tag = 0;
  ClusterAction action = ClusterAction::kDrain;
  std::string worker;
  Role role = Role::kBoth;  // kRole
  std::uint32_t pid = 0;    // kProcessEnded: of the life that is over
  std::string detail;       // kProcessEnded: how
  bool crashed = false;     // kProcessEnded: it did not exit of its own will, so its jobs may be the cause
  std::string key = {};     // kProcessEnded: what shows that its supervisor says so
};
// Back. Of kDrain: once the worker has no job any more.
struct ClusterCommandDone {
  static constexpr std::uint16_t kKind = 82;
  std::uint64_t tag = 0;
  bool ok = false;
  ErrorCode code = ErrorCode::kInternal;  // not ok: why
  std::string message;                    // what was done, or why not
};

}  // namespace baton
