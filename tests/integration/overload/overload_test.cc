// SPDX-License-Identifier: Apache-2.0
// A spike of five times what a real cluster computes, by clients that do not wait for each other: who is not refused is served soon,
// with the right tokens, and after the spike everybody is as before. The test model's steps are sleeps, so that what the cluster can
// do hardly depends on the machine. BATON_OVERLOAD_SPIKE_SECONDS makes the spike longer than 4 s.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <thread>

#include "runtime/actor/real_loop.h"
#include "runtime/base/random.h"
#include "tests/support/cluster_process.h"
#include "tests/support/http_streams.h"
#include "tests/support/raw_http.h"
#include "tests/support/stream_check.h"
#include "tests/support/verdict.h"

namespace baton::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::uint32_t kPromptTokens = 50, kTokens = 4, kCapacity = 10;  // jobs a second: 2 ms a token
constexpr Duration kLimit = seconds(2);

// One client's wish; it comes again once if it is told to.
struct Wish {
  HttpStream asked;
  Time sent{};  // the last time
  std::uint32_t attempts = 0;
  std::unique_ptr<HttpStreams> under_way;
  HttpStream answer;
  Time again = kNever;
};

class Overload : public ::testing::Test {
 protected:
  Overload() {
    model_.token_time = milliseconds(2);
    model_.max_model_len = 1024;
    ClusterSpec spec = oracle_spec(model_, 1024);
    const std::string limits = ", threads: 1, limits: { max_num_seqs: 8, max_num_batched_tokens: 64 }";
    spec.pools = {"name: prefill, role: prefill" + limits, "name: decode, role: decode" + limits};
    spec.more = "scheduling: { max_predicted_ttft: 2s }\ngateway: { http: 127.0.0.1:" + std::to_string(port_) + " }\n";
    cluster_ = std::make_unique<ClusterProcess>(home_, spec);
  }

  void TearDown() override {
    if (HasFailure()) std::fputs(cluster_->logs().c_str(), stderr);
  }

  Wish wish() {
    Wish made;
    for (std::uint32_t i = 0; i < kPromptTokens; ++i) made.asked.prompt.push_back(static_cast<TokenId>(random_.below(model_.vocab_size)));
    made.asked.sampling.max_tokens = kTokens;
    made.asked.sampling.ignore_eos = true;
    return made;
  }
  void send(Wish& wish) {
    ++wish.attempts;
    wish.again = kNever;
    wish.sent = real_now();
    wish.under_way = std::make_unique<HttpStreams>(port_, std::vector{wish.asked});
  }
  void look(Wish& wish) {
    if (wish.again <= real_now()) return send(wish);
    if (wish.under_way == nullptr || wish.under_way->ended() == 0) return;
    wish.answer = wish.under_way->finish({}).front();
    wish.under_way.reset();
    if (wish.answer.status == 429 && wish.attempts < 2) wish.again = real_now() + std::max(wish.answer.retry_after, Duration(milliseconds(100)));
  }
  // So many a second for so long, evenly.
  void phase(Duration length, std::uint32_t per_second) {
    const Time begin = real_now();
    for (std::uint64_t sent = 0; real_now() < begin + length; std::this_thread::sleep_for(milliseconds(2))) {
      for (; real_now() >= begin + sent * Duration(seconds(1)) / per_second; ++sent) {
        wishes_.push_back(std::make_unique<Wish>(wish()));
        send(*wishes_.back());
      }
      for (const auto& each : wishes_) look(*each);
    }
  }
  bool all_ended() {
    for (const auto& each : wishes_) look(*each);
    return std::all_of(wishes_.begin(), wishes_.end(), [](const auto& each) { return each->under_way == nullptr && each->again == kNever; });
  }
  // Times to the first token of those whose last attempt was sent then, in rising order.
  std::vector<Duration> ttfts(Time from, Time until) const {
    std::vector<Duration> all;
    for (const auto& each : wishes_)
      if (!each->answer.arrived.empty() && each->sent >= from && each->sent < until) all.push_back(each->answer.arrived.front() - each->sent);
    std::sort(all.begin(), all.end());
    return all;
  }
  static long long ms(Duration duration) { return duration / milliseconds(1); }
  static Duration quantile(const std::vector<Duration>& sorted, std::size_t percent) { return sorted.empty() ? Duration{} : sorted[(sorted.size() - 1) * percent / 100]; }

