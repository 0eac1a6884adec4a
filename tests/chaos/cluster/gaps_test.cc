// SPDX-License-Identifier: Apache-2.0
// How long a stream stands still when the worker that decodes it is lost, or the coordinator: `./check chaos --measure gaps` prints a
// table, of --kills faults of each kind. With a test model that computes as many tokens as it likes in one step, and with one that takes
// 0.1 ms for each: what the second adds is the computing again of prompt and answer.
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <algorithm>
#include <cstdio>
#include <sstream>
#include <thread>

#include "tests/support/chaos_options.h"
#include "tests/support/cluster_process.h"
#include "tests/support/load_client.h"
#include "tests/support/saboteur.h"
#include "tests/support/stream_check.h"
#include "tests/support/two_namespaces.h"
#include "tests/support/verdict.h"

namespace baton::test {
namespace {

constexpr std::size_t kStreams = 32;
constexpr Duration kFreeze = std::chrono::seconds(3);

const std::map<std::string, ChaosRole> kWorkers = {{"prefill-0", ChaosRole::kPrefill}, {"prefill-1", ChaosRole::kPrefill}, {"decode-0", ChaosRole::kDecode},
                                                   {"decode-1", ChaosRole::kDecode},   {"decode-2", ChaosRole::kDecode},   {"coordinator", ChaosRole::kCoordinator}};

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
      if (!gap) continue;
      gaps.whole.push_back(*gap);
      if (fault.noticed) {  // nobody notices for a coordinator
        gaps.noticed.push_back(*fault.noticed - fault.at);
        gaps.rest.push_back(std::max(Duration{}, *gap - gaps.noticed.back()));
      }
      gaps.tokens += record.submit.prompt_ids.size();
      for (const Time arrived : record.arrived) gaps.tokens += arrived <= fault.at;
    }
}

OracleOptions gap_model(Duration token_time) {
  OracleOptions model;
  model.vocab_size = 8192;
  model.max_model_len = 4096;
  model.step_time = std::chrono::milliseconds(5);
  model.token_time = token_time;
  return model;
}

std::vector<LoadJob> gap_jobs(const OracleOptions& model, std::uint64_t seed) {
  std::vector<LoadJob> jobs = random_jobs(model, seed, 5000, 1000, 3000, 0);
  for (LoadJob& job : jobs) {
    job.submit.sampling.lists = nullptr;
    job.submit.sampling.ignore_eos = true;
  }
  return jobs;
}

void report(const char* name, const OracleOptions& model, const std::vector<JobRecord>& records, const std::vector<Fault>& faults, const ChaosOptions& options) {
  Gaps gaps;
  take(model, records, faults, gaps);
  EXPECT_EQ(faults.size(), options.kills);
  EXPECT_EQ(gaps.identical, gaps.streams);
  report_verdict(row(name, gaps).c_str());
}

void measure(const char* name, ChaosRole role, bool freeze, Duration token_time, const ChaosOptions& options) {
  const OracleOptions model = gap_model(token_time);
  TestHome home;
  ClusterSpec spec = oracle_spec(model, 8192);
  spec.pools = {"name: prefill, role: prefill, replicas: 2, threads: 1", "name: decode, role: decode, replicas: 3, threads: 1"};
  spec.more = "lifecycle: { max_restarts: 1000 }\n";
  ClusterProcess cluster(home, spec);
  ASSERT_TRUE(cluster.up());
  const std::vector<LoadJob> jobs = gap_jobs(model, options.seed);
  std::atomic<bool> over{false};
  LoadSwarm swarm(
      cluster.jobs(), [&](std::size_t number) { return !over && number < jobs.size() ? std::optional(jobs[number]) : std::nullopt; }, kStreams, std::chrono::minutes(5), {},
      role == ChaosRole::kCoordinator);
  SabotagePlan plan;
  plan.roles = {role};
  (freeze ? plan.freezes : plan.kills) = options.kills;
  plan.shortest = plan.longest = kFreeze;
  plan.seed = options.seed;
  plan.at_rest = true;
  Saboteur saboteur(cluster, plan, kWorkers, [&] { return swarm.streaming(); });
  EXPECT_TRUE(comes_true([&] { return saboteur.done(); }, std::chrono::minutes(15)));
  const std::vector<Fault> faults = saboteur.finish();
  over = true;
  report(name, model, swarm.finish(), faults, options);
  EXPECT_EQ(cluster.fsck(), "");
}

// A decode worker on another machine, behind a cable that is cut for three seconds. Nobody starts it again there but this test.
class FarWorker {
 public:
  FarWorker(TestHome& home, const TwoNamespaces& nodes, std::string file) : home_(home), nodes_(nodes), file_(std::move(file)) { start(); }

  void start() {
    nodes_.enter(1);
    pid_ = home_.start({"worker", "far-0", "--topology", file_}, "far.log");
    nodes_.enter(0);
  }
  // It is ready, and was so a second ago.
  bool is_ready(JobsClient& client) {
    if (waitpid(pid_, nullptr, WNOHANG) == pid_) start();
    const auto report = client.status(std::chrono::seconds(2));
    const bool ready = report && std::any_of(report->workers.begin(), report->workers.end(), [&](const WorkerStatus& worker) {
      return worker.name == "far-0" && worker.state == WorkerState::kReady && static_cast<pid_t>(worker.pid) == pid_;
    });
    if (!ready) since_ = kNever;
    else if (since_ == kNever) since_ = real_now();
    return ready && real_now() - since_ > std::chrono::seconds(1);
  }

 private:
  TestHome& home_;
  const TwoNamespaces& nodes_;
  const std::string file_;
  pid_t pid_ = 0;
  Time since_ = kNever;
};

