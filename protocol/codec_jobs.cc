// SPDX-License-Identifier: Apache-2.0
// Cap'n Proto <-> plain structs: a job inside the cluster. See control.capnp for what the messages mean.
#include "protocol/codec.h"
#include "protocol/codec_detail.h"
#include "protocol/codec_sampling.h"
#include "protocol/sampling_limits.h"

namespace baton {
namespace wire {

static void put(AdmitJob::Builder b, const baton::AdmitJob& m) {
  b.setJob(m.job.value);
  put_numbers(b.initPrompt(size_of(m.prompt)), m.prompt);
  put(b.initSampling(), m.sampling);
  b.setSeedGiven(m.seed_given);
  b.setTimeLimitNs(m.time_limit_ns);
  b.setCacheSalt(text_of(m.cache_salt));
  if (!m.client.empty()) b.setClient(data_of(m.client));
}
static void get(AdmitJob::Reader r, baton::AdmitJob& m) {
  m.job.value = r.getJob();
  get_numbers(r.getPrompt(), m.prompt, kPromptTokensMax, "prompt");
  get(r.getSampling(), m.sampling);
  m.seed_given = r.getSeedGiven();
  m.time_limit_ns = r.getTimeLimitNs();
  m.cache_salt = string_of(r.getCacheSalt(), 128, "cache_salt");
  m.client = string_of(r.getClient(), kClientBytesMax, "client");
}

static void put(JobAdmitted::Builder b, const baton::JobAdmitted& m) {
  b.setJob(m.job.value);
  b.setSeed(m.seed);
}
static void get(JobAdmitted::Reader r, baton::JobAdmitted& m) {
  m.job.value = r.getJob();
  m.seed = r.getSeed();
}

static void put(JobPlaced::Builder b, const baton::JobPlaced& m) {
  b.setJob(m.job.value);
  b.setEpoch(m.epoch);
  b.setPrefillWorker(text_of(m.prefill_worker));
  b.setDecodeWorker(text_of(m.decode_worker));
}
static void get(JobPlaced::Reader r, baton::JobPlaced& m) {
  m.job.value = r.getJob();
  m.epoch = r.getEpoch();
  m.prefill_worker = string_of(r.getPrefillWorker(), 256, "prefill_worker");
  m.decode_worker = string_of(r.getDecodeWorker(), 256, "decode_worker");
}

static void put(JobFailed::Builder b, const baton::JobFailed& m) {
  b.setJob(m.job.value);
  b.setEpoch(m.epoch);
  b.setCode(static_cast<std::uint16_t>(m.code));
  b.setMessage(text_of(m.message));
  b.setRetryAfterNs(m.retry_after_ns);
}
static void get(JobFailed::Reader r, baton::JobFailed& m) {
  m.job.value = r.getJob();
  m.epoch = r.getEpoch();
  m.code = enum_of<baton::ErrorCode>(r.getCode(), 15, "code");
  m.message = string_of(r.getMessage(), 4096, "message");
  m.retry_after_ns = duration_of(r.getRetryAfterNs(), "retry_after_ns");
}

static void put(CancelJob::Builder b, const baton::CancelJob& m) {
  b.setJob(m.job.value);
  b.setEpoch(m.epoch);
}
static void get(CancelJob::Reader r, baton::CancelJob& m) {
  m.job.value = r.getJob();
  m.epoch = r.getEpoch();
}

static void put(StartPrefill::Builder b, const baton::StartPrefill& m) {
  b.setJob(m.job.value);
  b.setEpoch(m.epoch);
  put(b.initEdge(), m.edge);
  put(b.initDecode(), m.decode);
  put_numbers(b.initPrompt(size_of(m.prompt)), m.prompt);
  put(b.initSampling(), m.sampling);
  b.setCacheSalt(text_of(m.cache_salt));
  if (!m.emitted.empty()) put_numbers(b.initEmitted(size_of(m.emitted)), m.emitted);
  b.setFetch(m.fetch);
}
static void get(StartPrefill::Reader r, baton::StartPrefill& m) {
  m.job.value = r.getJob();
  m.epoch = r.getEpoch();
  get(r.getEdge(), m.edge);
  get(r.getDecode(), m.decode);
  get_numbers(r.getPrompt(), m.prompt, kPromptTokensMax, "prompt");
  get(r.getSampling(), m.sampling);
  m.cache_salt = string_of(r.getCacheSalt(), 128, "cache_salt");
  get_numbers(r.getEmitted(), m.emitted, kPromptTokensMax, "emitted");
  m.fetch = r.getFetch();
}

static void put(StartDecode::Builder b, const baton::StartDecode& m) {
  b.setJob(m.job.value);
  b.setEpoch(m.epoch);
  put(b.initEdge(), m.edge);
  put(b.initPrefill(), m.prefill);
  put_numbers(b.initPrompt(size_of(m.prompt)), m.prompt);
  put(b.initSampling(), m.sampling);
  b.setCacheSalt(text_of(m.cache_salt));
  if (!m.emitted.empty()) put_numbers(b.initEmitted(size_of(m.emitted)), m.emitted);
  b.setFetch(m.fetch);
}
static void get(StartDecode::Reader r, baton::StartDecode& m) {
  m.job.value = r.getJob();
  m.epoch = r.getEpoch();
  get(r.getEdge(), m.edge);
  get(r.getPrefill(), m.prefill);
  get_numbers(r.getPrompt(), m.prompt, kPromptTokensMax, "prompt");
  get(r.getSampling(), m.sampling);
  m.cache_salt = string_of(r.getCacheSalt(), 128, "cache_salt");
  get_numbers(r.getEmitted(), m.emitted, kPromptTokensMax, "emitted");
  m.fetch = r.getFetch();
}

static void put(TokenItem::Builder b, const baton::TokenItem& m) {
  b.setJob(m.job.value);
  b.setEpoch(m.epoch);
  b.setIndex(m.index);
  b.setToken(m.token);
  b.setLogprob(m.logprob);
  put_top(b, m.top);
}
static void get(TokenItem::Reader r, baton::TokenItem& m) {
  m.job.value = r.getJob();
  m.epoch = r.getEpoch();
  m.index = r.getIndex();
  m.token = r.getToken();
  m.logprob = r.getLogprob();
  get_list(r.getTop(), m.top, kLogprobsMax, "top");
}

static void put(JobFinish::Builder b, const baton::JobFinish& m) {
  b.setJob(m.job.value);
  b.setEpoch(m.epoch);
  b.setReason(static_cast<std::uint8_t>(m.reason));
  b.setTokens(m.tokens);
  b.setKvBytesMoved(m.kv_bytes_moved);
  b.setTransport(text_of(m.transport));
  b.setPreemptions(m.preemptions);
}
static void get(JobFinish::Reader r, baton::JobFinish& m) {
  m.job.value = r.getJob();
  m.epoch = r.getEpoch();
  m.reason = enum_of<baton::FinishReason>(r.getReason(), 4, "reason");
  m.tokens = r.getTokens();
  m.kv_bytes_moved = r.getKvBytesMoved();
  m.transport = string_of(r.getTransport(), 64, "transport");
  m.preemptions = r.getPreemptions();
}

static void put(JobRelease::Builder b, const baton::JobRelease& m) {
  b.setJob(m.job.value);
  b.setEpoch(m.epoch);
}
static void get(JobRelease::Reader r, baton::JobRelease& m) {
  m.job.value = r.getJob();
  m.epoch = r.getEpoch();
}

static void put(TokenTiming::Builder b, const baton::TokenTiming& m) {
  b.setJob(m.job.value);
  b.setEpoch(m.epoch);
  b.setIndex(m.index);
  b.setWaitingNs(m.waiting_ns);
  b.setComputingNs(m.computing_ns);
  b.setTransferNs(m.transfer_ns);
  b.setCachedTokens(m.cached_tokens);
  b.setMissed(m.missed);
  b.setPreemptions(m.preemptions);
}
static void get(TokenTiming::Reader r, baton::TokenTiming& m) {
  m.job.value = r.getJob();
  m.epoch = r.getEpoch();
  m.index = r.getIndex();
  if (m.index > 1) throw Violation("a timing is of token 0 or 1");
  m.waiting_ns = duration_of(r.getWaitingNs(), "waiting_ns");
  m.computing_ns = duration_of(r.getComputingNs(), "computing_ns");
  m.transfer_ns = duration_of(r.getTransferNs(), "transfer_ns");
  m.cached_tokens = r.getCachedTokens();
  m.missed = r.getMissed();
  m.preemptions = r.getPreemptions();
}

static void put(TokenBatch::Builder b, const baton::TokenBatch& m) {
  put_list(b.initTokens(size_of(m.tokens)), m.tokens);
  put_list(b.initFinished(size_of(m.finished)), m.finished);
  put_list(b.initReleased(size_of(m.released)), m.released);
  if (!m.prompt.empty()) put_list(b.initPrompt(size_of(m.prompt)), m.prompt);
  if (!m.timings.empty()) put_list(b.initTimings(size_of(m.timings)), m.timings);
}
static void get(TokenBatch::Reader r, baton::TokenBatch& m) {
  get_list(r.getTokens(), m.tokens, 65536, "tokens");
  get_list(r.getFinished(), m.finished, 65536, "finished");
  get_list(r.getReleased(), m.released, 65536, "released");
  get_list(r.getPrompt(), m.prompt, 65536, "prompt");
  get_list(r.getTimings(), m.timings, 65536, "timings");
}

static void put(HeldJob::Builder b, const baton::HeldJob& m) {
  b.setJob(m.job.value);
  b.setEpoch(m.epoch);
  b.setKind(static_cast<std::uint8_t>(m.kind));
  put_numbers(b.initTokens(size_of(m.tokens)), m.tokens);
  b.setFinished(m.finished);
  put(b.initFinish(), m.finish);
}
static void get(HeldJob::Reader r, baton::HeldJob& m) {
  m.job.value = r.getJob();
  m.epoch = r.getEpoch();
  m.kind = enum_of<baton::HeldKind>(r.getKind(), 2, "kind");
  get_numbers(r.getTokens(), m.tokens, kPromptTokensMax, "tokens");
  m.finished = r.getFinished();
  get(r.getFinish(), m.finish);
}

static void put(JobReport::Builder b, const baton::JobReport& m) { put_list(b.initJobs(size_of(m.jobs)), m.jobs); }
static void get(JobReport::Reader r, baton::JobReport& m) { get_list(r.getJobs(), m.jobs, 65536, "jobs"); }

static void put(OpenStream::Builder b, const baton::OpenStream& m) {
  b.setJob(m.job.value);
  b.setEpoch(m.epoch);
}
static void get(OpenStream::Reader r, baton::OpenStream& m) {
  m.job.value = r.getJob();
  m.epoch = r.getEpoch();
}

static void put(EdgeReport::Builder b, const baton::EdgeReport& m) {
  put_list(b.initStreams(size_of(m.streams)), m.streams);
  b.setLast(m.last);
}
static void get(EdgeReport::Reader r, baton::EdgeReport& m) {
  get_list(r.getStreams(), m.streams, 65536, "streams");
  m.last = r.getLast();
}

static void put(AdoptJob::Builder b, const baton::AdoptJob& m) {
  b.setJob(m.job.value);
  put_numbers(b.initPrompt(size_of(m.prompt)), m.prompt);
  put(b.initSampling(), m.sampling);
  b.setClient(data_of(m.client));
}
static void get(AdoptJob::Reader r, baton::AdoptJob& m) {
  m.job.value = r.getJob();
  get_numbers(r.getPrompt(), m.prompt, kPromptTokensMax, "prompt");
  get(r.getSampling(), m.sampling);
  m.client = string_of(r.getClient(), kClientBytesMax, "client");
}

static void put(JobRecord::Builder b, const baton::JobRecord& m) {
  put(b.initAdmit(), m.admit);
  b.setEdge(m.edge.value);
  b.setEdgeLife(m.edge_life.value);
  b.setOrder(m.order);
}
static void get(JobRecord::Reader r, baton::JobRecord& m) {
  get(r.getAdmit(), m.admit);
  m.edge.value = r.getEdge();
  m.edge_life.value = r.getEdgeLife();
  m.order = r.getOrder();
}

static void put(RelayedBatch::Builder b, const baton::RelayedBatch& m) {
  put(b.initEdge(), m.edge);
  put(b.initBatch(), m.batch);
}
static void get(RelayedBatch::Reader r, baton::RelayedBatch& m) {
  get(r.getEdge(), m.edge);
  get(r.getBatch(), m.batch);
}

static void put(JobClosed::Builder b, const baton::JobClosed& m) {
  b.setJob(m.job.value);
}
static void get(JobClosed::Reader r, baton::JobClosed& m) {
  m.job.value = r.getJob();
}

}  // namespace wire

void encode(const AdmitJob& m, std::string& bytes) { wire::encode_as<wire::AdmitJob>(m, bytes, [](auto b, const auto& x) { put(b, x); }); }
Result<void> decode(const PayloadView& p, AdmitJob& m) { return wire::decode_as<wire::AdmitJob>(p, m, [](auto r, auto& x) { get(r, x); }); }
void encode(const JobAdmitted& m, std::string& bytes) { wire::encode_as<wire::JobAdmitted>(m, bytes, [](auto b, const auto& x) { put(b, x); }); }
Result<void> decode(const PayloadView& p, JobAdmitted& m) { return wire::decode_as<wire::JobAdmitted>(p, m, [](auto r, auto& x) { get(r, x); }); }
void encode(const JobPlaced& m, std::string& bytes) { wire::encode_as<wire::JobPlaced>(m, bytes, [](auto b, const auto& x) { put(b, x); }); }
Result<void> decode(const PayloadView& p, JobPlaced& m) { return wire::decode_as<wire::JobPlaced>(p, m, [](auto r, auto& x) { get(r, x); }); }
void encode(const JobFailed& m, std::string& bytes) { wire::encode_as<wire::JobFailed>(m, bytes, [](auto b, const auto& x) { put(b, x); }); }
Result<void> decode(const PayloadView& p, JobFailed& m) { return wire::decode_as<wire::JobFailed>(p, m, [](auto r, auto& x) { get(r, x); }); }
void encode(const CancelJob& m, std::string& bytes) { wire::encode_as<wire::CancelJob>(m, bytes, [](auto b, const auto& x) { put(b, x); }); }
Result<void> decode(const PayloadView& p, CancelJob& m) { return wire::decode_as<wire::CancelJob>(p, m, [](auto r, auto& x) { get(r, x); }); }
void encode(const StartPrefill& m, std::string& bytes) { wire::encode_as<wire::StartPrefill>(m, bytes, [](auto b, const auto& x) { put(b, x); }); }
Result<void> decode(const PayloadView& p, StartPrefill& m) { return wire::decode_as<wire::StartPrefill>(p, m, [](auto r, auto& x) { get(r, x); }); }
void encode(const StartDecode& m, std::string& bytes) { wire::encode_as<wire::StartDecode>(m, bytes, [](auto b, const auto& x) { put(b, x); }); }
Result<void> decode(const PayloadView& p, StartDecode& m) { return wire::decode_as<wire::StartDecode>(p, m, [](auto r, auto& x) { get(r, x); }); }
void encode(const TokenBatch& m, std::string& bytes) { wire::encode_as<wire::TokenBatch>(m, bytes, [](auto b, const auto& x) { put(b, x); }); }
Result<void> decode(const PayloadView& p, TokenBatch& m) { return wire::decode_as<wire::TokenBatch>(p, m, [](auto r, auto& x) { get(r, x); }); }
void encode(const JobClosed& m, std::string& bytes) { wire::encode_as<wire::JobClosed>(m, bytes, [](auto b, const auto& x) { put(b, x); }); }
Result<void> decode(const PayloadView& p, JobClosed& m) { return wire::decode_as<wire::JobClosed>(p, m, [](auto r, auto& x) { get(r, x); }); }
void encode(const RelayedBatch& m, std::string& bytes) { wire::encode_as<wire::RelayedBatch>(m, bytes, [](auto b, const auto& x) { put(b, x); }); }
Result<void> decode(const PayloadView& p, RelayedBatch& m) { return wire::decode_as<wire::RelayedBatch>(p, m, [](auto r, auto& x) { get(r, x); }); }
void encode(const JobReport& m, std::string& bytes) { wire::encode_as<wire::JobReport>(m, bytes, [](auto b, const auto& x) { put(b, x); }); }
Result<void> decode(const PayloadView& p, JobReport& m) { return wire::decode_as<wire::JobReport>(p, m, [](auto r, auto& x) { get(r, x); }); }
void encode(const EdgeReport& m, std::string& bytes) { wire::encode_as<wire::EdgeReport>(m, bytes, [](auto b, const auto& x) { put(b, x); }); }
Result<void> decode(const PayloadView& p, EdgeReport& m) { return wire::decode_as<wire::EdgeReport>(p, m, [](auto r, auto& x) { get(r, x); }); }
void encode(const AdoptJob& m, std::string& bytes) { wire::encode_as<wire::AdoptJob>(m, bytes, [](auto b, const auto& x) { put(b, x); }); }
Result<void> decode(const PayloadView& p, AdoptJob& m) { return wire::decode_as<wire::AdoptJob>(p, m, [](auto r, auto& x) { get(r, x); }); }
void encode(const JobRecord& m, std::string& bytes) { wire::encode_as<wire::JobRecord>(m, bytes, [](auto b, const auto& x) { put(b, x); }); }
Result<void> decode(const PayloadView& p, JobRecord& m) { return wire::decode_as<wire::JobRecord>(p, m, [](auto r, auto& x) { get(r, x); }); }

}  // namespace baton
