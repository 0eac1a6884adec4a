// SPDX-License-Identifier: Apache-2.0
// Overload on virtual time: what a cluster does when several times what it can compute comes for a while, and afterwards. The cluster
// computes about 150 jobs a second; half of that comes before and after the spike, five times that in it.
#include <gtest/gtest.h>

#include <cstdio>

#include "tests/support/sim_crowd.h"
#include "tests/support/slow_build.h"
#include "tests/support/verdict.h"

namespace baton {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Duration kBefore = seconds(4), kSpike = seconds(6), kAfter = seconds(20);
constexpr Duration kUsual = milliseconds(200);  // nobody waits longer in quiet times
constexpr std::uint32_t kCapacity = 150, kFactor = 5;
constexpr std::uint64_t kSeeds = test::kSlowBuild ? 1 : 3;

SimClusterOptions cluster_options() {
  SimClusterOptions options;
  options.model.max_model_len = 512;
  options.step_per_token = std::chrono::microseconds(100);
  for (const Role role : {Role::kPrefill, Role::kDecode}) {
    SimPool pool;
    pool.name = role == Role::kPrefill ? "prefill" : "decode";
    pool.role = role;
    pool.replicas = 2;
    pool.blocks = 2048;
    pool.limits.max_num_seqs = 64;
    pool.limits.max_num_batched_tokens = pool.limits.long_prefill_token_threshold = 512;
    options.pools.push_back(pool);
  }
  options.coordinator.cluster_name = "sim";
  return options;
}

SimCrowdOptions spike() {
  SimCrowdOptions options;
  options.phases = {{kBefore, kCapacity / 2}, {kSpike, kCapacity * kFactor}, {kAfter, kCapacity / 2}};
  return options;
}

struct Outcome {
  Duration base{};        // p99 of the time to the first token before the spike
  Duration spike{};       // of those that were served, from its second second on: what the workers can do under a backlog has been seen by then
  Duration slow_until{};  // after the spike: until nobody waits longer than is usual any more
  std::uint64_t jobs = 0, finished = 0, refused = 0, expired = 0;
  std::uint32_t most_queued = 0;
  std::uint64_t most_queued_tokens = 0;
  std::uint64_t answered = 0, computed = 0;  // prompt tokens
  std::uint64_t hash = 0;
  AdmissionStatus admission;
};

Duration p99(const std::vector<Duration>& sorted) { return sorted.at(sorted.size() * 99 / 100); }

Outcome run(std::uint64_t seed, const SimClusterOptions& options, const SimCrowdOptions& asked) {
  EventHeap heap(seed);
  SimCluster cluster(heap, options);
  SimCrowd crowd(cluster, options.model, asked);
  EXPECT_TRUE(cluster.world().run_while_not([&] { return crowd.all_ended(); }, seconds(300)));
  for (const std::string& complaint : crowd.complaints()) ADD_FAILURE() << "seed " << seed << ": " << complaint;
  for (const std::string& problem : cluster.coordinator().check_integrity()) ADD_FAILURE() << "seed " << seed << ": " << problem;
  const Duration begin = milliseconds(100), over = begin + kBefore + kSpike;
  Outcome outcome;
  outcome.base = p99(crowd.ttfts(begin + seconds(1), begin + kBefore));
  outcome.spike = p99(crowd.ttfts(begin + kBefore + seconds(1), over));
  EXPECT_LT(outcome.base, kUsual);
  outcome.slow_until = std::max(crowd.last_slow(kUsual) - (Time{} + over), Duration{});
  outcome.jobs = crowd.jobs().size();
  outcome.finished = crowd.count(&SimCrowd::Job::finished);
  outcome.refused = crowd.count(&SimCrowd::Job::refused);
  outcome.expired = crowd.count(&SimCrowd::Job::expired);
  outcome.most_queued = crowd.most_queued();
  outcome.most_queued_tokens = crowd.most_queued_tokens();
  outcome.answered = crowd.answered_prompt_tokens();
  for (const std::string& name : cluster.workers()) outcome.computed += cluster.worker(name)->stats().prompt_tokens_computed;
  outcome.hash = heap.hash();
  outcome.admission = cluster.coordinator().admission();
  return outcome;
}

void report(const char* name, const Outcome& outcome) {
  const auto ms = [](Duration duration) { return static_cast<long long>(duration / milliseconds(1)); };
  char line[512];
  std::snprintf(line, sizeof line,
                "overload %s: jobs=%llu finished=%llu refused=%llu expired=%llu most_queued=%u most_queued_tokens=%llu ttft_p99_ms before=%lld in_spike=%lld "
                "recovered_after_ms=%lld (spike %lld) prompt_tokens computed=%llu answered=%llu",
                name, static_cast<unsigned long long>(outcome.jobs), static_cast<unsigned long long>(outcome.finished), static_cast<unsigned long long>(outcome.refused),
                static_cast<unsigned long long>(outcome.expired), outcome.most_queued, static_cast<unsigned long long>(outcome.most_queued_tokens), ms(outcome.base), ms(outcome.spike),
                ms(outcome.slow_until), ms(kSpike), static_cast<unsigned long long>(outcome.computed), static_cast<unsigned long long>(outcome.answered));
  test::report_verdict(line);
}

// Refusals come back, and all the same the spike is over for everybody soon after it is over.
TEST(OverloadSim, WithALimitOnThePredictedTtftASpikeIsOverSoonAfterItsEnd) {
  SimClusterOptions options = cluster_options();
  options.coordinator.ttft_limit = seconds(1);
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    const Outcome outcome = run(seed, options, spike());
    report("with max_predicted_ttft 1s", outcome);
    EXPECT_GT(outcome.jobs, 5000u);
    EXPECT_EQ(outcome.finished + outcome.refused, outcome.jobs);
    EXPECT_GT(outcome.refused, 1000u);
    EXPECT_GT(outcome.finished, kCapacity * 8 * (kBefore + kSpike + kAfter) / seconds(1) / 10 * 5 / 10) << "what can be served is";
    EXPECT_LE(outcome.spike, milliseconds(1200)) << "whoever gets in is served in about the time that was predicted";
    EXPECT_LE(outcome.most_queued, 2 * kCapacity);
    EXPECT_LE(outcome.slow_until, 2 * kSpike);
    EXPECT_GT(outcome.admission.refused_predicted, outcome.refused);
    EXPECT_EQ(outcome.admission.refused_full, 0u);
  }
}

