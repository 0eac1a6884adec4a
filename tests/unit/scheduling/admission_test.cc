// SPDX-License-Identifier: Apache-2.0
// What admission is decided by: the forecast of a job's first token, and the budget of repeated attempts.
#include <gtest/gtest.h>

#include <deque>

#include "runtime/base/random.h"
#include "scheduling/retry_budget.h"
#include "scheduling/ttft_forecast.h"

namespace baton {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr NodeId kOne{1}, kTwo{2};

// Workers that compute so many tokens a second, first come first served, and the time they live in.
struct TtftForecastTest : ::testing::Test {
  void join(NodeId worker, std::uint32_t step_tokens = 100) {
    forecast.add(worker, step_tokens);
    forecast.set_open(worker, true);
  }
  void answer(NodeId worker, std::uint64_t tokens) {
    forecast.end(worker, tokens, true, now);
    forecast.answered(worker, now);
  }
  // A backlog of prompts of 100 tokens, one answered every so often.
  void work(NodeId worker, Duration each, int prompts) {
    for (int i = 0; i <= prompts; ++i) forecast.begin(worker, 100, now);
    for (int i = 0; i < prompts; ++i) {
      now += each;
      answer(worker, 100);
    }
    forecast.end(worker, 100, false, now);
  }
  Duration wait(std::uint64_t tokens = 100) { return forecast.predict(tokens).value().wait; }
  Duration ttft(std::uint64_t tokens = 100) { return forecast.predict(tokens).value().ttft; }
  static void expect_near(Duration got, Duration wanted) {
    EXPECT_LE(got, wanted * 11 / 10);
    EXPECT_GE(got, wanted * 9 / 10);
  }