  OracleOptions model_;
  TestHome home_;
  const std::uint16_t port_ = static_cast<std::uint16_t>(free_ports(1).front());
  std::unique_ptr<ClusterProcess> cluster_;
  Random random_{1};
  std::vector<std::unique_ptr<Wish>> wishes_;
};

TEST_F(Overload, ASpikeOfFiveTimesTheCapacityIsOverSoonAfterItsEnd) {
  const char* asked = std::getenv("BATON_OVERLOAD_SPIKE_SECONDS");
  const Duration spike = seconds(asked == nullptr ? 4 : std::max(std::atoi(asked), 1));
  ASSERT_TRUE(cluster_->up());
  phase(seconds(1), kCapacity * 2);  // what it can do has to be seen before anybody is refused
  phase(seconds(4), kCapacity / 2);
  const Time before = real_now();
  phase(seconds(4), kCapacity / 2);
  const Time begin = real_now();
  phase(spike, kCapacity * 5);
  const Time over = real_now();
  phase(2 * spike + seconds(3), kCapacity / 2);
  EXPECT_TRUE(comes_true([this] { return all_ended(); }, seconds(60)));

  std::uint64_t finished = 0, refused = 0;
  Time last_slow = over;
  const auto base = ttfts(before, begin), in_spike = ttfts(begin, over), after = ttfts(over + 2 * spike, kNever);
  const Duration usual = std::max(2 * quantile(base, 99), Duration(milliseconds(300)));
  for (const auto& each : wishes_) {
    if (each->answer.status == 429) {
      ++refused;
      EXPECT_GE(each->answer.retry_after, seconds(1));
      continue;
    }
    EXPECT_EQ(each->answer.trouble, "");
    EXPECT_EQ(each->answer.tokens, oracle_stream(model_, each->asked.prompt, each->asked.sampling));
    finished += each->answer.done ? 1 : 0;
    if (!each->answer.arrived.empty() && each->answer.arrived.front() - each->sent > usual) last_slow = std::max(last_slow, each->sent);
  }
  char line[400];
  std::snprintf(line, sizeof line, "overload: spike_s=%lld jobs=%zu finished=%llu refused=%llu ttft_ms before p50=%lld p99=%lld, in the spike p50=%lld p99=%lld, from twice its length on p50=%lld p99=%lld; recovered_after_ms=%lld",
                static_cast<long long>(spike / seconds(1)), wishes_.size(), static_cast<unsigned long long>(finished), static_cast<unsigned long long>(refused), ms(quantile(base, 50)), ms(quantile(base, 99)),
                ms(quantile(in_spike, 50)), ms(quantile(in_spike, 99)), ms(quantile(after, 50)), ms(quantile(after, 99)), ms(last_slow - over));
  report_verdict(line);
  EXPECT_GT(refused, wishes_.size() / 5);
  EXPECT_GT(finished, wishes_.size() / 5);
  EXPECT_LE(quantile(in_spike, 50), 2 * kLimit) << "whoever got in was served in about the time that was predicted";
  ASSERT_FALSE(after.empty());
  EXPECT_LE(quantile(after, 50), 2 * usual);

  const auto metrics = http_ask(port_, "GET", "/metrics");
  ASSERT_TRUE(metrics);
  EXPECT_EQ(metrics->body.find("baton_jobs_refused_total{reason=\"predicted_ttft\"} 0\n"), std::string::npos);
  EXPECT_NE(metrics->body.find("baton_jobs_queued 0\n"), std::string::npos);
  const std::string events = home_.run({"events"}).out;
  EXPECT_NE(events.find("overloaded    it: jobs are refused: the first token would come in about"), std::string::npos) << events;
  EXPECT_EQ(cluster_->fsck(), "");
  EXPECT_EQ(cluster_->complaints_in_logs(), "");
}

}  // namespace
}  // namespace baton::test