// Prefill has time enough, decode has no places: the queue stands at the coordinator, and its pace is that of decode.
TEST(OverloadSim, WhereDecodeIsWhatIsShortTheLimitHoldsToo) {
  SimClusterOptions options = cluster_options();
  options.coordinator.ttft_limit = seconds(1);
  options.pools.back().limits.max_num_seqs = 4;
  SimCrowdOptions asked = spike();
  asked.tokens = 100;  // some 80 jobs a second
  asked.phases = {{kBefore, 40}, {kSpike, 400}, {kAfter, 40}};
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    const Outcome outcome = run(seed, options, asked);
    report("of decode, with max_predicted_ttft 1s", outcome);
    EXPECT_GT(outcome.refused, 700u);
    EXPECT_GT(outcome.most_queued, 50u);
    EXPECT_LE(outcome.spike, milliseconds(1500));
    EXPECT_LE(outcome.slow_until, 2 * kSpike);
  }
}

// What the limit is good for: a queue that is bounded by its length alone is served long after anybody wants it.
TEST(OverloadSim, WithoutOneTheQueueOutlivesTheSpikeManyTimes) {
  const Outcome outcome = run(1, cluster_options(), spike());
  report("without", outcome);
  EXPECT_EQ(outcome.admission.refused_predicted, 0u);
  EXPECT_GT(outcome.slow_until, 2 * kSpike);
  EXPECT_LE(outcome.most_queued, CoordinatorOptions{}.jobs_max);
  EXPECT_LE(outcome.most_queued_tokens, CoordinatorOptions{}.queued_tokens_max);
}

// The jobs' own time limits do the same, where that is what clients give; and who could not be served cost nothing.
TEST(OverloadSim, JobsThatCannotKeepTheirTimeLimitCostNoPrefill) {
  SimCrowdOptions asked = spike();
  asked.time_limit_ns = 2'000'000'000;
  for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
    const Outcome outcome = run(seed, cluster_options(), asked);
    report("with time limits of 2s", outcome);
    EXPECT_EQ(outcome.finished + outcome.refused + outcome.expired, outcome.jobs);
    EXPECT_GT(outcome.admission.refused_predicted, 1000u);
    EXPECT_LE(outcome.slow_until, 2 * kSpike);
    EXPECT_LE(outcome.computed, outcome.answered * 105 / 100) << "prompts were computed whose jobs then ended without a token";
    EXPECT_LT(outcome.expired * 20, outcome.finished) << "few of those that got in ran out of time";
  }
}

// Before anything was measured all are let in. Those whose time passes in the queue are dropped there.
TEST(OverloadSim, ABurstOnAColdClusterExpiresInTheQueueAndNotOnTheWorkers) {
  SimCrowdOptions asked = spike();
  asked.phases = {{milliseconds(20), 100'000}, {seconds(10), 1}};
  asked.time_limit_ns = 3'000'000'000;
  SimClusterOptions options = cluster_options();
  EventHeap heap(1);
  SimCluster cluster(heap, options);
  SimCrowd crowd(cluster, options.model, asked);
  EXPECT_TRUE(cluster.world().run_while_not([&] { return crowd.all_ended(); }, seconds(100)));
  EXPECT_TRUE(crowd.complaints().empty());
  std::uint64_t computed = 0;
  for (const std::string& name : cluster.workers()) computed += cluster.worker(name)->stats().prompt_tokens_computed;
  const AdmissionStatus admission = cluster.coordinator().admission();
  EXPECT_GT(crowd.jobs().size(), 1500u);
  EXPECT_GT(admission.expired, 500u);
  EXPECT_GT(crowd.count(&SimCrowd::Job::finished), 300u);
  EXPECT_LE(computed, crowd.answered_prompt_tokens() * 105 / 100);
}

TEST(OverloadSim, ASeedDecidesWhoIsRefused) {
  SimClusterOptions options = cluster_options();
  options.coordinator.ttft_limit = milliseconds(500);
  SimCrowdOptions asked = spike();
  EXPECT_EQ(run(7, options, asked).hash, run(7, options, asked).hash);
  EXPECT_NE(run(7, options, asked).hash, run(8, options, asked).hash);
}

}  // namespace
}  // namespace baton
