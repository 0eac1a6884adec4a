// SPDX-License-Identifier: Apache-2.0
// A random value of every message of the protocol, for tests of what codes it. fill(message, random) sets every field.
#pragma once

#include "protocol/codec.h"
#include "runtime/base/random.h"

namespace baton {

inline std::string random_text(Random& random) {
  std::string text(random.below(40), '\0');
  for (char& c : text) c = static_cast<char>('a' + random.below(26));
  return text;
}

inline std::uint64_t random_duration(Random& random) { return random.below((std::uint64_t{1} << 60) + 1); }

inline void fill(ActorRef& m, Random& random) {
  m.node.value = random.next();
  m.incarnation.value = random.next();
  m.slot = static_cast<std::uint32_t>(random.next());
  m.generation = static_cast<std::uint32_t>(random.next());
}
inline void fill(TransferId& m, Random& random) {
  m.high = random.next();
  m.low = random.next();
}
inline void fill(KvGeometry& m, Random& random) {
  m.group = static_cast<std::uint32_t>(random.next());
  m.layers = static_cast<std::uint32_t>(random.next());
  m.kv_heads = static_cast<std::uint32_t>(random.next());
  m.head_dim = static_cast<std::uint32_t>(random.next());
  m.block_tokens = static_cast<std::uint32_t>(random.next());
  m.dtype = static_cast<DType>(random.below(4));
}
inline void fill(SamplingParams& m, Random& random) {
  m.temperature = static_cast<float>(random.below(1000)) / 8.0F;
  m.top_k = static_cast<std::uint32_t>(random.next());
  m.top_p = static_cast<float>(random.below(1000)) / 8.0F;
  m.min_p = static_cast<float>(random.below(1000)) / 8.0F;
  m.seed = random.next();
  m.max_tokens = static_cast<std::uint32_t>(random.next());
  m.ignore_eos = random.chance(1, 2);
  m.repetition_penalty = static_cast<float>(random.below(1000)) / 8.0F;
  m.presence_penalty = -static_cast<float>(random.below(1000)) / 8.0F;
  m.frequency_penalty = static_cast<float>(random.below(1000)) / 8.0F;
  m.min_tokens = static_cast<std::uint32_t>(random.next());
  m.choice = static_cast<std::uint32_t>(random.next());
  if (random.chance(1, 2)) m.logprobs = static_cast<std::uint32_t>(random.below(22));
  if (random.chance(1, 2)) m.prompt_logprobs = static_cast<std::uint32_t>(random.below(22));
  if (random.chance(1, 2)) return;
  auto lists = std::make_shared<SamplingLists>();
  for (std::uint64_t i = random.below(4); i > 0; --i) lists->logit_bias.push_back({static_cast<TokenId>(random.next()), static_cast<float>(random.below(1000)) / 8.0F});
  for (std::uint64_t i = random.below(4); i > 0; --i) lists->stop_token_ids.push_back(static_cast<TokenId>(random.next()));
  for (std::uint64_t i = random.below(4); i > 0; --i) lists->bad_words.push_back({static_cast<TokenId>(random.next()), static_cast<TokenId>(i)});
  m.lists = std::move(lists);
}
inline void fill(TokenLogprob& m, Random& random) {
  m.token = static_cast<TokenId>(random.next());
  m.logprob = -static_cast<float>(random.below(1000)) / 8.0F;
}
inline void fill(WorkerHello& m, Random& random) {
  m.protocol_min = static_cast<std::uint32_t>(random.next());
  m.protocol_max = static_cast<std::uint32_t>(random.next());
  m.name = random_text(random);
  m.pool = random_text(random);
  m.role = static_cast<Role>(random.below(3));
  m.pid = static_cast<std::uint32_t>(random.next());
  m.control_address = random_text(random);
  m.data_address = random_text(random);
  m.model_hash = random.next();
  m.model_name = random_text(random);
  fill(m.geometry, random);
  m.numerics_fingerprint = random.next();
  m.vocab_size = static_cast<std::uint32_t>(random.next());
  m.max_model_len = static_cast<std::uint32_t>(random.next());
  m.blocks_total = static_cast<std::uint32_t>(random.next());
  m.max_num_seqs = static_cast<std::uint32_t>(random.next());
  m.max_num_batched_tokens = static_cast<std::uint32_t>(random.next());
}
inline void fill(EdgeHello& m, Random& random) {
  m.protocol_min = static_cast<std::uint32_t>(random.next());
  m.protocol_max = static_cast<std::uint32_t>(random.next());
  m.name = random_text(random);
  m.control_address = random_text(random);
  m.model_hash = random.next();
}
inline void fill(JoinAccepted& m, Random& random) {
  m.protocol = static_cast<std::uint32_t>(random.next());
  m.heartbeat_interval_ns = random.next();
  m.heartbeat_miss = static_cast<std::uint32_t>(random.next());
}
inline void fill(JoinRefused& m, Random& random) {
  m.code = static_cast<ErrorCode>(1 + random.below(15));
  m.message = random_text(random);
}
inline void fill(PeerCard& m, Random& random) {
  fill(m.actor, random);
  m.name = random_text(random);
  m.control_address = random_text(random);
  m.data_address = random_text(random);
}
inline void fill(PeersJoined& m, Random& random) {
  m.peers.resize(random.below(4));
  for (auto& item : m.peers) fill(item, random);
}
inline void fill(PeerLeft& m, Random& random) {
  fill(m.actor, random);
  m.reason = random_text(random);
}
inline void fill(LinkTraffic& m, Random& random) {
  m.peer = random_text(random);
  m.transport = random_text(random);
  for (std::uint64_t* number : {&m.transfers, &m.failures, &m.bytes, &m.busy_ns, &m.latency_ns}) *number = random.next();
}
inline void fill(Heartbeat& m, Random& random) {
  m.progress = random.next();
  m.running = static_cast<std::uint32_t>(random.next());
  m.waiting = static_cast<std::uint32_t>(random.next());
  m.blocks_free = static_cast<std::uint32_t>(random.next());
  m.kv_bytes_sent = random.next();
  m.kv_bytes_received = random.next();
  m.prompt_tokens_computed = random.next();
  m.tokens_generated = random.next();
  m.prefix_cache_queries = random.next();
  m.prefix_cache_hits = random.next();
  m.num_preemptions = random.next();
  m.traffic.resize(random.below(4));
  for (auto& item : m.traffic) fill(item, random);
}
inline void fill(HeartbeatAck&, Random&) {}
inline void fill(Alive&, Random&) {}
inline void fill(AdmitJob& m, Random& random) {
  m.job.value = random.next();
  for (std::uint64_t i = random.below(9); i > 0; --i) m.prompt.push_back(static_cast<std::int32_t>(random.next()));
  fill(m.sampling, random);
  m.seed_given = random.chance(1, 2);
  m.time_limit_ns = random.next();
  m.cache_salt = random_text(random);
  m.client = random_text(random);
}
inline void fill(JobAdmitted& m, Random& random) {
  m.job.value = random.next();
  m.seed = random.next();
}
inline void fill(JobPlaced& m, Random& random) {
  m.job.value = random.next();
  m.epoch = static_cast<std::uint32_t>(random.next());
  m.prefill_worker = random_text(random);
  m.decode_worker = random_text(random);
}
inline void fill(JobFailed& m, Random& random) {
  m.job.value = random.next();
  m.epoch = static_cast<std::uint32_t>(random.next());
  m.code = static_cast<ErrorCode>(1 + random.below(15));
  m.message = random_text(random);
  m.retry_after_ns = random_duration(random);
}
inline void fill(CancelJob& m, Random& random) {
  m.job.value = random.next();
  m.epoch = static_cast<std::uint32_t>(random.next());
}
inline void fill(StartPrefill& m, Random& random) {
  m.job.value = random.next();
  m.epoch = static_cast<std::uint32_t>(random.next());
  fill(m.edge, random);
  fill(m.decode, random);
  for (std::uint64_t i = random.below(9); i > 0; --i) m.prompt.push_back(static_cast<std::int32_t>(random.next()));
  fill(m.sampling, random);
  m.cache_salt = random_text(random);
  for (std::uint64_t i = random.below(9); i > 0; --i) m.emitted.push_back(static_cast<std::int32_t>(random.next()));
  m.fetch = random.chance(1, 2);
}
inline void fill(StartDecode& m, Random& random) {
  m.job.value = random.next();
  m.epoch = static_cast<std::uint32_t>(random.next());
  fill(m.edge, random);
  fill(m.prefill, random);
  for (std::uint64_t i = random.below(9); i > 0; --i) m.prompt.push_back(static_cast<std::int32_t>(random.next()));
  fill(m.sampling, random);
  m.cache_salt = random_text(random);
  for (std::uint64_t i = random.below(9); i > 0; --i) m.emitted.push_back(static_cast<std::int32_t>(random.next()));
  m.fetch = random.chance(1, 2);
}
inline void fill(TokenItem& m, Random& random) {
  m.job.value = random.next();
  m.epoch = static_cast<std::uint32_t>(random.next());
  m.index = static_cast<std::uint32_t>(random.next());
  m.token = static_cast<std::int32_t>(random.next());
  m.logprob = static_cast<float>(random.below(1000)) / 8.0F;
  m.top.resize(random.below(4));
  for (auto& item : m.top) fill(item, random);
}
inline void fill(JobFinish& m, Random& random) {
  m.job.value = random.next();
  m.epoch = static_cast<std::uint32_t>(random.next());
  m.reason = static_cast<FinishReason>(random.below(5));
  m.tokens = static_cast<std::uint32_t>(random.next());
  m.kv_bytes_moved = random.next();
  m.transport = random_text(random);
  m.preemptions = static_cast<std::uint32_t>(random.next());
}
inline void fill(JobRelease& m, Random& random) {
  m.job.value = random.next();
  m.epoch = static_cast<std::uint32_t>(random.next());
}
inline void fill(TokenTiming& m, Random& random) {
  m.job.value = random.next();
  m.epoch = static_cast<std::uint32_t>(random.next());
  m.index = static_cast<std::uint32_t>(random.below(2));
  m.waiting_ns = random_duration(random);
  m.computing_ns = random_duration(random);
  m.transfer_ns = random_duration(random);
  m.cached_tokens = static_cast<std::uint32_t>(random.next());
  m.missed = random.chance(1, 2);
  m.preemptions = static_cast<std::uint32_t>(random.next());
}
inline void fill(JobTimeline& m, Random& random) {
  m.state = static_cast<JobState>(random.below(5));
  m.reason = static_cast<FinishReason>(random.below(5));
  m.error = random_text(random);
  m.prompt_tokens = static_cast<std::uint32_t>(random.next());
  m.cached_tokens = static_cast<std::uint32_t>(random.next());
  m.completion_tokens = static_cast<std::uint32_t>(random.next());
  for (std::uint64_t* ns : {&m.queue_ns, &m.prefill_ns, &m.transfer_ns, &m.first_step_ns, &m.decode_ns, &m.waiting_ns, &m.computing_ns, &m.kv_ns})
    *ns = random_duration(random);
  m.apart = random.chance(1, 2);
  m.missed = random.chance(1, 2);
  for (std::uint64_t i = random.below(4); i > 0; --i)
    m.attempts.push_back({static_cast<std::uint32_t>(random.next()), random_duration(random), random_text(random), random_text(random)});
  m.preemptions = static_cast<std::uint32_t>(random.next());
}
inline void fill(JobEnded& m, Random& random) {
  m.id = random_text(random);
  fill(m.timeline, random);
}
inline void fill(TraceRequest& m, Random& random) {
  m.tag = random.next();
  m.id = random_text(random);
}
inline void fill(TraceReport& m, Random& random) {
  m.tag = random.next();
  m.found = random.chance(1, 2);
  fill(m.timeline, random);
}
inline void fill(TokenBatch& m, Random& random) {
  m.tokens.resize(random.below(4));
  for (auto& item : m.tokens) fill(item, random);
  m.finished.resize(random.below(4));
  for (auto& item : m.finished) fill(item, random);
  m.released.resize(random.below(4));
  for (auto& item : m.released) fill(item, random);
  m.prompt.resize(random.below(4));
  for (auto& item : m.prompt) fill(item, random);
  m.timings.resize(random.below(4));
  for (auto& item : m.timings) fill(item, random);
}
inline void fill(JobClosed& m, Random& random) {
  m.job.value = random.next();
}
inline void fill(KvHandle& m, Random& random) {
  m.worker.value = random.next();
  m.incarnation.value = random.next();
  m.group = static_cast<std::uint32_t>(random.next());
  m.block = static_cast<std::uint32_t>(random.next());
  m.generation = static_cast<std::uint32_t>(random.next());
  m.tokens = static_cast<std::uint32_t>(random.next());
  m.digest = random.next();
}
inline void fill(Grant& m, Random& random) {
  fill(m.transfer, random);
  m.job.value = random.next();
  m.epoch = static_cast<std::uint32_t>(random.next());
  m.group = static_cast<std::uint32_t>(random.next());
  for (std::uint64_t i = random.below(9); i > 0; --i) m.blocks.push_back(static_cast<std::uint32_t>(random.next()));
  m.time_limit_ns = random.next();
  m.first_block = static_cast<std::uint32_t>(random.next());
}
inline void fill(KvHandoff& m, Random& random) {
  fill(m.transfer, random);
  m.job.value = random.next();
  m.epoch = static_cast<std::uint32_t>(random.next());
  m.first_block = static_cast<std::uint32_t>(random.next());
  m.handles.resize(random.below(4));
  for (auto& item : m.handles) fill(item, random);
  m.last = random.chance(1, 2);
  m.first_token = static_cast<std::int32_t>(random.next());
  m.first_logprob = static_cast<float>(random.below(1000)) / 8.0F;
  m.first_top.resize(random.below(4));
  for (auto& item : m.first_top) fill(item, random);
}
inline void fill(TransferResult& m, Random& random) {
  fill(m.transfer, random);
  m.job.value = random.next();
  m.epoch = static_cast<std::uint32_t>(random.next());
  m.ok = random.chance(1, 2);
  m.reason = random_text(random);
}
inline void fill(ClientSubmit& m, Random& random) {
  m.tag = random.next();
  m.id = random_text(random);
  m.prompt = random_text(random);
  for (std::uint64_t i = random.below(9); i > 0; --i) m.prompt_ids.push_back(static_cast<std::int32_t>(random.next()));
  fill(m.sampling, random);
  m.seed_given = random.chance(1, 2);
  m.max_tokens_given = random.chance(1, 2);
  m.time_limit_ns = random.next();
  m.n = static_cast<std::uint32_t>(1 + random.below(1000));
  for (std::uint64_t i = random.below(4); i > 0; --i) m.stop.push_back(random_text(random));
  m.include_stop = random.chance(1, 2);
  for (std::uint64_t i = random.below(4); i > 0; --i) m.bad_words.push_back(random_text(random));
  m.cache_salt = random_text(random);
  m.detached = random.chance(1, 2);
}
inline void fill(ClientAccepted& m, Random& random) {
  m.tag = random.next();
  m.id = random_text(random);
  m.prompt_tokens = static_cast<std::uint32_t>(random.next());
  m.seed = random.next();
}
inline void fill(ClientLogprob& m, Random& random) {
  m.token = static_cast<std::int32_t>(random.next());
  m.logprob = static_cast<float>(random.below(1000)) / 8.0F;
  m.text = random_text(random);
}
inline void fill(ClientToken& m, Random& random) {
  m.index = static_cast<std::uint32_t>(random.next());
  m.token = static_cast<std::int32_t>(random.next());
  m.text = random_text(random);
  m.logprob = static_cast<float>(random.below(1000)) / 8.0F;
  m.top.resize(random.below(4));
  for (auto& item : m.top) fill(item, random);
}
inline void fill(ClientTokens& m, Random& random) {
  m.tag = random.next();
  m.tokens.resize(random.below(4));
  for (auto& item : m.tokens) fill(item, random);
  m.choice = static_cast<std::uint32_t>(random.next());
  m.prompt.resize(random.below(4));
  for (auto& item : m.prompt) fill(item, random);
}
inline void fill(ClientDone& m, Random& random) {
  m.tag = random.next();
  m.reason = static_cast<FinishReason>(random.below(5));
  m.tail = random_text(random);
  m.prompt_tokens = static_cast<std::uint32_t>(random.next());
  m.completion_tokens = static_cast<std::uint32_t>(random.next());
  m.queue_ns = random.next();
  m.ttft_ns = random.next();
  m.total_ns = random.next();
  m.prefill_worker = random_text(random);
  m.decode_worker = random_text(random);
  m.kv_bytes_moved = random.next();
  m.transport = random_text(random);
  m.stop = random_text(random);
  m.stop_token = static_cast<TokenId>(random.next());
  m.kv_bytes_known = random.chance(1, 2);
  fill(m.timeline, random);
}
inline void fill(ClientChoiceDone& m, Random& random) {
  m.tag = random.next();
  m.choice = static_cast<std::uint32_t>(random.next());
  m.reason = static_cast<FinishReason>(random.below(5));
  m.tail = random_text(random);
  m.completion_tokens = static_cast<std::uint32_t>(random.next());
  m.stop = random_text(random);
  m.stop_token = static_cast<TokenId>(random.next());
}
inline void fill(ClientError& m, Random& random) {
  m.tag = random.next();
  m.code = static_cast<ErrorCode>(1 + random.below(15));
  m.message = random_text(random);
  m.retry_after_ns = random_duration(random);
}
inline void fill(ClientCancel& m, Random& random) {
  m.tag = random.next();
  m.id = random_text(random);
}
inline void fill(ClientCancelled& m, Random& random) {
  m.tag = random.next();
  m.found = random.chance(1, 2);
}
inline void fill(StatusRequest& m, Random& random) {
  m.tag = random.next();
  m.traffic = random.chance(1, 2);
}
inline void fill(WorkerStatus& m, Random& random) {
  m.name = random_text(random);
  m.pool = random_text(random);
  m.role = static_cast<Role>(random.below(3));
  m.state = static_cast<WorkerState>(random.below(5));
  m.pid = static_cast<std::uint32_t>(random.next());
  fill(m.last, random);
  m.blocks_total = static_cast<std::uint32_t>(random.next());
  m.traffic.resize(random.below(4));
  for (auto& item : m.traffic) fill(item, random);
}
inline void fill(ClusterEvent& m, Random& random) {
  m.seq = random.next();
  m.kind = static_cast<EventKind>(random.below(15));
  m.age_ns = random_duration(random);
  m.subject = random_text(random);
  m.detail = random_text(random);
}
inline void fill(EventsRequest& m, Random& random) {
  m.tag = random.next();
  m.after = random.next();
}
inline void fill(EventsReport& m, Random& random) {
  m.tag = random.next();
  m.life = random.next();
  m.last = random.next();
  m.missed = random.next();
  m.events.resize(random.below(4));
  for (auto& item : m.events) fill(item, random);
}
inline void fill(ClientAttach& m, Random& random) {
  m.tag = random.next();
  m.id = random_text(random);
  m.from = static_cast<std::uint32_t>(random.next());
}
inline void fill(AdmissionStatus& m, Random& random) {
  m.admitted = random.next();
  m.refused_predicted = random.next();
  m.refused_full = random.next();
  m.expired = random.next();
  m.resumed = random.next();
  m.out_of_retries = random.next();
  m.queued = static_cast<std::uint32_t>(random.next());
  m.queued_tokens = random.next();
  m.wait_ns = random_duration(random);
}
inline void fill(StatusReport& m, Random& random) {
  m.tag = random.next();
  m.name = random_text(random);
  m.coordinator_pid = static_cast<std::uint32_t>(random.next());
  m.jobs = static_cast<std::uint32_t>(random.next());
  m.model_name = random_text(random);
  m.max_model_len = static_cast<std::uint32_t>(random.next());
  m.block_tokens = static_cast<std::uint32_t>(random.next());
  m.workers.resize(random.below(4));
  for (auto& item : m.workers) fill(item, random);
  m.traffic_left_out = static_cast<std::uint32_t>(random.next());
  fill(m.admission, random);
}
inline void fill(FsckRequest& m, Random& random) {
  m.tag = random.next();
}
inline void fill(FsckAccount& m, Random& random) {
  m.worker = random_text(random);
  m.blocks_total = static_cast<std::uint32_t>(random.next());
  m.free = static_cast<std::uint32_t>(random.next());
  m.held = static_cast<std::uint32_t>(random.next());
  m.leased = static_cast<std::uint32_t>(random.next());
  m.quarantined = static_cast<std::uint32_t>(random.next());
  m.sequences = static_cast<std::uint32_t>(random.next());
  m.transfers = static_cast<std::uint32_t>(random.next());
  m.problems = {random_text(random), random_text(random)};
  m.cached = static_cast<std::uint32_t>(random.next());
}
inline void fill(FsckReport& m, Random& random) {
  m.tag = random.next();
  m.complete = random.chance(1, 2);
  m.accounts.resize(random.below(4));
  for (auto& item : m.accounts) fill(item, random);
}
inline void fill(HeldJob& m, Random& random) {
  m.job.value = random.next();
  m.epoch = static_cast<std::uint32_t>(random.next());
  m.kind = static_cast<HeldKind>(random.below(3));
  for (std::uint64_t i = random.below(9); i > 0; --i) m.tokens.push_back(static_cast<std::int32_t>(random.next()));
  m.finished = random.chance(1, 2);
  fill(m.finish, random);
}
inline void fill(JobReport& m, Random& random) {
  m.jobs.resize(random.below(4));
  for (auto& item : m.jobs) fill(item, random);
}
inline void fill(EdgeReport& m, Random& random) {
  for (std::uint64_t i = random.below(9); i > 0; --i) m.streams.push_back({JobId{random.next()}, static_cast<Epoch>(random.next())});
  m.last = random.chance(1, 2);
}
inline void fill(AdoptJob& m, Random& random) {
  m.job.value = random.next();
  for (std::uint64_t i = random.below(9); i > 0; --i) m.prompt.push_back(static_cast<std::int32_t>(random.next()));
  fill(m.sampling, random);
  m.client = random_text(random);
}
inline void fill(JobRecord& m, Random& random) {
  fill(m.admit, random);
  m.edge.value = random.next();
  m.edge_life.value = random.next();
  m.order = random.next();
}
inline void fill(RelayedBatch& m, Random& random) {
  fill(m.edge, random);
  fill(m.batch, random);
}
inline void fill(RoleChange& m, Random& random) { m.role = static_cast<Role>(random.below(3)); }
inline void fill(WorkerLeaving&, Random&) {}
inline void fill(ResumeQuery& m, Random& random) {
  m.job.value = random.next();
  m.epoch = static_cast<std::uint32_t>(random.next());
}
inline void fill(ResumePoint& m, Random& random) {
  m.job.value = random.next();
  m.epoch = static_cast<std::uint32_t>(random.next());
  for (std::uint64_t i = random.below(9); i > 0; --i) m.tokens.push_back(static_cast<std::int32_t>(random.next()));
  m.prompt_due = random.chance(1, 2);
}
inline void fill(PrefixFetched& m, Random& random) {
  m.job.value = random.next();
  m.epoch = static_cast<std::uint32_t>(random.next());
  m.tokens = static_cast<std::uint32_t>(random.next());
  m.reason = random_text(random);
}
inline void fill(ClusterCommand& m, Random& random) {
  m.tag = random.next();
  m.action = static_cast<ClusterAction>(random.below(4));
  m.worker = random_text(random);
  m.role = static_cast<Role>(random.below(3));
  m.pid = static_cast<std::uint32_t>(random.next());
  m.detail = random_text(random);
  m.crashed = random.chance(1, 2);
  m.key = random_text(random);
}
inline void fill(ClusterCommandDone& m, Random& random) {
  m.tag = random.next();
  m.ok = random.chance(1, 2);
  m.code = static_cast<ErrorCode>(1 + random.below(15));
  m.message = random_text(random);
}

}  // namespace baton
