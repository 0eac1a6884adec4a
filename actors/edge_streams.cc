// SPDX-License-Identifier: Apache-2.0
// Streams: tokens in order, as text, cut at stop strings; and the ends of choices and requests.
#include <algorithm>
#include <utility>

#include "actors/edge.h"

namespace baton {
namespace {

constexpr std::size_t kAttemptsMax = 16;  // remembered
constexpr std::size_t kTokensPerMessage = 512;  // each with up to 20 likeliest ones beside it

std::uint64_t nanoseconds(Duration duration) { return static_cast<std::uint64_t>(std::max<std::int64_t>(duration.count(), 0)); }

bool contains(const std::vector<TokenId>& ids, TokenId token) { return std::find(ids.begin(), ids.end(), token) != ids.end(); }

}  // namespace

void Edge::on(const JobAdmitted& admitted, Outbox& out) {
  const auto it = streams_.find(admitted.job);
  if (out.sender() != coordinator_ || it == streams_.end() || std::exchange(it->second.admitted, true)) return;
  it->second.asked.reset();
  Request& request = requests_.at(it->second.request);
  if (++request.admitted < request.jobs.size()) return;
  request.accepted = true;
  tell(request, ClientAccepted{request.tag, request.id, request.prompt_tokens, admitted.seed}, out);
  // A quick worker's tokens, or its whole answer, may have come before word of the admission: they waited.
  const std::vector<JobId> jobs = request.jobs;
  for (const JobId job : jobs) advance(job, out);
}

// False: what comes under this epoch is no longer wanted.
bool Edge::raise_epoch(Stream& stream, Epoch epoch) {
  if (epoch < stream.epoch) return false;
  if (epoch > stream.epoch) stream.finish.reset();  // of an attempt that is over; its tokens stay, and must come out equal
  stream.epoch = epoch;
  return true;
}

void Edge::on(const JobPlaced& placed, Outbox& out) {
  const auto it = streams_.find(placed.job);
  if (out.sender() != coordinator_ || it == streams_.end() || !raise_epoch(it->second, placed.epoch)) return;
  Request& request = requests_.at(it->second.request);
  if (!request.marks.placed) request.marks.placed = out.now();
  if (it->second.choice == 0 && request.attempts.size() < kAttemptsMax)
    request.attempts.push_back({placed.epoch, nanoseconds(out.now() - request.marks.submitted), placed.prefill_worker, placed.decode_worker});
  request.summary.prefill_worker = placed.prefill_worker;
  request.summary.decode_worker = placed.decode_worker;
}

void Edge::on(const JobFailed& failed, Outbox& out) {
  const auto it = streams_.find(failed.job);
  if (out.sender() == coordinator_ && it != streams_.end()) fail_request(it->second.request, failed.code, failed.message, out, failed.retry_after_ns);
}

// An attempt is over. Where no position is missing the next one begins behind what is here.
void Edge::on(const ResumeQuery& query, Outbox& out) {
  const auto it = streams_.find(query.job);
  if (out.sender() != coordinator_ || it == streams_.end() || !raise_epoch(it->second, query.epoch)) return;
  const Stream& stream = it->second;
  ResumePoint point{query.job, query.epoch, stream.delivered, stream.prompt_known < stream.prompt_due};
  for (auto next = stream.early.find(static_cast<std::uint32_t>(point.tokens.size())); next != stream.early.end() && next->first == point.tokens.size(); ++next)
    point.tokens.push_back(next->second.token);
  out.send(coordinator_, point);
}

void Edge::take_batch(const TokenBatch& batch, Outbox& out) {
  std::set<JobId> touched;
  const auto stream_of = [&](JobId job, Epoch epoch) -> Stream* {
    const auto it = streams_.find(job);
    if (it == streams_.end() || !raise_epoch(it->second, epoch)) return nullptr;
    touched.insert(job);
    return &it->second;
  };
  for (const TokenTiming& timing : batch.timings)
    if (Stream* stream = stream_of(timing.job, timing.epoch)) take_timing(*stream, timing);
  for (const TokenItem& item : batch.prompt)
    if (Stream* stream = stream_of(item.job, item.epoch)) take_prompt(*stream, item);
  for (const TokenItem& item : batch.tokens) {
    Stream* stream = stream_of(item.job, item.epoch);
    if (stream == nullptr) continue;
    const std::string wrong = note_token(*stream, item);
    if (wrong.empty()) continue;
    const RequestId id = stream->request;
    cancel_jobs(requests_.at(id), out);
    fail_request(id, ErrorCode::kCorrupt, wrong, out);
  }
  for (const JobFinish& finish : batch.finished)
    if (Stream* stream = stream_of(finish.job, finish.epoch)) stream->finish = finish;
  for (const JobId job : touched) advance(job, out);
}

bool Edge::known(const TokenItem& item) const {
  const auto inside = [this](TokenId token) { return token >= 0 && static_cast<std::uint32_t>(token) < tokenizer_.vocab_size(); };
  return inside(item.token) && std::all_of(item.top.begin(), item.top.end(), [&](const TokenLogprob& each) { return inside(each.token); });
}

// Notes a token for its position. Not empty: why the stream must end, for it contradicts one that is known or cannot be.
std::string Edge::note_token(Stream& stream, const TokenItem& item) {
  const bool delivered = item.index < stream.delivered.size();
  const bool equal = delivered ? stream.delivered[item.index] == item.token
                               : stream.early.emplace(item.index, item).first->second.token == item.token;
  if (!known(item)) return "a worker sent token " + std::to_string(item.index) + " outside the vocabulary; the stream was stopped there";
  return equal ? "" : "two workers disagree about token " + std::to_string(item.index) + "; the stream was stopped there";
}

// Whoever computes the prompt sends all of it in order; a second attempt begins anew and its first ones are known.
void Edge::take_prompt(Stream& stream, const TokenItem& item) {
  if (stream.prompt_known == stream.prompt_due || item.index != stream.prompt_known + 1 || !known(item)) return;
  ++stream.prompt_known;
  stream.prompt.push_back(item);
}

// Sends what can be sent of a stream, and ends it if that was all.
void Edge::advance(JobId job, Outbox& out) {
  const auto it = streams_.find(job);
  if (it == streams_.end()) return;
  Stream& stream = it->second;
  Request& request = requests_.at(stream.request);
  if (!request.accepted) return;
  send_prompt(stream, request, out);
  if (stream.prompt_known < stream.prompt_due) return;
  deliver(stream, request, out);
  if (stream.stops.matched()) return end_choice(job, FinishReason::kStop, out);
  if (!stream.finish || stream.delivered.size() < stream.finish->tokens) return;
  if (stream.delivered.size() > stream.finish->tokens)
    return fail_request(stream.request, ErrorCode::kCorrupt, "the stream has more tokens than its worker counts", out);
  end_choice(job, stream.finish->reason, out);
}

ClientToken Edge::client_token(const TokenItem& item, std::string text) const {
  ClientToken token{item.index, item.token, std::move(text), item.logprob, {}};
  for (const TokenLogprob& each : item.top) token.top.push_back({each.token, each.logprob, tokenizer_.token_bytes(each.token, true)});
  return token;
}

void Edge::send_prompt(Stream& stream, const Request& request, Outbox& out) {
  ClientTokens message{request.tag, {}, stream.choice, {}};
  for (const TokenItem& item : std::exchange(stream.prompt, {})) {
    message.prompt.push_back(client_token(item, tokenizer_.token_bytes(item.token, true)));
    if (message.prompt.size() < kTokensPerMessage) continue;
    tell(request, message, out);
    message.prompt.clear();
  }
  if (!message.prompt.empty()) tell(request, message, out);
}

void Edge::deliver(Stream& stream, Request& request, Outbox& out) {
  ClientTokens message{request.tag, {}, stream.choice, {}};
  for (auto next = stream.early.begin(); next != stream.early.end() && next->first == stream.delivered.size(); next = stream.early.erase(next)) {
    if (stream.stops.matched()) break;
    const TokenItem& item = next->second;
    mark_token(stream, request, item.index, out.now());
    stream.delivered.push_back(item.token);
    // An id that ends the job is not part of the answer's text, any more than a stop string is.
    const bool silent = !request.include_stop && contains(request.sampling.stop_token_ids(), item.token);
    const std::string text = silent ? std::string() : stream.text.push(item.token);
    message.tokens.push_back(client_token(item, stream.stops.push(text, stream.delivered.size() > request.sampling.min_tokens)));
    if (message.tokens.size() < kTokensPerMessage) continue;
    tell(request, message, out);
    message.tokens.clear();
  }
  if (!message.tokens.empty()) tell(request, message, out);
}

// ---- ends ----------------------------------------------------------------------------------------------------------

// The coordinator withdraws a job from its workers if they have not finished it: a stop string or a cancellation came first.
void Edge::close_stream(JobId job, Outbox& out) {
  streams_.erase(job);
  out.send(coordinator_, JobClosed{job});
}

void Edge::end_choice(JobId job, FinishReason reason, Outbox& out) {
  Stream& stream = streams_.at(job);
  const RequestId id = stream.request;
  Request& request = requests_.at(id);
  ClientChoiceDone done;
  done.tag = request.tag;
  done.choice = stream.choice;
  // A cancelled answer is not finished: what its last bytes would become may not end it by a stop string after all.
  if (reason != FinishReason::kCancelled)
    done.tail = stream.stops.push(stream.text.flush(), stream.delivered.size() > request.sampling.min_tokens);
  done.tail += stream.stops.flush();
  done.reason = stream.stops.matched() ? FinishReason::kStop : reason;
  done.completion_tokens = static_cast<std::uint32_t>(stream.delivered.size());
  if (const auto matched = stream.stops.matched()) done.stop = request.stop[*matched];
  else if (reason == FinishReason::kStop && !stream.delivered.empty() && contains(request.sampling.stop_token_ids(), stream.delivered.back()))
    done.stop_token = stream.delivered.back();

  ClientDone& summary = request.summary;
  summary.completion_tokens += done.completion_tokens;
  // Of several choices the summary says that one was cancelled, or else cut short.
  const bool first = request.open.size() == request.jobs.size();
  const bool graver = done.reason == FinishReason::kCancelled || (done.reason == FinishReason::kLength && summary.reason == FinishReason::kStop);
  if (first || graver) summary.reason = done.reason;
  summary.kv_bytes_known &= stream.finish.has_value();
  if (stream.finish) {
    summary.kv_bytes_moved += stream.finish->kv_bytes_moved;
    request.preemptions += stream.finish->preemptions;
    if (!stream.finish->transport.empty()) summary.transport = stream.finish->transport;
  }
  if (request.jobs.size() > 1) {
    tell(request, done, out);
  } else {
    summary.tail = done.tail;
    summary.stop = done.stop;
    summary.stop_token = done.stop_token;
  }
  request.open.erase(stream.choice);
  close_stream(job, out);
  if (request.open.empty()) finish_request(id, out);
}

void Edge::finish_request(RequestId id, Outbox& out) {
  const Request& request = requests_.at(id);
  ClientDone done = request.summary;
  done.tag = request.tag;
  done.prompt_tokens = request.prompt_tokens;
  done.timeline = report_end(request, JobState::kDone, done.reason, {}, out);
  done.queue_ns = done.timeline.queue_ns;
  if (request.marks.first) done.ttft_ns = ttft_ns(done.timeline);
  done.total_ns = total_ns(done.timeline);
  if (!done.kv_bytes_known) done.kv_bytes_moved = 0;
  tell(request, done, out);
  forget(id);
}

void Edge::cancel_request(RequestId id, Outbox& out) {
  const Request& request = requests_.at(id);
  cancel_jobs(request, out);
  const std::set<std::uint32_t> open = request.open;
  const std::vector<JobId> jobs = request.jobs;
  for (const std::uint32_t choice : open) end_choice(jobs[choice], FinishReason::kCancelled, out);  // the last one ends the request
}

void Edge::fail_request(RequestId id, ErrorCode code, const std::string& message, Outbox& out, std::uint64_t retry_after_ns) {
  const Request& request = requests_.at(id);
  tell(request, ClientError{request.tag, code, message, retry_after_ns}, out);
  report_end(request, JobState::kFailed, FinishReason::kError, message, out);
  for (const std::uint32_t choice : request.open) close_stream(request.jobs[choice], out);
  forget(id);
}

void Edge::cancel_jobs(const Request& request, Outbox& out) {
  for (const std::uint32_t choice : request.open) out.send(coordinator_, CancelJob{request.jobs[choice], streams_.at(request.jobs[choice]).epoch});
}

void Edge::forget(RequestId id) {
  const auto it = requests_.find(id);
  by_id_.erase(it->second.id);
  adopted_.erase(it->second.id);
  const auto client = by_client_.find({it->second.client.node, it->second.client.incarnation});
  if (client != by_client_.end()) {
    client->second.erase(id);
    if (client->second.empty()) by_client_.erase(client);
  }
  requests_.erase(it);
}

}  // namespace baton