  TtftForecast forecast;
  Time now = Time{} + seconds(1);
};

TEST_F(TtftForecastTest, NothingIsForetoldBeforeSomethingWasMeasured) {
  EXPECT_FALSE(forecast.predict(100));
  join(kOne);
  forecast.begin(kOne, 1'000'000, now);
  forecast.dispatched(1'000'000, 1'000'000, now);
  EXPECT_FALSE(forecast.predict(100));
  EXPECT_FALSE(forecast.predict_at(kOne, 100));
}

TEST_F(TtftForecastTest, WhatWaitsAtTheWorkerAndTheOwnPromptTakeAsLongAsTheyDidBefore) {
  join(kOne);
  work(kOne, milliseconds(50), 20);  // 2000 tokens a second
  EXPECT_EQ(wait(), Duration{});
  expect_near(ttft(400), milliseconds(200));
  forecast.begin(kOne, 6000, now);
  expect_near(wait(), seconds(3));
  expect_near(ttft(2000), seconds(4));
  expect_near(forecast.predict_at(kOne, 2000)->ttft, seconds(4));
}

TEST_F(TtftForecastTest, TheWorkerWithTheShortestWaitCounts) {
  join(kOne);
  join(kTwo);
  work(kOne, milliseconds(50), 20);
  work(kTwo, milliseconds(100), 20);
  forecast.begin(kOne, 6000, now);
  EXPECT_EQ(wait(), Duration{});
  forecast.begin(kTwo, 1000, now);
  expect_near(wait(), seconds(1));
  forecast.set_open(kTwo, false);
  expect_near(wait(), seconds(3));
  forecast.set_open(kTwo, true);
  forecast.remove(kOne);
  expect_near(wait(), seconds(1));
  forecast.remove(kTwo);
  EXPECT_FALSE(forecast.predict(100));
}

TEST_F(TtftForecastTest, AWorkerWithLittleToDoIsNotTakenForASlowOne) {
  join(kOne, 1000);
  work(kOne, milliseconds(5), 200);  // 20000 tokens a second, behind by 100 of a step's 1000 at the end only
  const Duration quick = ttft(2000);
  expect_near(quick, milliseconds(100));
  for (int i = 0; i < 100; ++i) {  // one small prompt at a time takes as long as a step of many
    forecast.begin(kOne, 100, now);
    now += milliseconds(20);
    answer(kOne, 100);
    now += milliseconds(500);
  }
  EXPECT_EQ(ttft(2000), quick);
}

// What a step answers at once is of one step, wherever a window ends.
TEST_F(TtftForecastTest, StepsOfManyPromptsMakeItNoFaster) {
  join(kOne);
  for (int i = 0; i < 100; ++i) forecast.begin(kOne, 100, now);
  for (int step = 0; step < 9; ++step) {
    now += milliseconds(150);
    for (int i = 0; i < 10; ++i) forecast.end(kOne, 100, true, now);
    forecast.answered(kOne, now);
    if (step > 1) expect_near(ttft(1000) - wait(), milliseconds(150));
  }
  forecast.end(kOne, 1000, false, now);
  for (int i = 0; i < 300; ++i) {  // without a backlog each time
    forecast.begin(kOne, 99, now);
    now += Duration(99 * 150'000);
    answer(kOne, 99);
  }
  expect_near(ttft(1000), milliseconds(150));
}

TEST_F(TtftForecastTest, AWorkerThatBecomesSlowIsBelievedWithinSeconds) {
  join(kOne);
  work(kOne, milliseconds(10), 100);
  expect_near(ttft(1000), milliseconds(100));
  work(kOne, milliseconds(100), 60);
  expect_near(ttft(1000), seconds(1));
  work(kOne, milliseconds(10), 1000);
  expect_near(ttft(1000), milliseconds(100));
}

// Decode's places, not prompts, are what is short: prefill has nothing to do and the queue stands all the same.
TEST_F(TtftForecastTest, TheQueueDrainsAsFastAsJobsArePlacedWhateverHoldsThemUp) {
  join(kOne);
  work(kOne, milliseconds(10), 100);  // 10000 tokens a second
  forecast.dispatched(0, 5000, now);
  expect_near(wait(), milliseconds(500));  // nothing better is known yet
  for (int i = 0; i < 40; ++i) {
    now += milliseconds(200);
    forecast.dispatched(100, 5000, now);  // 500 a second
  }
  expect_near(wait(), seconds(10));
  now += seconds(100);
  forecast.dispatched(0, 5000, now);  // rounds in which nothing could be placed say nothing
  expect_near(wait(), seconds(10));
  forecast.dispatched(5000, 0, now);
  EXPECT_EQ(wait(), Duration{});
}

TEST_F(TtftForecastTest, AStoodStillQueueIsForeverAndNotAnOverflow) {
  join(kOne);
  forecast.dispatched(0, 1, now);
  now += std::chrono::hours(24 * 365);
  forecast.dispatched(1, UINT64_MAX / 2, now);
  EXPECT_EQ(wait(), std::chrono::hours(24));
}

TEST_F(TtftForecastTest, ALimitIsMissedOnlyBehindOthers) {
  using Forecast = TtftForecast::Forecast;
  EXPECT_TRUE(misses(Forecast{seconds(1), seconds(6)}, seconds(5)));
  EXPECT_FALSE(misses(Forecast{seconds(1), seconds(5)}, seconds(5)));
  EXPECT_FALSE(misses(Forecast{Duration{}, seconds(600)}, seconds(5))) << "nothing is ahead of it";
  EXPECT_EQ(ttft_share(seconds(60)), seconds(45));
}

// Whatever the workers' speeds and the prompts: where nobody lies, forecasts are near what then happens.
TEST_F(TtftForecastTest, UnderABacklogForecastsComeTrue) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    Random random(seed);
    TtftForecast made;
    const std::uint64_t per_second = 500 + random.below(50'000);
    made.add(kOne, 256);
    made.set_open(kOne, true);
    std::deque<std::pair<std::uint64_t, Time>> given;  // tokens, when it was foretold to answer
    Time at{};
    std::uint64_t worst_off = 0, ahead = 0;
    int checked = 0;
    for (int i = 0; i < 3000; ++i) {
      while (ahead < 4 * per_second) {  // four seconds' worth
        const std::uint64_t tokens = 1 + random.below(2000);
        const auto forecast_of = made.predict(tokens);
        given.emplace_back(tokens, forecast_of ? at + forecast_of->ttft : Time{});
        made.begin(kOne, tokens, at);
        ahead += tokens;
      }
      const auto [tokens, foretold] = given.front();
      given.pop_front();
      at += Duration(static_cast<std::int64_t>(tokens * 1'000'000'000 / per_second));
      made.end(kOne, tokens, true, at);
      made.answered(kOne, at);
      ahead -= tokens;
      if (foretold == Time{}) continue;
      ++checked;
      worst_off = std::max(worst_off, static_cast<std::uint64_t>(std::abs((at - foretold).count())));
    }
    EXPECT_GT(checked, 1000);
    EXPECT_LT(worst_off, 800'000'000u) << "of about four seconds, seed " << seed;
  }
}

TEST(RetryBudget, ATenthOfTheWindowsJobsOrTheFloor) {
  RetryBudget budget({10, 3, seconds(60)});
  Time now{};
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(budget.draw(now));
  EXPECT_FALSE(budget.draw(now)) << "the floor is spent";
  for (int i = 0; i < 49; ++i) budget.admitted(now);
  EXPECT_TRUE(budget.draw(now));
  EXPECT_FALSE(budget.draw(now)) << "a tenth of 49 is 4";
  budget.admitted(now);
  EXPECT_TRUE(budget.draw(now));
  EXPECT_FALSE(budget.draw(now));
  EXPECT_EQ(budget.drawn(now), 5u);
  now += seconds(59);
  EXPECT_FALSE(budget.draw(now));
  now += seconds(1);
  EXPECT_EQ(budget.most(now), 3u) << "the jobs of a minute ago are forgotten, and what was drawn";
  EXPECT_TRUE(budget.draw(now));
}

TEST(RetryBudget, RepeatedWorkIsATenthWhateverFails) {
  Random random(7);
  RetryBudget budget({10, 8, seconds(60)});
  Time now{};
  std::uint64_t jobs = 0, drawn = 0;
  for (int i = 0; i < 200'000; ++i) {
    now += milliseconds(random.below(20));
    budget.admitted(now);
    ++jobs;
    for (int again = 0; again < 3; ++again) drawn += budget.draw(now) ? 1 : 0;
  }
  EXPECT_LE(drawn, jobs / 10 + 8);
  EXPECT_GT(drawn, jobs / 11);
}

}  // namespace
}  // namespace baton
