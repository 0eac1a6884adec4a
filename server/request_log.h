// SPDX-License-Identifier: Apache-2.0
// RequestLog: what this gateway knows of its requests: those running and the last ones that ended (bounded), for
// /v1/requests/{id}; and their counts and durations, for /metrics. HTTP thread only.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "protocol/messages.h"
#include "runtime/base/time.h"
#include "server/metrics.h"
#include "server/openai_request.h"

namespace baton {

class RequestLog {
 public:
  enum class Outcome : std::uint8_t { kStop, kLength, kCancelled, kError };
  struct Entry {
    std::string id;
    std::string model;
    CallKind kind = CallKind::kCompletion;
    std::optional<std::size_t> key;  // whose it is: nobody else hears of it
    bool running = true;
    Outcome outcome = Outcome::kStop;
    std::string error;  // for kError
    std::uint32_t prompt_tokens = 0;
    std::uint32_t completion_tokens = 0;
    Time began{};
    Time first_token{};  // zero: none yet
    Time ended{};
    std::string prefill_worker;
    std::string decode_worker;
    std::uint64_t kv_bytes_moved = 0;
    std::string transport;
    JobTimeline timeline;  // of the job that took longest
    std::uint64_t end = 0;  // which one of all ends was its
  };

  // Where counts go: `metrics` is borrowed, `labels` are on all of them.
  struct Book {
    Metrics& metrics;
    MetricLabels labels;
  };

  // At most `kept_max` ended requests are remembered.
  explicit RequestLog(std::vector<Book> books, std::size_t kept_max = 4096) : books_(std::move(books)), kept_max_(kept_max) {}

  // `cancel`: ends the request, for DELETE /v1/requests/{id}.
  void began(const OpenAiCall& call, Time now, std::function<void()> cancel);
  void prompt(const std::string& id, std::uint32_t tokens);  // adds to the prompt's tokens
  // Of one choice, whose token before came at `before`; zero: there was none.
  void tokens(const std::string& id, std::uint32_t number, Time before, Time now);
  // A choice has ended, with that many tokens, the first and last of which came then.
  void choice_done(const std::string& id, std::uint32_t tokens, Time first, Time last);
  // Of one job: its workers, bytes and time in the queue.
  void job_done(const std::string& id, const ClientDone& done);
  void ended(const std::string& id, Outcome outcome, Time now, const std::string& error = {});

  const Entry* find(const std::string& id) const;
  bool cancel(const std::string& id);  // false: unknown or ended
  std::size_t running() const { return cancels_.size(); }

 private:
  Entry* running_one(const std::string& id);

  void count(const char* name, const char* help, double more, const MetricLabels& labels = {});
  void observe(const char* name, const char* help, const std::vector<double>& bounds, double value, std::uint64_t times = 1);

  const std::vector<Book> books_;
  const std::size_t kept_max_;
  std::map<std::string, Entry> entries_;
  std::map<std::string, std::function<void()>> cancels_;
  std::deque<std::pair<std::string, std::uint64_t>> ended_;  // with Entry::end
  std::uint64_t ends_ = 0;
};

}  // namespace baton