std::vector<std::string> decoded_far(JobsClient& client, const std::vector<std::string>& streaming) {
  std::vector<std::string> found;
  for (const std::string& name : streaming) {
    const auto trace = client.trace(name, std::chrono::seconds(2));
    if (trace && trace->found && trace->timeline.state == JobState::kDecode && !trace->timeline.attempts.empty() && trace->timeline.attempts.back().decode_worker == "far-0")
      found.push_back(name);
  }
  return found;
}

std::optional<Time> lost_far(JobsClient& client, std::uint64_t& seen) {
  std::optional<Time> lost;
  const auto report = client.events(seen, std::chrono::seconds(2));
  for (std::size_t i = 0; report && i < report->events.size(); ++i) {
    const ClusterEvent& event = report->events[i];
    seen = event.seq;
    if (event.kind == EventKind::kLost && event.subject == "far-0") lost = real_now() - Duration(static_cast<std::int64_t>(event.age_ns));
  }
  return lost;
}

std::string cut_topology(const OracleOptions& model, const std::string& folder) {
  std::ostringstream text;
  text << "version: 1\nname: it\nmodel: { path: \"" << oracle_spec(model, 8192).model << "\", max_model_len: " << model.max_model_len
       << " }\nkv_cache: { memory: 64MiB, block_size: 16 }\ncoordinator: { node: here, jobs: \"tcp://" << TwoNamespaces::kHere << ":7070\", control: \"tcp://" << TwoNamespaces::kHere
       << ":7071\", state: " << folder << "/state }\nnodes:\n  - { name: here, address: " << TwoNamespaces::kHere << " }\n  - { name: there, address: " << TwoNamespaces::kThere
       << " }\npools:\n  - { name: prefill, role: prefill, threads: 1 }\n  - { name: near, role: decode, replicas: 2, threads: 1 }\n"
       << "  - { name: far, role: decode, threads: 1, node: there }\ntransport: { order: [shm, tcp], interface: eth0 }\nsecurity: { insecure: true }\n";
  return text.str();
}

void measure_cut(const char* name, Duration token_time, const ChaosOptions& options) {
  const TwoNamespaces nodes;
  if (!nodes.missing().empty() || !is_there("nft")) return report_verdict(("cut off: not measured, " + (nodes.missing().empty() ? "needs nft" : nodes.missing())).c_str());
  const OracleOptions model = gap_model(token_time);
  TestHome home;
  const std::string file = home.path() + "/it.yaml", address = "tcp://" + std::string(TwoNamespaces::kHere) + ":7070";
  write_text(file, cut_topology(model, home.path()));
  FarWorker far(home, nodes, file);
  const Output up = home.run({"up", file, "--detach", "--wait"}, std::chrono::minutes(2));
  ASSERT_EQ(up.exit_status, 0) << up.err;
  const auto client = JobsClient::connect(address, std::chrono::seconds(5));
  ASSERT_TRUE(client);
  const std::vector<LoadJob> jobs = gap_jobs(model, options.seed);
  std::atomic<bool> over{false};
  LoadSwarm swarm(address, [&](std::size_t number) { return !over && number < jobs.size() ? std::optional(jobs[number]) : std::nullopt; }, kStreams, std::chrono::minutes(5));
  std::vector<Fault> faults;
  std::uint64_t seen = 0;
  for (std::uint32_t i = 0; i < options.kills; ++i) {
    ASSERT_TRUE(comes_true([&] { return far.is_ready(**client); }, std::chrono::minutes(1))) << read_text(home.path() + "/far.log");
    Fault fault;
    ASSERT_TRUE(comes_true([&] { return !(fault.streams = decoded_far(**client, swarm.streaming())).empty(); }, std::chrono::minutes(1)));
    (void)lost_far(**client, seen);
    fault.at = real_now();
    ASSERT_TRUE(nodes.cut());
    EXPECT_TRUE(comes_true([&] { return (fault.noticed = lost_far(**client, seen)).has_value(); }, std::chrono::seconds(20)));
    std::this_thread::sleep_for(kFreeze - (real_now() - fault.at));
    ASSERT_TRUE(nodes.mend());
    faults.push_back(fault);
  }
  over = true;
  report(name, model, swarm.finish(), faults, options);
  EXPECT_EQ(home.run({"fsck", "--topology", "it"}).exit_status, 0);
  EXPECT_EQ(home.run({"down", "it"}).exit_status, 0);
}

TEST(ChaosGaps, OfStreamsWhoseDecodeWorkerIsLost) {
  const auto options = chaos_options();
  ASSERT_TRUE(options) << options.error().message;
  if (!options->measure) GTEST_SKIP() << "only with --measure gaps";
  report_verdict((std::to_string(options->kills) + " faults each, of 32 streams            tokens   gap, ms             until noticed, ms   the rest, ms").c_str());
  report_verdict("fault, a token's computing   streams   (mean)     p50   p99   max     p50   p99   max     p50   p99   max");
  measure("kill -9, free", ChaosRole::kDecode, false, Duration{}, *options);
  measure("kill -9, 0.1 ms", ChaosRole::kDecode, false, std::chrono::microseconds(100), *options);
  measure("frozen for 3 s, free", ChaosRole::kDecode, true, Duration{}, *options);
  measure("frozen for 3 s, 0.1 ms", ChaosRole::kDecode, true, std::chrono::microseconds(100), *options);
  measure_cut("cut off for 3 s, free", Duration{}, *options);
  measure_cut("cut off for 3 s, 0.1 ms", std::chrono::microseconds(100), *options);
  measure("coordinator, kill -9, free", ChaosRole::kCoordinator, false, Duration{}, *options);
}

}  // namespace
}  // namespace baton::test
