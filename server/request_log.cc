// SPDX-License-Identifier: Apache-2.0
#include "server/request_log.h"

#include <algorithm>
#include <utility>

#include "actors/job_timeline.h"

namespace baton {
namespace {

// vLLM's buckets, so that dashboards made for it fit.
const std::vector<double> kFirstTokenBounds = {0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80, 160, 640};
const std::vector<double> kTokenBounds = {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80};
const std::vector<double> kRequestBounds = {0.01, 0.05, 0.1, 0.3, 0.5, 0.8, 1, 1.5, 2, 2.5, 5, 10, 15, 20, 30, 40, 50, 60, 120, 240, 480, 960, 1920};

double seconds(Duration duration) { return std::chrono::duration<double>(duration).count(); }
double seconds(std::uint64_t nanoseconds) { return static_cast<double>(nanoseconds) * 1e-9; }

const char* word(RequestLog::Outcome outcome) {
  switch (outcome) {
    case RequestLog::Outcome::kStop: return "stop";
    case RequestLog::Outcome::kLength: return "length";
    case RequestLog::Outcome::kCancelled: return "abort";
    case RequestLog::Outcome::kError: break;
  }
  return "error";
}

}  // namespace

void RequestLog::began(const OpenAiCall& call, Time now, std::function<void()> cancel) {
  Entry& entry = entries_[call.id];
  entry = {};
  entry.id = call.id;
  entry.model = call.model;
  entry.kind = call.kind;
  entry.key = call.key;
  entry.began = now;
  cancels_[call.id] = std::move(cancel);
}

void RequestLog::count(const char* name, const char* help, double more, const MetricLabels& labels) {
  for (const Book& book : books_) {
    MetricLabels all = book.labels;
    all.insert(all.end(), labels.begin(), labels.end());
    book.metrics.count(name, help, all, more);
  }
}

void RequestLog::observe(const char* name, const char* help, const std::vector<double>& bounds, double value, std::uint64_t times) {
  for (const Book& book : books_) book.metrics.observe(name, help, book.labels, bounds, value, times);
}

RequestLog::Entry* RequestLog::running_one(const std::string& id) {
  const auto it = entries_.find(id);
  return it != entries_.end() && it->second.running ? &it->second : nullptr;
}

void RequestLog::prompt(const std::string& id, std::uint32_t tokens) {
  Entry* const entry = running_one(id);
  if (entry == nullptr) return;
  entry->prompt_tokens += tokens;
  count("prompt_tokens_total", "Prompt tokens of requests that the cluster took.", tokens);
}

void RequestLog::tokens(const std::string& id, std::uint32_t number, Time before, Time now) {
  Entry* const entry = running_one(id);
  if (entry == nullptr || number == 0) return;
  if (entry->first_token == Time{}) {
    entry->first_token = now;
    observe("time_to_first_token_seconds", "From a request's body to its first token.", kFirstTokenBounds, seconds(now - entry->began));
  }
  // How long the tokens took that came together with a choice's first one is not known: not 0, for sure.
  if (before != Time{})
    observe("inter_token_latency_seconds", "Between one token of a choice and the next, as they reach the gateway.", kTokenBounds,
            seconds(now - before) / number, number);
  entry->completion_tokens += number;
  count("generation_tokens_total", "Tokens generated for requests.", number);
}

void RequestLog::choice_done(const std::string& id, std::uint32_t tokens, Time first, Time last) {
  if (running_one(id) == nullptr || tokens < 2 || last == first) return;  // all at once: nothing is known of the time for one
  observe("request_time_per_output_token_seconds", "A choice's time from its first token to its last, per token after the first.", kTokenBounds,
          seconds(last - first) / (tokens - 1));
}

void RequestLog::job_done(const std::string& id, const ClientDone& done) {
  Entry* const entry = running_one(id);
  if (entry == nullptr) return;
  entry->prefill_worker = done.prefill_worker;
  entry->decode_worker = done.decode_worker;
  entry->transport = done.transport;
  entry->kv_bytes_moved += done.kv_bytes_moved;
  if (total_ns(done.timeline) >= total_ns(entry->timeline)) entry->timeline = done.timeline;
  observe("request_queue_time_seconds", "From a job's submission to its placement on workers.", kRequestBounds,
                   seconds(done.queue_ns));
  if (done.ttft_ns == 0) return;
  observe("request_prefill_time_seconds", "From a job's placement to its first token.", kRequestBounds,
                   seconds(done.ttft_ns - std::min(done.queue_ns, done.ttft_ns)));
  observe("request_decode_time_seconds", "From a job's first token to its last.", kRequestBounds,
                   seconds(done.total_ns - std::min(done.ttft_ns, done.total_ns)));
  observe("request_inference_time_seconds", "From a job's placement to its last token.", kRequestBounds,
                   seconds(done.total_ns - std::min(done.queue_ns, done.total_ns)));
}

void RequestLog::ended(const std::string& id, Outcome outcome, Time now, const std::string& error) {
  Entry* const entry = running_one(id);
  if (entry == nullptr) return;
  cancels_.erase(id);
  entry->running = false;
  entry->outcome = outcome;
  entry->error = error;
  entry->ended = now;
  count("request_success_total", "Requests that ended, by how: stop, length, abort (cancelled, client gone), error.", 1,
        {{"finished_reason", word(outcome)}});
  observe("e2e_request_latency_seconds", "From a request's body to the end of its answer.", kRequestBounds,
                   seconds(now - entry->began));
  entry->end = ++ends_;
  ended_.emplace_back(id, entry->end);
  while (ended_.size() > kept_max_) {
    // An id that runs again, or has ended again, is not the one that ended then.
    const auto& [name, end] = ended_.front();
    if (const auto oldest = entries_.find(name); oldest != entries_.end() && oldest->second.end == end) entries_.erase(oldest);
    ended_.pop_front();
  }
}

const RequestLog::Entry* RequestLog::find(const std::string& id) const {
  const auto it = entries_.find(id);
  return it == entries_.end() ? nullptr : &it->second;
}

bool RequestLog::cancel(const std::string& id) {
  const auto it = cancels_.find(id);
  if (it == cancels_.end()) return false;
  const auto cancel = it->second;  // a copy: it ends the request, and with that itself
  cancel();
  return true;
}

}  // namespace baton
