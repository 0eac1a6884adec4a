// SPDX-License-Identifier: Apache-2.0
#include "launcher/load_generator.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <memory>
#include <thread>
#include <utility>
#include <variant>

#include "launcher/jobs_client.h"
#include "runtime/base/hash.h"

namespace baton {
namespace {

using Clock = std::chrono::steady_clock;

constexpr Duration kConnectLimit = std::chrono::seconds(5);
// Ids that every vocabulary has and that mean plain text in all we know: no control tokens.
constexpr std::uint32_t kFirstId = 32;
constexpr std::uint32_t kIds = 64;

double seconds_between(Clock::time_point begin, Clock::time_point end) { return std::chrono::duration<double>(end - begin).count(); }

std::vector<TokenId> make_prompt(const LoadPlan& plan, std::uint32_t index) {
  std::vector<TokenId> prompt(plan.prompt_tokens[index % plan.prompt_tokens.size()]);
  for (std::size_t i = 0; i < prompt.size(); ++i) {
    const std::uint64_t whose = i < plan.shared_prefix ? 0 : index + 1;
    prompt[i] = static_cast<TokenId>(kFirstId + mix64(mix64(plan.seed, whose), i) % kIds);
  }
  return prompt;
}

// Times one job as its events come.
class Stopwatch {
 public:
  explicit Stopwatch(JobTimes& times) : times_(times), begin_(Clock::now()), last_(begin_) {}

  void on(const JobsClient::Event& event) {
    const Clock::time_point now = Clock::now();
    if (const auto* tokens = std::get_if<ClientTokens>(&event)) {
      add(tokens->tokens.size(), now);
    } else if (const auto* done = std::get_if<ClientDone>(&event)) {
      times_.total = seconds_between(begin_, now);
      times_.prompt_tokens = done->prompt_tokens;
      times_.completion_tokens = done->completion_tokens;
      times_.kv_bytes_moved = done->kv_bytes_moved;
      if (done->reason != FinishReason::kLength) times_.error = "it ended before its last token";
    } else if (const auto* error = std::get_if<ClientError>(&event)) {
      times_.error = error->message;
    }
  }

 private:
  void add(std::size_t count, Clock::time_point now) {
    if (count == 0) return;
    const bool first = begin_ == last_;
    if (first) times_.ttft = seconds_between(begin_, now);
    else times_.token_gaps.insert(times_.token_gaps.end(), count, seconds_between(last_, now) / static_cast<double>(count));
    last_ = now;
  }

  JobTimes& times_;
  const Clock::time_point begin_;
  Clock::time_point last_;
};

class Load {
 public:
  Load(const LoadPlan& plan, const std::function<bool()>& interrupted) : plan_(plan), interrupted_(interrupted), per_stream_(plan.concurrency) {}

  Result<LoadTimes> run() {
    std::vector<std::unique_ptr<JobsClient>> clients;
    for (std::uint32_t i = 0; i < plan_.concurrency; ++i) {
      auto client = JobsClient::connect(plan_.jobs_address, kConnectLimit);
      if (!client) return tl::unexpected<Error>(client.error());
      clients.push_back(std::move(*client));
    }
    LoadTimes result;
    const Clock::time_point begin = Clock::now();
    std::vector<std::thread> streams;
    for (std::uint32_t i = 0; i < plan_.concurrency; ++i) streams.emplace_back([this, i, client = clients[i].get()] { work(*client, per_stream_[i]); });
    for (std::thread& stream : streams) stream.join();
    result.seconds = seconds_between(begin, Clock::now());
    for (auto& jobs : per_stream_) std::move(jobs.begin(), jobs.end(), std::back_inserter(result.jobs));
    return result;
  }

 private:
  void work(JobsClient& client, std::vector<JobTimes>& jobs) {
    for (std::uint32_t index = next_++; index < plan_.requests; index = next_++) {
      ClientSubmit submit;
      submit.prompt_ids = make_prompt(plan_, index);
      submit.sampling.max_tokens = plan_.max_tokens;
      submit.sampling.ignore_eos = true;
      for (std::uint32_t repetition = 0; repetition < plan_.repeat; ++repetition) {
        if (interrupted_()) return;
        JobTimes& times = jobs.emplace_back();
        times.repetition = repetition;
        Stopwatch stopwatch(times);
        if (const auto ended = client.submit(submit, [&](const JobsClient::Event& event) { stopwatch.on(event); }, interrupted_); !ended) {
          times.error = ended.error().message;
          return;  // the connection is lost
        }
      }
    }
  }

  const LoadPlan& plan_;
  const std::function<bool()>& interrupted_;
  std::atomic<std::uint32_t> next_{0};
  std::vector<std::vector<JobTimes>> per_stream_;
};

}  // namespace

Result<LoadTimes> run_load(const LoadPlan& plan, const std::function<bool()>& interrupted) { return Load(plan, interrupted).run(); }

}  // namespace baton
