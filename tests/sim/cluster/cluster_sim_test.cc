// SPDX-License-Identifier: Apache-2.0
// The swarm: BATON_SIM_SEEDS seeds (default 1000) from BATON_SIM_FIRST (default 1), or BATON_SIM_SEED alone.
// `./check sim --seeds 10000`, `./check sim --seed 42`.
#include <gtest/gtest.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "tests/support/sim_scenario.h"
#include "tests/support/verdict.h"

namespace baton {
namespace {

std::uint64_t setting(const char* name, std::uint64_t fallback) {
  const char* text = std::getenv(name);
  return text == nullptr ? fallback : std::strtoull(text, nullptr, 10);
}

std::string joined(const SimVerdict& verdict) {
  std::string text;
  for (const std::string& complaint : verdict.complaints) text += "\n  " + complaint;
  return text;
}

TEST(ClusterSim, AQuietClusterServesEveryJobWithTheRightTokens) {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    const SimVerdict verdict = run_scenario(seed, {false, 30});
    EXPECT_TRUE(verdict.complaints.empty()) << "seed " << seed << joined(verdict);
    EXPECT_EQ(verdict.failed, 0u) << "seed " << seed;
    EXPECT_LT(verdict.worst_gap.count(), 10'000'000) << "seed " << seed << ": ns of the clients' clock that timelines do not account for";
  }
}

TEST(ClusterSim, ASeedDecidesEveryEvent) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    const SimVerdict first = run_scenario(seed);
    const SimVerdict second = run_scenario(seed);
    EXPECT_EQ(first.hash, second.hash) << "seed " << seed;
    EXPECT_EQ(first.events, second.events) << "seed " << seed;
  }
}

TEST(ClusterSim, NoFaultLosesDoublesOrChangesAToken) {
  const std::uint64_t only = setting("BATON_SIM_SEED", 0);
  const std::uint64_t first = only != 0 ? only : setting("BATON_SIM_FIRST", 1);
  const std::uint64_t seeds = only != 0 ? 1 : setting("BATON_SIM_SEEDS", 1000);
  SimVerdict total;
  std::uint64_t failing = 0;
  const auto started = std::chrono::steady_clock::now();
  for (std::uint64_t seed = first; seed < first + seeds; ++seed) {
    const SimVerdict verdict = run_scenario(seed);
    EXPECT_TRUE(verdict.complaints.empty()) << "replay with ./check sim --seed " << seed << joined(verdict);
    failing += verdict.complaints.empty() ? 0 : 1;
    total.events += verdict.events;
    total.faults += verdict.faults;
    total.jobs += verdict.jobs;
    total.finished += verdict.finished;
    total.failed += verdict.failed;
    total.transferred += verdict.transferred;
    total.tokens += verdict.tokens;
    total.late_bytes += verdict.late_bytes;
    total.control_kills += verdict.control_kills;
    total.reattached += verdict.reattached;
    total.retries.again += verdict.retries.again;
    total.retries.quarantined += verdict.retries.quarantined;
    total.retries.moved += verdict.retries.moved;
    total.retries.fetched += verdict.retries.fetched;
    total.retries.out_of_budget += verdict.retries.out_of_budget;
    total.admission.refused_predicted += verdict.admission.refused_predicted;
    total.admission.refused_full += verdict.admission.refused_full;
    total.admission.expired += verdict.admission.expired;
    total.preemptions += verdict.preemptions;
    total.prefix_hits += verdict.prefix_hits;
    total.virtual_seconds += verdict.virtual_seconds;
  }
  const double minutes = std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count() / 60;
  char line[1024];
  std::snprintf(
      line, sizeof line, "sim: seeds=%llu failing=%llu jobs=%llu finished=%llu typed_errors=%llu transferred=%llu tokens=%llu faults=%llu "
      "control_kills=%llu reattached=%llu resumed=%llu quarantined=%llu out_of_retries=%llu moved=%llu fetched=%llu refused_predicted=%llu refused_full=%llu expired=%llu late_bytes=%llu preemptions=%llu prefix_hit_tokens=%llu events=%llu virtual_s=%.0f seeds/min=%.0f faults/min=%.0f events/s=%.0f",
      static_cast<unsigned long long>(seeds), static_cast<unsigned long long>(failing), static_cast<unsigned long long>(total.jobs),
      static_cast<unsigned long long>(total.finished), static_cast<unsigned long long>(total.failed),
      static_cast<unsigned long long>(total.transferred), static_cast<unsigned long long>(total.tokens),
      static_cast<unsigned long long>(total.faults), static_cast<unsigned long long>(total.control_kills), static_cast<unsigned long long>(total.reattached),
      static_cast<unsigned long long>(total.retries.again), static_cast<unsigned long long>(total.retries.quarantined),
      static_cast<unsigned long long>(total.retries.out_of_budget), static_cast<unsigned long long>(total.retries.moved), static_cast<unsigned long long>(total.retries.fetched),
      static_cast<unsigned long long>(total.admission.refused_predicted), static_cast<unsigned long long>(total.admission.refused_full), static_cast<unsigned long long>(total.admission.expired),
      static_cast<unsigned long long>(total.late_bytes),
      static_cast<unsigned long long>(total.preemptions), static_cast<unsigned long long>(total.prefix_hits),
      static_cast<unsigned long long>(total.events), total.virtual_seconds, static_cast<double>(seeds) / minutes,
      static_cast<double>(total.faults) / minutes, static_cast<double>(total.events) / minutes / 60);
  test::report_verdict(line);
  // A swarm in which nothing happened would prove nothing.
  if (seeds >= 100) {
    EXPECT_GT(total.transferred, seeds);
    EXPECT_GT(total.faults, seeds);
    EXPECT_GT(total.preemptions, seeds);
    EXPECT_GT(total.prefix_hits, seeds * 100);
    EXPECT_GT(total.retries.again, seeds);
    EXPECT_GT(total.control_kills * 10, seeds);
    EXPECT_GT(total.reattached * 20, seeds);
    EXPECT_GT(total.retries.fetched * 200, seeds);
    EXPECT_LT(total.retries.quarantined * 500, total.jobs) << "only where workers are killed while a suspect is alone on them";
    EXPECT_GT(total.admission.refused_predicted * 20, seeds);
    EXPECT_GT(total.admission.expired * 20, seeds);
    EXPECT_GT(total.finished * 10, total.jobs * 5);
  }
}

}  // namespace
}  // namespace baton
