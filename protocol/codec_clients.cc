// SPDX-License-Identifier: Apache-2.0
// Cap'n Proto <-> plain structs: clients of the jobs socket. See control.capnp for what the messages mean.
#include "protocol/codec.h"
#include "protocol/codec_detail.h"
#include "protocol/codec_sampling.h"
#include "protocol/codec_timeline.h"

namespace baton {
namespace wire {

static void put(ClientSubmit::Builder b, const baton::ClientSubmit& m) {
  b.setTag(m.tag);
  b.setId(text_of(m.id));
  b.setPrompt(text_of(m.prompt));
  put_numbers(b.initPromptIds(size_of(m.prompt_ids)), m.prompt_ids);
  put(b.initSampling(), m.sampling);
  b.setSeedGiven(m.seed_given);
  b.setMaxTokensGiven(m.max_tokens_given);
  b.setTimeLimitNs(m.time_limit_ns);
  b.setN(m.n);
  if (!m.stop.empty()) put_texts(b.initStop(size_of(m.stop)), m.stop);
  b.setIncludeStop(m.include_stop);
  if (!m.bad_words.empty()) put_texts(b.initBadWords(size_of(m.bad_words)), m.bad_words);
  b.setCacheSalt(text_of(m.cache_salt));
  b.setDetached(m.detached);
}
static void get(ClientSubmit::Reader r, baton::ClientSubmit& m) {
  m.tag = r.getTag();
  m.id = string_of(r.getId(), 256, "id");
  m.prompt = string_of(r.getPrompt(), 4194304, "prompt");
  get_numbers(r.getPromptIds(), m.prompt_ids, kPromptTokensMax, "prompt_ids");
  get(r.getSampling(), m.sampling);
  m.seed_given = r.getSeedGiven();
  m.max_tokens_given = r.getMaxTokensGiven();
  m.time_limit_ns = r.getTimeLimitNs();
  m.n = std::max(r.getN(), 1u);
  get_texts(r.getStop(), m.stop, kSlack * kStopStringsMax, "stop");
  m.include_stop = r.getIncludeStop();
  get_texts(r.getBadWords(), m.bad_words, kSlack * kBadWordsMax, "bad_words");
  m.cache_salt = string_of(r.getCacheSalt(), 256, "cache_salt");
  m.detached = r.getDetached();
}

static void put(ClientAccepted::Builder b, const baton::ClientAccepted& m) {
  b.setTag(m.tag);
  b.setId(text_of(m.id));
  b.setPromptTokens(m.prompt_tokens);
  b.setSeed(m.seed);
}
static void get(ClientAccepted::Reader r, baton::ClientAccepted& m) {
  m.tag = r.getTag();
  m.id = string_of(r.getId(), 256, "id");
  m.prompt_tokens = r.getPromptTokens();
  m.seed = r.getSeed();
}

static void put(ClientLogprob::Builder b, const baton::ClientLogprob& m) {
  b.setToken(m.token);
  b.setLogprob(m.logprob);
  b.setText(data_of(m.text));
}
static void get(ClientLogprob::Reader r, baton::ClientLogprob& m) {
  m.token = r.getToken();
  m.logprob = r.getLogprob();
  m.text = string_of(r.getText(), 4096, "text");
}

static void put(ClientToken::Builder b, const baton::ClientToken& m) {
  b.setIndex(m.index);
  b.setToken(m.token);
  b.setText(data_of(m.text));
  b.setLogprob(m.logprob);
  put_top(b, m.top);
}
static void get(ClientToken::Reader r, baton::ClientToken& m) {
  m.index = r.getIndex();
  m.token = r.getToken();
  m.text = string_of(r.getText(), 1048576, "text");
  m.logprob = r.getLogprob();
  get_list(r.getTop(), m.top, kLogprobsMax, "top");
}

static void put(ClientTokens::Builder b, const baton::ClientTokens& m) {
  b.setTag(m.tag);
  put_list(b.initTokens(size_of(m.tokens)), m.tokens);
  b.setChoice(m.choice);
  if (!m.prompt.empty()) put_list(b.initPrompt(size_of(m.prompt)), m.prompt);
}
static void get(ClientTokens::Reader r, baton::ClientTokens& m) {
  m.tag = r.getTag();
  get_list(r.getTokens(), m.tokens, 65536, "tokens");
  m.choice = r.getChoice();
  get_list(r.getPrompt(), m.prompt, 65536, "prompt");
}

static void put(ClientDone::Builder b, const baton::ClientDone& m) {
  b.setTag(m.tag);
  b.setReason(static_cast<std::uint8_t>(m.reason));
  b.setTail(data_of(m.tail));
  b.setPromptTokens(m.prompt_tokens);
  b.setCompletionTokens(m.completion_tokens);
  b.setQueueNs(m.queue_ns);
  b.setTtftNs(m.ttft_ns);
  b.setTotalNs(m.total_ns);
  b.setPrefillWorker(text_of(m.prefill_worker));
  b.setDecodeWorker(text_of(m.decode_worker));
  b.setKvBytesMoved(m.kv_bytes_moved);
  b.setTransport(text_of(m.transport));
  b.setStop(text_of(m.stop));
  b.setStopToken(m.stop_token);
  b.setKvBytesKnown(m.kv_bytes_known);
  put(b.initTimeline(), m.timeline);
}
static void get(ClientDone::Reader r, baton::ClientDone& m) {
  m.tag = r.getTag();
  m.reason = enum_of<baton::FinishReason>(r.getReason(), 4, "reason");
  m.tail = string_of(r.getTail(), 1048576, "tail");
  m.prompt_tokens = r.getPromptTokens();
  m.completion_tokens = r.getCompletionTokens();
  m.queue_ns = r.getQueueNs();
  m.ttft_ns = r.getTtftNs();
  m.total_ns = r.getTotalNs();
  m.prefill_worker = string_of(r.getPrefillWorker(), 256, "prefill_worker");
  m.decode_worker = string_of(r.getDecodeWorker(), 256, "decode_worker");
  m.kv_bytes_moved = r.getKvBytesMoved();
  m.transport = string_of(r.getTransport(), 64, "transport");
  m.stop = string_of(r.getStop(), kStopStringBytesMax, "stop");
  m.stop_token = r.getStopToken();
  m.kv_bytes_known = r.getKvBytesKnown();
  get(r.getTimeline(), m.timeline);
}

static void put(ClientError::Builder b, const baton::ClientError& m) {
  b.setTag(m.tag);
  b.setCode(static_cast<std::uint16_t>(m.code));
  b.setMessage(text_of(m.message));
  b.setRetryAfterNs(m.retry_after_ns);
}
static void get(ClientError::Reader r, baton::ClientError& m) {
  m.tag = r.getTag();
  m.code = enum_of<baton::ErrorCode>(r.getCode(), 15, "code");
  m.message = string_of(r.getMessage(), 4096, "message");
  m.retry_after_ns = duration_of(r.getRetryAfterNs(), "retry_after_ns");
}

static void put(ClientCancel::Builder b, const baton::ClientCancel& m) {
  b.setTag(m.tag);
  b.setId(text_of(m.id));
}
static void get(ClientCancel::Reader r, baton::ClientCancel& m) {
  m.tag = r.getTag();
  m.id = string_of(r.getId(), 256, "id");
}

static void put(ClientCancelled::Builder b, const baton::ClientCancelled& m) {
  b.setTag(m.tag);
  b.setFound(m.found);
}
static void get(ClientCancelled::Reader r, baton::ClientCancelled& m) {
  m.tag = r.getTag();
  m.found = r.getFound();
}

static void put(StatusRequest::Builder b, const baton::StatusRequest& m) {
  b.setTag(m.tag);
  b.setTraffic(m.traffic);
}
static void get(StatusRequest::Reader r, baton::StatusRequest& m) {
  m.tag = r.getTag();
  m.traffic = r.getTraffic();
}

static void put(WorkerStatus::Builder b, const baton::WorkerStatus& m) {
  b.setName(text_of(m.name));
  b.setPool(text_of(m.pool));
  b.setRole(static_cast<std::uint8_t>(m.role));
  b.setState(static_cast<std::uint8_t>(m.state));
  b.setPid(m.pid);
  put(b.initLast(), m.last);
  b.setBlocksTotal(m.blocks_total);
  if (!m.traffic.empty()) put_list(b.initTraffic(size_of(m.traffic)), m.traffic);
}
static void get(WorkerStatus::Reader r, baton::WorkerStatus& m) {
  m.name = string_of(r.getName(), 256, "name");
  m.pool = string_of(r.getPool(), 256, "pool");
  m.role = enum_of<baton::Role>(r.getRole(), 2, "role");
  m.state = enum_of<baton::WorkerState>(r.getState(), 4, "state");
  m.pid = r.getPid();
  get(r.getLast(), m.last);
  m.blocks_total = r.getBlocksTotal();
  get_list(r.getTraffic(), m.traffic, 8192, "traffic");
}

static void put(AdmissionStatus::Builder b, const baton::AdmissionStatus& m) {
  b.setAdmitted(m.admitted);
  b.setRefusedPredicted(m.refused_predicted);
  b.setRefusedFull(m.refused_full);
  b.setExpired(m.expired);
  b.setResumed(m.resumed);
  b.setOutOfRetries(m.out_of_retries);
  b.setQueued(m.queued);
  b.setQueuedTokens(m.queued_tokens);
  b.setWaitNs(m.wait_ns);
}
static void get(AdmissionStatus::Reader r, baton::AdmissionStatus& m) {
  m.admitted = r.getAdmitted();
  m.refused_predicted = r.getRefusedPredicted();
  m.refused_full = r.getRefusedFull();
  m.expired = r.getExpired();
  m.resumed = r.getResumed();
  m.out_of_retries = r.getOutOfRetries();
  m.queued = r.getQueued();
  m.queued_tokens = r.getQueuedTokens();
  m.wait_ns = duration_of(r.getWaitNs(), "wait_ns");
}

static void put(StatusReport::Builder b, const baton::StatusReport& m) {
  b.setTag(m.tag);
  b.setName(text_of(m.name));
  b.setCoordinatorPid(m.coordinator_pid);
  b.setJobs(m.jobs);
  b.setModelName(text_of(m.model_name));
  b.setMaxModelLen(m.max_model_len);
  b.setBlockTokens(m.block_tokens);
  put_list(b.initWorkers(size_of(m.workers)), m.workers);
  b.setTrafficLeftOut(m.traffic_left_out);
  put(b.initAdmission(), m.admission);
}
static void get(StatusReport::Reader r, baton::StatusReport& m) {
  m.tag = r.getTag();
  m.name = string_of(r.getName(), 256, "name");
  m.coordinator_pid = r.getCoordinatorPid();
  m.jobs = r.getJobs();
  m.model_name = string_of(r.getModelName(), 256, "model_name");
  m.max_model_len = r.getMaxModelLen();
  m.block_tokens = r.getBlockTokens();
  get_list(r.getWorkers(), m.workers, 65536, "workers");
  m.traffic_left_out = r.getTrafficLeftOut();
  get(r.getAdmission(), m.admission);
}

static void put(FsckRequest::Builder b, const baton::FsckRequest& m) {
  b.setTag(m.tag);
}
static void get(FsckRequest::Reader r, baton::FsckRequest& m) {
  m.tag = r.getTag();
}

static void put(FsckAccount::Builder b, const baton::FsckAccount& m) {
  b.setWorker(text_of(m.worker));
  b.setBlocksTotal(m.blocks_total);
  b.setFree(m.free);
  b.setCached(m.cached);
  b.setHeld(m.held);
  b.setLeased(m.leased);
  b.setQuarantined(m.quarantined);
  b.setSequences(m.sequences);
  b.setTransfers(m.transfers);
  put_texts(b.initProblems(size_of(m.problems)), m.problems);
}
static void get(FsckAccount::Reader r, baton::FsckAccount& m) {
  m.worker = string_of(r.getWorker(), 256, "worker");
  m.blocks_total = r.getBlocksTotal();
  m.free = r.getFree();
  m.cached = r.getCached();
  m.held = r.getHeld();
  m.leased = r.getLeased();
  m.quarantined = r.getQuarantined();
  m.sequences = r.getSequences();
  m.transfers = r.getTransfers();
  get_texts(r.getProblems(), m.problems, 1024, "problems");
}

static void put(FsckReport::Builder b, const baton::FsckReport& m) {
  b.setTag(m.tag);
  b.setComplete(m.complete);
  put_list(b.initAccounts(size_of(m.accounts)), m.accounts);
}
static void get(FsckReport::Reader r, baton::FsckReport& m) {
  m.tag = r.getTag();
  m.complete = r.getComplete();
  get_list(r.getAccounts(), m.accounts, 65536, "accounts");
}

static void put(ClientChoiceDone::Builder b, const baton::ClientChoiceDone& m) {
  b.setTag(m.tag);
  b.setChoice(m.choice);
  b.setReason(static_cast<std::uint8_t>(m.reason));
  b.setTail(data_of(m.tail));
  b.setCompletionTokens(m.completion_tokens);
  b.setStop(text_of(m.stop));
  b.setStopToken(m.stop_token);
}
static void get(ClientChoiceDone::Reader r, baton::ClientChoiceDone& m) {
  m.tag = r.getTag();
  m.choice = r.getChoice();
  m.reason = enum_of<baton::FinishReason>(r.getReason(), 4, "reason");
  m.tail = string_of(r.getTail(), 1048576, "tail");
  m.completion_tokens = r.getCompletionTokens();
  m.stop = string_of(r.getStop(), kStopStringBytesMax, "stop");
  m.stop_token = r.getStopToken();
}

}  // namespace wire

void encode(const ClientSubmit& m, std::string& bytes) { wire::encode_as<wire::ClientSubmit>(m, bytes, [](auto b, const auto& x) { put(b, x); }); }
Result<void> decode(const PayloadView& p, ClientSubmit& m) { return wire::decode_as<wire::ClientSubmit>(p, m, [](auto r, auto& x) { get(r, x); }); }
void encode(const ClientAccepted& m, std::string& bytes) { wire::encode_as<wire::ClientAccepted>(m, bytes, [](auto b, const auto& x) { put(b, x); }); }
Result<void> decode(const PayloadView& p, ClientAccepted& m) { return wire::decode_as<wire::ClientAccepted>(p, m, [](auto r, auto& x) { get(r, x); }); }
void encode(const ClientTokens& m, std::string& bytes) { wire::encode_as<wire::ClientTokens>(m, bytes, [](auto b, const auto& x) { put(b, x); }); }
Result<void> decode(const PayloadView& p, ClientTokens& m) { return wire::decode_as<wire::ClientTokens>(p, m, [](auto r, auto& x) { get(r, x); }); }
void encode(const ClientDone& m, std::string& bytes) { wire::encode_as<wire::ClientDone>(m, bytes, [](auto b, const auto& x) { put(b, x); }); }
Result<void> decode(const PayloadView& p, ClientDone& m) { return wire::decode_as<wire::ClientDone>(p, m, [](auto r, auto& x) { get(r, x); }); }
void encode(const ClientError& m, std::string& bytes) { wire::encode_as<wire::ClientError>(m, bytes, [](auto b, const auto& x) { put(b, x); }); }
Result<void> decode(const PayloadView& p, ClientError& m) { return wire::decode_as<wire::ClientError>(p, m, [](auto r, auto& x) { get(r, x); }); }
void encode(const ClientCancel& m, std::string& bytes) { wire::encode_as<wire::ClientCancel>(m, bytes, [](auto b, const auto& x) { put(b, x); }); }
Result<void> decode(const PayloadView& p, ClientCancel& m) { return wire::decode_as<wire::ClientCancel>(p, m, [](auto r, auto& x) { get(r, x); }); }
void encode(const ClientCancelled& m, std::string& bytes) { wire::encode_as<wire::ClientCancelled>(m, bytes, [](auto b, const auto& x) { put(b, x); }); }
Result<void> decode(const PayloadView& p, ClientCancelled& m) { return wire::decode_as<wire::ClientCancelled>(p, m, [](auto r, auto& x) { get(r, x); }); }
void encode(const StatusRequest& m, std::string& bytes) { wire::encode_as<wire::StatusRequest>(m, bytes, [](auto b, const auto& x) { put(b, x); }); }
Result<void> decode(const PayloadView& p, StatusRequest& m) { return wire::decode_as<wire::StatusRequest>(p, m, [](auto r, auto& x) { get(r, x); }); }
void encode(const StatusReport& m, std::string& bytes) { wire::encode_as<wire::StatusReport>(m, bytes, [](auto b, const auto& x) { put(b, x); }); }
Result<void> decode(const PayloadView& p, StatusReport& m) { return wire::decode_as<wire::StatusReport>(p, m, [](auto r, auto& x) { get(r, x); }); }
void encode(const FsckRequest& m, std::string& bytes) { wire::encode_as<wire::FsckRequest>(m, bytes, [](auto b, const auto& x) { put(b, x); }); }
Result<void> decode(const PayloadView& p, FsckRequest& m) { return wire::decode_as<wire::FsckRequest>(p, m, [](auto r, auto& x) { get(r, x); }); }
void encode(const FsckReport& m, std::string& bytes) { wire::encode_as<wire::FsckReport>(m, bytes, [](auto b, const auto& x) { put(b, x); }); }
Result<void> decode(const PayloadView& p, FsckReport& m) { return wire::decode_as<wire::FsckReport>(p, m, [](auto r, auto& x) { get(r, x); }); }
void encode(const ClientChoiceDone& m, std::string& bytes) { wire::encode_as<wire::ClientChoiceDone>(m, bytes, [](auto b, const auto& x) { put(b, x); }); }
Result<void> decode(const PayloadView& p, ClientChoiceDone& m) { return wire::decode_as<wire::ClientChoiceDone>(p, m, [](auto r, auto& x) { get(r, x); }); }

}  // namespace baton
