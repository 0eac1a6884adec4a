// SPDX-License-Identifier: Apache-2.0
// How long a stream stands still when the worker that decodes it is lost: `./check chaos --measure gaps` prints a table, of --kills faults of each kind. With a test model
// that computes as many tokens as it likes in one step, and with one that takes 0.1 ms for each: what the second adds is the computing
// again of prompt and answer.
#include <gtest/gtest.h>

#include <cstdio>

#include "tests/support/chaos_options.h"
#include "tests/support/cluster_process.h"
#include "tests/support/load_client.h"
#include "tests/support/saboteur.h"
#include "tests/support/stream_check.h"
#include "tests/support/verdict.h"

namespace baton::test {
namespace {

constexpr std::size_t kStreams = 32;
constexpr Duration kFreeze = std::chrono::seconds(3);

const std::map<std::string, ChaosRole> kWorkers = {{"prefill-0", ChaosRole::kPrefill}, {"prefill-1", ChaosRole::kPrefill}, {"decode-0", ChaosRole::kDecode},
                                                   {"decode-1", ChaosRole::kDecode},   {"decode-2", ChaosRole::kDecode}};

struct Gaps {
  std::vector<Duration> whole, noticed, rest;
  std::size_t streams = 0, identical = 0;
  std::size_t tokens = 0;  // prompt and answer of the streams that stood still, when they did
};

std::string row(const char* name, const Gaps& gaps) {
  char line[256];
  const auto ms = [](const std::vector<Duration>& values, unsigned percent) { return milliseconds_of(percentile(values, percent)); };
  std::snprintf(line, sizeof line, "%-28s %7zu %8zu   %5.0f %5.0f %5.0f   %5.0f %5.0f %5.0f   %5.0f %5.0f %5.0f", name, gaps.whole.size(),
                gaps.whole.empty() ? 0 : gaps.tokens / gaps.whole.size(), ms(gaps.whole, 50), ms(gaps.whole, 99), ms(gaps.whole, 100), ms(gaps.noticed, 50),
                ms(gaps.noticed, 99), ms(gaps.noticed, 100), ms(gaps.rest, 50), ms(gaps.rest, 99), ms(gaps.rest, 100));
  return line;
}

void take(const OracleOptions& model, const std::vector<JobRecord>& records, const std::vector<Fault>& faults, Gaps& gaps) {
  std::map<std::string, const JobRecord*> by_name;
  for (const JobRecord& record : records) {
    const StreamVerdict verdict = judge_stream(model, record);
    gaps.identical += verdict.fate == StreamFate::kIdentical;
    EXPECT_EQ(verdict.why, "");
    by_name[record.submit.id] = &record;
  }
  gaps.streams = records.size();
  for (const Fault& fault : faults)
    for (const std::string& name : fault.streams) {
      const JobRecord& record = *by_name.at(name);
      const auto gap = gap_across(record, fault.at);
      if (!gap || !fault.noticed) continue;
      gaps.whole.push_back(*gap);
      gaps.noticed.push_back(*fault.noticed - fault.at);
      gaps.rest.push_back(std::max(Duration{}, *gap - gaps.noticed.back()));
      gaps.tokens += record.submit.prompt_ids.size();
      for (const Time arrived : record.arrived) gaps.tokens += arrived <= fault.at;
    }
}

void measure(const char* name, bool freeze, Duration token_time, const ChaosOptions& options) {
  OracleOptions model;
  model.vocab_size = 8192;
  model.max_model_len = 4096;
  model.step_time = std::chrono::milliseconds(5);
  model.token_time = token_time;
  TestHome home;
  ClusterSpec spec = oracle_spec(model, 8192);
  spec.pools = {"name: prefill, role: prefill, replicas: 2, threads: 1", "name: decode, role: decode, replicas: 3, threads: 1"};
  ClusterProcess cluster(home, spec);
  ASSERT_TRUE(cluster.up());
  std::vector<LoadJob> jobs = random_jobs(model, options.seed, 5000, 1000, 3000, 0);
  for (LoadJob& job : jobs) {
    job.submit.sampling.lists = nullptr;
    job.submit.sampling.ignore_eos = true;
  }
  std::atomic<bool> over{false};
  LoadSwarm swarm(
      cluster.jobs(), [&](std::size_t number) { return !over && number < jobs.size() ? std::optional(jobs[number]) : std::nullopt; }, kStreams, std::chrono::minutes(5));
  SabotagePlan plan;
  plan.roles = {ChaosRole::kDecode};
  (freeze ? plan.freezes : plan.kills) = options.kills;
  plan.shortest = plan.longest = kFreeze;
  plan.seed = options.seed;
  plan.at_rest = true;
  Saboteur saboteur(cluster, plan, kWorkers, [&] { return swarm.streaming(); });
  EXPECT_TRUE(comes_true([&] { return saboteur.done(); }, std::chrono::minutes(15)));
  const std::vector<Fault> faults = saboteur.finish();
  over = true;
  Gaps gaps;
  take(model, swarm.finish(), faults, gaps);
  EXPECT_EQ(faults.size(), options.kills);
  EXPECT_EQ(gaps.identical, gaps.streams);
  EXPECT_EQ(cluster.fsck(), "");
  report_verdict(row(name, gaps).c_str());
}

TEST(ChaosGaps, OfStreamsWhoseDecodeWorkerIsLost) {
  const auto options = chaos_options();
  ASSERT_TRUE(options) << options.error().message;
  if (!options->measure) GTEST_SKIP() << "only with --measure gaps";
  report_verdict((std::to_string(options->kills) + " faults each, of 32 streams            tokens   gap, ms             until noticed, ms   the rest, ms").c_str());
  report_verdict("fault, a token's computing   streams   (mean)     p50   p99   max     p50   p99   max     p50   p99   max");
  measure("kill -9, free", false, Duration{}, *options);
  measure("kill -9, 0.1 ms", false, std::chrono::microseconds(100), *options);
  measure("frozen for 3 s, free", true, Duration{}, *options);
  measure("frozen for 3 s, 0.1 ms", true, std::chrono::microseconds(100), *options);
}

}  // namespace
}  // namespace baton::test
