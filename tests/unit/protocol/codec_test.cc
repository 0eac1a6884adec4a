// SPDX-License-Identifier: Apache-2.0
// Every message survives encode and decode unchanged, and no mutation of its bytes does anything but fail or decode.
#include "protocol/codec.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <tuple>

#include "runtime/base/random.h"

namespace baton {
namespace {

std::string random_text(Random& random) {
  std::string text(random.below(40), '\0');
  for (char& c : text) c = static_cast<char>('a' + random.below(26));
  return text;
}

void fill(ActorRef& m, Random& random) {
  m.node.value = random.next();
  m.incarnation.value = random.next();
  m.slot = static_cast<std::uint32_t>(random.next());
  m.generation = static_cast<std::uint32_t>(random.next());
}
void fill(TransferId& m, Random& random) {
  m.high = random.next();
  m.low = random.next();
}
void fill(KvGeometry& m, Random& random) {
  m.group = static_cast<std::uint32_t>(random.next());
  m.layers = static_cast<std::uint32_t>(random.next());
  m.kv_heads = static_cast<std::uint32_t>(random.next());
  m.head_dim = static_cast<std::uint32_t>(random.next());
  m.block_tokens = static_cast<std::uint32_t>(random.next());
  m.dtype = static_cast<DType>(random.below(4));
}
void fill(SamplingParams& m, Random& random) {
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
void fill(TokenLogprob& m, Random& random) {
  m.token = static_cast<TokenId>(random.next());
  m.logprob = -static_cast<float>(random.below(1000)) / 8.0F;
}
void fill(WorkerHello& m, Random& random) {
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
void fill(EdgeHello& m, Random& random) {
  m.protocol_min = static_cast<std::uint32_t>(random.next());
  m.protocol_max = static_cast<std::uint32_t>(random.next());
  m.name = random_text(random);
  m.control_address = random_text(random);
  m.model_hash = random.next();
}
void fill(JoinAccepted& m, Random& random) {
  m.protocol = static_cast<std::uint32_t>(random.next());
  m.heartbeat_interval_ns = random.next();
  m.heartbeat_miss = static_cast<std::uint32_t>(random.next());
}
void fill(JoinRefused& m, Random& random) {
  m.code = static_cast<ErrorCode>(1 + random.below(12));
  m.message = random_text(random);
}
void fill(PeerCard& m, Random& random) {
  fill(m.actor, random);
  m.name = random_text(random);
  m.control_address = random_text(random);
  m.data_address = random_text(random);
}
void fill(PeersJoined& m, Random& random) {
  m.peers.resize(random.below(4));
  for (auto& item : m.peers) fill(item, random);
}
void fill(PeerLeft& m, Random& random) {
  fill(m.actor, random);
  m.reason = random_text(random);
}
void fill(LinkTraffic& m, Random& random) {
  m.peer = random_text(random);
  m.transport = random_text(random);
  for (std::uint64_t* number : {&m.transfers, &m.failures, &m.bytes, &m.busy_ns, &m.latency_ns}) *number = random.next();
}
void fill(Heartbeat& m, Random& random) {
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
void fill(HeartbeatAck&, Random&) {}
void fill(AdmitJob& m, Random& random) {
  m.job.value = random.next();
  for (std::uint64_t i = random.below(9); i > 0; --i) m.prompt.push_back(static_cast<std::int32_t>(random.next()));
  fill(m.sampling, random);
  m.seed_given = random.chance(1, 2);
  m.time_limit_ns = random.next();
  m.cache_salt = random_text(random);
}
void fill(JobAdmitted& m, Random& random) {
  m.job.value = random.next();
  m.seed = random.next();
}
void fill(JobPlaced& m, Random& random) {
  m.job.value = random.next();
  m.epoch = static_cast<std::uint32_t>(random.next());
  m.prefill_worker = random_text(random);
  m.decode_worker = random_text(random);
}
void fill(JobFailed& m, Random& random) {
  m.job.value = random.next();
  m.epoch = static_cast<std::uint32_t>(random.next());
  m.code = static_cast<ErrorCode>(1 + random.below(12));
  m.message = random_text(random);
}
void fill(CancelJob& m, Random& random) {
  m.job.value = random.next();
  m.epoch = static_cast<std::uint32_t>(random.next());
}
void fill(StartPrefill& m, Random& random) {
  m.job.value = random.next();
  m.epoch = static_cast<std::uint32_t>(random.next());
  fill(m.edge, random);
  fill(m.decode, random);
  for (std::uint64_t i = random.below(9); i > 0; --i) m.prompt.push_back(static_cast<std::int32_t>(random.next()));
  fill(m.sampling, random);
  m.cache_salt = random_text(random);
}
void fill(StartDecode& m, Random& random) {
  m.job.value = random.next();
  m.epoch = static_cast<std::uint32_t>(random.next());
  fill(m.edge, random);
  fill(m.prefill, random);
  for (std::uint64_t i = random.below(9); i > 0; --i) m.prompt.push_back(static_cast<std::int32_t>(random.next()));
  fill(m.sampling, random);
  m.cache_salt = random_text(random);
}
void fill(TokenItem& m, Random& random) {
  m.job.value = random.next();
  m.epoch = static_cast<std::uint32_t>(random.next());
  m.index = static_cast<std::uint32_t>(random.next());
  m.token = static_cast<std::int32_t>(random.next());
  m.logprob = static_cast<float>(random.below(1000)) / 8.0F;
  m.top.resize(random.below(4));
  for (auto& item : m.top) fill(item, random);
}
void fill(JobFinish& m, Random& random) {
  m.job.value = random.next();
  m.epoch = static_cast<std::uint32_t>(random.next());
  m.reason = static_cast<FinishReason>(random.below(5));
  m.tokens = static_cast<std::uint32_t>(random.next());
  m.kv_bytes_moved = random.next();
  m.transport = random_text(random);
  m.preemptions = static_cast<std::uint32_t>(random.next());
}
void fill(JobRelease& m, Random& random) {
  m.job.value = random.next();
  m.epoch = static_cast<std::uint32_t>(random.next());
}
std::uint64_t random_duration(Random& random) { return random.below((std::uint64_t{1} << 60) + 1); }
void fill(TokenTiming& m, Random& random) {
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
void fill(JobTimeline& m, Random& random) {
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
void fill(JobEnded& m, Random& random) {
  m.id = random_text(random);
  fill(m.timeline, random);
}
void fill(TraceRequest& m, Random& random) {
  m.tag = random.next();
  m.id = random_text(random);
}
void fill(TraceReport& m, Random& random) {
  m.tag = random.next();
  m.found = random.chance(1, 2);
  fill(m.timeline, random);
}
void fill(TokenBatch& m, Random& random) {
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
void fill(JobClosed& m, Random& random) {
  m.job.value = random.next();
}
void fill(KvHandle& m, Random& random) {
  m.worker.value = random.next();
  m.incarnation.value = random.next();
  m.group = static_cast<std::uint32_t>(random.next());
  m.block = static_cast<std::uint32_t>(random.next());
  m.generation = static_cast<std::uint32_t>(random.next());
  m.tokens = static_cast<std::uint32_t>(random.next());
  m.digest = random.next();
}
void fill(Grant& m, Random& random) {
  fill(m.transfer, random);
  m.job.value = random.next();
  m.epoch = static_cast<std::uint32_t>(random.next());
  m.group = static_cast<std::uint32_t>(random.next());
  for (std::uint64_t i = random.below(9); i > 0; --i) m.blocks.push_back(static_cast<std::uint32_t>(random.next()));
  m.time_limit_ns = random.next();
  m.first_block = static_cast<std::uint32_t>(random.next());
}
void fill(KvHandoff& m, Random& random) {
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
void fill(TransferResult& m, Random& random) {
  fill(m.transfer, random);
  m.job.value = random.next();
  m.epoch = static_cast<std::uint32_t>(random.next());
  m.ok = random.chance(1, 2);
  m.reason = random_text(random);
}
void fill(ClientSubmit& m, Random& random) {
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
void fill(ClientAccepted& m, Random& random) {
  m.tag = random.next();
  m.id = random_text(random);
  m.prompt_tokens = static_cast<std::uint32_t>(random.next());
  m.seed = random.next();
}
void fill(ClientLogprob& m, Random& random) {
  m.token = static_cast<std::int32_t>(random.next());
  m.logprob = static_cast<float>(random.below(1000)) / 8.0F;
  m.text = random_text(random);
}
void fill(ClientToken& m, Random& random) {
  m.index = static_cast<std::uint32_t>(random.next());
  m.token = static_cast<std::int32_t>(random.next());
  m.text = random_text(random);
  m.logprob = static_cast<float>(random.below(1000)) / 8.0F;
  m.top.resize(random.below(4));
  for (auto& item : m.top) fill(item, random);
}
void fill(ClientTokens& m, Random& random) {
  m.tag = random.next();
  m.tokens.resize(random.below(4));
  for (auto& item : m.tokens) fill(item, random);
  m.choice = static_cast<std::uint32_t>(random.next());
  m.prompt.resize(random.below(4));
  for (auto& item : m.prompt) fill(item, random);
}
void fill(ClientDone& m, Random& random) {
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
void fill(ClientChoiceDone& m, Random& random) {
  m.tag = random.next();
  m.choice = static_cast<std::uint32_t>(random.next());
  m.reason = static_cast<FinishReason>(random.below(5));
  m.tail = random_text(random);
  m.completion_tokens = static_cast<std::uint32_t>(random.next());
  m.stop = random_text(random);
  m.stop_token = static_cast<TokenId>(random.next());
}
void fill(ClientError& m, Random& random) {
  m.tag = random.next();
  m.code = static_cast<ErrorCode>(1 + random.below(12));
  m.message = random_text(random);
}
void fill(ClientCancel& m, Random& random) {
  m.tag = random.next();
  m.id = random_text(random);
}
void fill(ClientCancelled& m, Random& random) {
  m.tag = random.next();
  m.found = random.chance(1, 2);
}
void fill(StatusRequest& m, Random& random) {
  m.tag = random.next();
  m.traffic = random.chance(1, 2);
}
void fill(WorkerStatus& m, Random& random) {
  m.name = random_text(random);
  m.pool = random_text(random);
  m.role = static_cast<Role>(random.below(3));
  m.state = static_cast<WorkerState>(random.below(4));
  m.pid = static_cast<std::uint32_t>(random.next());
  fill(m.last, random);
  m.blocks_total = static_cast<std::uint32_t>(random.next());
  m.traffic.resize(random.below(4));
  for (auto& item : m.traffic) fill(item, random);
}
void fill(ClusterEvent& m, Random& random) {
  m.seq = random.next();
  m.kind = static_cast<EventKind>(random.below(7));
  m.age_ns = random_duration(random);
  m.subject = random_text(random);
  m.detail = random_text(random);
}
void fill(EventsRequest& m, Random& random) {
  m.tag = random.next();
  m.after = random.next();
}
void fill(EventsReport& m, Random& random) {
  m.tag = random.next();
  m.life = random.next();
  m.last = random.next();
  m.missed = random.next();
  m.events.resize(random.below(4));
  for (auto& item : m.events) fill(item, random);
}
void fill(ClientAttach& m, Random& random) {
  m.tag = random.next();
  m.id = random_text(random);
  m.from = static_cast<std::uint32_t>(random.next());
}
void fill(StatusReport& m, Random& random) {
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
}
void fill(FsckRequest& m, Random& random) {
  m.tag = random.next();
}
void fill(FsckAccount& m, Random& random) {
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
void fill(FsckReport& m, Random& random) {
  m.tag = random.next();
  m.complete = random.chance(1, 2);
  m.accounts.resize(random.below(4));
  for (auto& item : m.accounts) fill(item, random);
}
using AllMessages = std::tuple<WorkerHello, EdgeHello, JoinAccepted, JoinRefused, PeersJoined, PeerLeft, Heartbeat, HeartbeatAck, AdmitJob, JobAdmitted, JobPlaced, JobFailed, CancelJob, StartPrefill, StartDecode, TokenBatch, JobClosed, Grant, KvHandoff, TransferResult, ClientSubmit, ClientAccepted, ClientTokens, ClientDone, ClientError, ClientCancel, ClientCancelled, StatusRequest, StatusReport, FsckRequest, FsckReport, ClientChoiceDone, JobEnded, TraceRequest, TraceReport, EventsRequest, EventsReport, ClientAttach>;

template <class M>
void round_trip(Random& random) {
  for (int i = 0; i < 20; ++i) {
    M message;
    fill(message, random);
    const Payload payload = encode(message);
    EXPECT_EQ(payload.kind, M::kKind);
    M decoded;
    const auto result = decode(payload, decoded);
    ASSERT_TRUE(result) << M::kKind << ": " << result.error().message;
    // Encoding is a function of the content, so equal bytes mean equal messages.
    EXPECT_EQ(encode(decoded).bytes, payload.bytes) << M::kKind;
  }
}

template <class M>
void mutate(Random& random) {
  for (int i = 0; i < 150; ++i) {
    M message;
    fill(message, random);
    Payload payload = encode(message);
    const std::uint64_t flips = 1 + random.below(4);
    for (std::uint64_t f = 0; f < flips; ++f)
      payload.bytes[random.below(payload.bytes.size())] = static_cast<char>(random.next());
    if (random.chance(1, 3)) payload.bytes.resize(random.below(payload.bytes.size() + 1));
    M decoded;
    if (decode(payload, decoded)) { EXPECT_LE(encode(decoded).bytes.size(), std::size_t{1} << 20); }
  }
}

TEST(Codec, EveryMessageSurvivesTheRoundTrip) {
  Random random(1);
  std::apply([&](auto... m) { (round_trip<decltype(m)>(random), ...); }, AllMessages{});
}

TEST(Codec, MutatedBytesNeverDoHarm) {
  Random random(2);
  std::apply([&](auto... m) { (mutate<decltype(m)>(random), ...); }, AllMessages{});
}

TEST(Codec, KindsAreUnique) {
  std::vector<std::uint16_t> kinds;
  std::apply([&](auto... m) { (kinds.push_back(decltype(m)::kKind), ...); }, AllMessages{});
  std::sort(kinds.begin(), kinds.end());
  EXPECT_EQ(std::adjacent_find(kinds.begin(), kinds.end()), kinds.end());
}

TEST(Codec, RefusesTheWrongKindAndTextsBeyondTheirBound) {
  ClientCancel message;
  message.id = std::string(257, 'x');
  Payload payload = encode(message);
  ClientCancel decoded;
  const auto too_long = decode(payload, decoded);
  ASSERT_FALSE(too_long);
  EXPECT_NE(too_long.error().message.find("id is longer than 256 bytes"), std::string::npos);
  StatusRequest other;
  EXPECT_FALSE(decode(payload, other));
}

TEST(Codec, RefusesDurationsAndTimelinesBeyondTheirBounds) {
  TraceReport report;
  report.timeline.queue_ns = (std::uint64_t{1} << 60) + 1;
  TraceReport decoded;
  EXPECT_FALSE(decode(encode(report), decoded));
  report.timeline.queue_ns = 0;
  report.timeline.attempts.resize(17);
  EXPECT_FALSE(decode(encode(report), decoded));
  report.timeline.attempts.resize(16);
  report.timeline.error = std::string(2049, 'x');
  EXPECT_FALSE(decode(encode(report), decoded));
  report.timeline.error.pop_back();
  EXPECT_TRUE(decode(encode(report), decoded));
  TokenBatch batch;
  batch.timings.push_back({JobId{1}, 1, 2, 0, 0, 0, 0, false});
  TokenBatch other;
  EXPECT_FALSE(decode(encode(batch), other));
}

TEST(Codec, AParameterThatIsAbsentIsOff) {
  AdmitJob message;
  message.sampling.temperature = 0.5F;
  AdmitJob decoded;
  ASSERT_TRUE(decode(encode(message), decoded));
  EXPECT_TRUE(decoded.sampling.lists == nullptr);
  EXPECT_EQ(decoded.sampling.repetition_penalty, 1.0F);
  EXPECT_FALSE(decoded.sampling.logprobs);
  EXPECT_FALSE(decoded.sampling.prompt_logprobs);
  ClientSubmit submit;
  submit.n = 0;
  ClientSubmit received;
  ASSERT_TRUE(decode(encode(submit), received));
  EXPECT_EQ(received.n, 1u);
}

TEST(Codec, KeepsTheSamplingLists) {
  AdmitJob message;
  message.sampling.logprobs = 0;
  message.sampling.prompt_logprobs = 20;
  message.sampling.lists = std::make_shared<SamplingLists>(SamplingLists{{{7, -100.0F}, {8, 0.5F}}, {3, 4}, {{1}, {2, 3, 4}}});
  AdmitJob decoded;
  ASSERT_TRUE(decode(encode(message), decoded));
  ASSERT_TRUE(decoded.sampling.lists != nullptr);
  EXPECT_EQ(*decoded.sampling.lists, *message.sampling.lists);
  EXPECT_EQ(decoded.sampling.logprobs, 0u);
  EXPECT_EQ(decoded.sampling.prompt_logprobs, 20u);
}

TEST(Codec, RefusesSamplingListsFarBeyondTheirBounds) {
  const auto refusal = [](const SamplingLists& lists) {
    AdmitJob message;
    message.sampling.lists = std::make_shared<SamplingLists>(lists);
    AdmitJob decoded;
    const auto result = decode(encode(message), decoded);
    return result ? std::string() : result.error().message;
  };
  EXPECT_EQ(refusal({std::vector<TokenBias>(1024), std::vector<TokenId>(128), std::vector<std::vector<TokenId>>(128, std::vector<TokenId>(257))}), "");
  EXPECT_NE(refusal({{}, std::vector<TokenId>(513), {}}).find("stop_token_ids has more than"), std::string::npos);
  EXPECT_NE(refusal({std::vector<TokenBias>(4097), {}, {}}).find("logit_bias has more than"), std::string::npos);
  EXPECT_NE(refusal({{}, {}, std::vector<std::vector<TokenId>>(129, {1})}).find("bad_words has more than"), std::string::npos);
  EXPECT_NE(refusal({{}, {}, {std::vector<TokenId>(258)}}).find("bad_words has more than"), std::string::npos);
}

TEST(Codec, RefusesEnumerationsThatDoNotExist) {
  JobFailed message;
  message.code = static_cast<ErrorCode>(99);
  JobFailed decoded;
  EXPECT_FALSE(decode(encode(message), decoded));
  message.code = static_cast<ErrorCode>(0);
  EXPECT_FALSE(decode(encode(message), decoded));
}

// A far list pointer with a huge element count of zero-size elements must not cost memory or time.
TEST(Codec, AnEmptyPayloadAndAListBombAreRefused) {
  TokenBatch decoded;
  EXPECT_FALSE(decode(Payload{TokenBatch::kKind, std::string(7, '\0')}, decoded));
  TokenBatch batch;
  batch.tokens.resize(3);
  Payload payload = encode(batch);
  for (std::size_t at = 8; at + 8 <= payload.bytes.size(); at += 8) {
    Payload bomb = payload;
    for (std::size_t i = 0; i < 8; ++i) bomb.bytes[at + i] = static_cast<char>(i == 0 ? 1 : 0xff);
    if (decode(bomb, decoded)) { EXPECT_LE(decoded.tokens.size(), 65536u); }
  }
}

}  // namespace
}  // namespace baton
