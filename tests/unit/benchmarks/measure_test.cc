// SPDX-License-Identifier: Apache-2.0
// What turns samples into figures, and what reads a peer's output.
#include "benchmarks/measure.h"

#include <gtest/gtest.h>

#include "benchmarks/limits.h"
#include "benchmarks/run_tool.h"

namespace baton {
namespace {

TEST(Spread, IsTheMiddleAndTheEnds) {
  const Spread odd = spread_of({9, 1, 4});
  EXPECT_EQ(odd.median, 4);
  EXPECT_EQ(odd.min, 1);
  EXPECT_EQ(odd.max, 9);
  EXPECT_EQ(spread_of({4, 1, 9, 2}).median, 3);
  EXPECT_EQ(spread_of({}).max, 0);
}

TEST(Percentile, IsASampleThatAtLeastThatShareDoesNotExceed) {
  std::vector<double> hundred;
  for (int i = 100; i > 0; --i) hundred.push_back(i);
  EXPECT_EQ(percentile(hundred, 0.5), 50);
  EXPECT_EQ(percentile(hundred, 0.99), 99);
  EXPECT_EQ(percentile(hundred, 1.0), 100);
  EXPECT_EQ(percentile({7}, 0.99), 7);
  EXPECT_EQ(percentile({}, 0.5), 0);
}

TEST(Ratios, ArePairByPairAndNeverDivideByZero) {
  EXPECT_EQ(ratios({8, 9, 10}, {4, 3}), (std::vector<double>{2, 3}));
  EXPECT_EQ(ratios({1}, {0}), std::vector<double>{0});
}

TEST(SecondsOf, CountsTheCpuTimeOfTheWork) {
  const Seconds seconds = seconds_of([] {
    for (volatile int turn = 0; turn < 2'000'000;) turn = turn + 1;
  });
  EXPECT_GT(seconds.cpu, 0);
  EXPECT_GT(seconds.wall, 0);
}

TEST(Limits, AreThoseOfThisMachine) {
  ThreadPool threads(2);
  const LimitMemory memory((std::size_t{3} << 20) + 1);
  EXPECT_EQ(memory.bytes(), (std::size_t{3} << 20) + (std::size_t{64} << 10));
  EXPECT_GT(read_bandwidth(threads, memory), 1e8);
  EXPECT_EQ(integer_peak(threads) > 1e8, !integer_peak_instruction().empty());
}

TEST(RunTool, KeepsBothOutputsAndTheMostMemory) {
  const auto output = run_tool({"/bin/sh", "-c", "echo out; echo err >&2"}, std::chrono::seconds(20));
  ASSERT_TRUE(output);
  EXPECT_EQ(output->text, "out\nerr\n");
  EXPECT_GT(output->resident_bytes, 0u);
}

TEST(RunTool, SaysWhatAFailingToolSaid) {
  const auto failed = run_tool({"/bin/sh", "-c", "echo no such model; exit 3"}, std::chrono::seconds(20));
  ASSERT_FALSE(failed);
  EXPECT_NE(failed.error().message.find("no such model"), std::string::npos) << failed.error().message;
  const auto absent = run_tool({"/nowhere/llama-bench"}, std::chrono::seconds(20));
  ASSERT_FALSE(absent);
  EXPECT_EQ(absent.error().code, ErrorCode::kNotFound);
}

TEST(RunTool, EndsWhatTakesTooLong) {
  const auto late = run_tool({"/bin/sh", "-c", "echo begun; exec sleep 60"}, std::chrono::milliseconds(300));
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code, ErrorCode::kDeadlineExceeded);
  EXPECT_NE(late.error().message.find("begun"), std::string::npos);
}

TEST(JsonNumber, IsTheLastOneOfThatName) {
  const char* text = "noise {\"avg_ts\": 1.5, \"avg\": 9}\n{\"avg_ts\":  -2.5e1}";
  EXPECT_EQ(json_number(text, "avg_ts").value(), -25);
  EXPECT_EQ(json_number(text, "avg").value(), 9);
  EXPECT_FALSE(json_number(text, "speed"));
  EXPECT_FALSE(json_number("{\"avg_ts\": \"none\"}", "avg_ts"));
  EXPECT_EQ(json_text("{\"build_commit\": \"0c1e570\", \"x\": 1}", "build_commit"), "0c1e570");
  EXPECT_EQ(json_text("{\"x\": 1}", "x"), "");
}

}  // namespace
}  // namespace baton
