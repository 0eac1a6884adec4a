// SPDX-License-Identifier: Apache-2.0
// Pools grow and shrink between one and four workers and workers change their roles, round after round, while streams are under way: as
// many streams as --streams says, and at least one whole round. None fails, none changes.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <thread>

#include "tests/support/chaos_options.h"
#include "tests/support/cluster_process.h"
#include "tests/support/load_client.h"
#include "tests/support/stream_check.h"
#include "tests/support/verdict.h"

namespace baton::test {
namespace {

constexpr std::size_t kClients = 32;
constexpr Duration kJobLimit = std::chrono::seconds(120);

// Each leaves what the next one finds: one worker of each pool in the end, in its own role.
const std::vector<std::vector<std::string>> kRound = {
    {"scale", "decode=4"},          {"scale", "prefill=4"},     {"role", "decode-3", "prefill"}, {"role", "prefill-1", "decode"}, {"scale", "decode=2", "prefill=2"},
    {"role", "decode-1", "both"},   {"scale", "decode=4", "prefill=1"}, {"scale", "decode=1"},   {"scale", "prefill=4"},          {"scale", "prefill=1"},
};

TEST(Chaos, PoolsScaleAndRolesFlipUnderLoad) {
  const auto options = chaos_options();
  ASSERT_TRUE(options) << options.error().message;
  if (options->measure || options->real || !options->has_workers()) GTEST_SKIP() << "--measure, --engine real, or --roles without workers";
  const OracleOptions model = busy_model();
  TestHome home;
  ClusterProcess cluster(home, oracle_spec(model, 1024));
  ASSERT_TRUE(cluster.up());
  std::atomic<bool> round_done{false}, over{false};
  std::atomic<std::size_t> ended{0};
  const std::vector<LoadJob> jobs = random_jobs(model, options->seed, options->streams + 20'000, 150, 120, 0);
  LoadSwarm swarm(
      cluster.jobs(),
      [&](std::size_t number) {
        return !over && number < jobs.size() && (number < options->streams || !round_done) ? std::optional(jobs[number]) : std::nullopt;
      },
      kClients, kJobLimit, [&](std::size_t) { ++ended; });
  std::size_t changes = 0, rounds = 0;
  Duration longest{};
  while (ended < options->streams || rounds == 0) {
    for (const auto& words : kRound) {
      const Output output = home.run(words, std::chrono::minutes(2));
      EXPECT_EQ(output.exit_status, 0) << words[0] << ' ' << words[1] << ": " << output.out << output.err;
      over = over || output.exit_status != 0;
      longest = std::max(longest, output.took);
      ++changes;
    }
    ++rounds;
    round_done = true;
    if (over) break;
  }
  std::size_t identical = 0, failed = 0;
  const std::vector<JobRecord> records = swarm.finish();
  for (const JobRecord& record : records) {
    const StreamVerdict verdict = judge_stream(model, record);
    identical += verdict.fate == StreamFate::kIdentical;
    failed += verdict.fate == StreamFate::kLost;
    EXPECT_EQ(verdict.why, "");
  }
  const std::string fsck = cluster.fsck(std::chrono::seconds(30));
  char line[256];
  std::snprintf(line, sizeof line, "chaos scaling: streams=%zu identical=%zu failed=%zu changes=%zu rounds=%zu longest_change_ms=%.0f fsck=%s", records.size(), identical, failed,
                changes, rounds, milliseconds_of(longest), fsck.empty() ? "clean" : "NOT-CLEAN");
  report_verdict(line);
  EXPECT_EQ(fsck, "");
  EXPECT_EQ(cluster.down().exit_status, 0);
  EXPECT_EQ(cluster.complaints_in_logs(), "");
  if (::testing::Test::HasFailure()) std::fputs(cluster.logs().c_str(), stderr);
}

}  // namespace
}  // namespace baton::test
