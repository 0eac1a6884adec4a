// SPDX-License-Identifier: Apache-2.0
// A real cluster serves streams while its workers and its coordinator are killed and frozen at seeded moments. Every token of every
// stream is held against the test model, or (--engine real) against what the real model answers undisturbed; in the end no block is
// lost. Options: tests/support/chaos_options.h. Linux only.
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <cstdio>
#include <memory>

#include "tests/support/chaos_options.h"
#include "tests/support/cluster_process.h"
#include "tests/support/golden_data.h"
#include "tests/support/load_client.h"
#include "tests/support/raw_http.h"
#include "tests/support/saboteur.h"
#include "tests/support/stream_check.h"
#include "tests/support/verdict.h"

namespace baton::test {
namespace {

constexpr std::size_t kClients = 48;
constexpr Duration kJobLimit = std::chrono::seconds(120);
constexpr Duration kPerFault = std::chrono::milliseconds(1600);  // on the average: what the launcher's budget of restarts allows
constexpr Duration kStep = std::chrono::milliseconds(8);
constexpr Duration kPerToken = std::chrono::milliseconds(11);    // a step, and what a busy machine adds
constexpr std::uint32_t kPromptMax = 150;

const std::map<std::string, ChaosRole> kWorkers = {
    {"prefill-0", ChaosRole::kPrefill}, {"prefill-1", ChaosRole::kPrefill}, {"decode-0", ChaosRole::kDecode},
    {"decode-1", ChaosRole::kDecode},   {"decode-2", ChaosRole::kDecode},   {"both-0", ChaosRole::kBoth},
    {"coordinator", ChaosRole::kCoordinator},
};
using Judge = std::function<StreamVerdict(const JobRecord&)>;

// Many ids, so that few streams end by chance.
OracleOptions chaos_model() {
  OracleOptions model;
  model.vocab_size = 8192;
  model.max_model_len = 4096;
  model.step_time = kStep;
  return model;
}

ClusterSpec chaos_spec(const OracleOptions& model) {
  ClusterSpec spec = oracle_spec(model, 2048);
  spec.pools = {"name: prefill, role: prefill, replicas: 2, threads: 1", "name: decode, role: decode, replicas: 3, threads: 1",
                "name: both, role: both, threads: 1"};
  return spec;
}

// Of streams that take the load's time together: every sampling parameter that the oracle honours, and some that it does not.
std::vector<LoadJob> chaos_jobs(const OracleOptions& model, std::uint64_t seed, std::size_t count, std::uint32_t tokens_max) {
  std::vector<LoadJob> jobs = random_jobs(model, seed, count, kPromptMax, tokens_max, 0);
  for (std::size_t i = 0; i < count; ++i) {
    SamplingParams& sampling = jobs[i].submit.sampling;
    if (i % 6 == 1) sampling.logprobs = static_cast<std::uint32_t>(i % 4);
    if (i % 9 == 2) sampling.prompt_logprobs = static_cast<std::uint32_t>(i % 3);
    if (i % 8 == 3) sampling.repetition_penalty = 1.2F;
    if (i % 8 == 4) sampling.presence_penalty = 0.5F;
    if (i % 8 == 5) sampling.frequency_penalty = 0.5F;
  }
  return jobs;
}

struct ChaosVerdict {
  std::size_t streams = 0, identical = 0, lost = 0, doubled = 0, changed = 0, kills = 0, freezes = 0;
  std::uint64_t resumed = 0, quarantined = 0;
  std::vector<Duration> gaps;
  std::string fsck;
  std::vector<std::string> complaints;

  std::string line() const {
    char text[512];
    std::snprintf(text, sizeof text,
                  "chaos: streams=%zu identical=%zu lost=%zu doubled=%zu changed=%zu kills=%zu freezes=%zu resumed=%llu quarantined=%llu "
                  "gap_p50_ms=%.0f gap_p99_ms=%.0f gap_max_ms=%.0f fsck=%s",
                  streams, identical, lost, doubled, changed, kills, freezes, static_cast<unsigned long long>(resumed),
                  static_cast<unsigned long long>(quarantined), milliseconds_of(percentile(gaps, 50)), milliseconds_of(percentile(gaps, 99)),
                  milliseconds_of(percentile(gaps, 100)), fsck.empty() ? "clean" : "NOT-CLEAN");
    return text;
  }
};

void judge(const Judge& judge_one, const std::vector<JobRecord>& records, const std::vector<Fault>& faults, ChaosVerdict& verdict) {
  std::map<std::string, const JobRecord*> by_name;
  for (const JobRecord& record : records) {
    const StreamVerdict each = judge_one(record);
    verdict.identical += each.fate == StreamFate::kIdentical;
    verdict.lost += each.fate == StreamFate::kLost;
    verdict.doubled += each.fate == StreamFate::kDoubled;
    verdict.changed += each.fate == StreamFate::kChanged;
    if (!each.why.empty()) verdict.complaints.push_back(each.why);
    by_name[record.submit.id] = &record;
  }
  verdict.streams = records.size();
  for (const Fault& fault : faults) {
    verdict.kills += fault.frozen == Duration{};
    verdict.freezes += fault.frozen != Duration{};
    for (const std::string& name : fault.streams)
      if (const auto gap = gap_across(*by_name.at(name), fault.at)) verdict.gaps.push_back(*gap);
  }
}

// A line for each fault; of its streams, the one that stood still longest.
std::string told(const std::vector<Fault>& faults, const std::vector<JobRecord>& records, Time begin) {
  std::string text;
  for (const Fault& fault : faults) {
    Duration longest{};
    std::string name;
    for (const JobRecord& record : records) {
      if (std::find(fault.streams.begin(), fault.streams.end(), record.submit.id) == fault.streams.end()) continue;
      const auto gap = gap_across(record, fault.at);
      if (gap && *gap > longest) std::tie(longest, name) = std::pair(*gap, record.submit.id);
    }
    char line[240];
    std::snprintf(line, sizeof line, "%8.3f s  %s %s, %zu streams there, noticed after %.0f ms, the longest gap %.0f ms %s\n", milliseconds_of(fault.at - begin) / 1000,
                  fault.frozen == Duration{} ? "killed" : ("frozen for " + std::to_string(fault.frozen / std::chrono::milliseconds(1)) + " ms").c_str(),
                  fault.victim.c_str(), fault.streams.size(), fault.noticed ? milliseconds_of(*fault.noticed - fault.at) : -1.0, milliseconds_of(longest), name.c_str());
    text += line;
  }
  return text;
}

void expect_clean_end(ClusterProcess& cluster) {
  EXPECT_EQ(cluster.down().exit_status, 0);
  EXPECT_TRUE(comes_true([&] { return cluster.home().processes().empty(); }));
  EXPECT_EQ(cluster.complaints_in_logs(), "");
}

// An answer of half a minute over HTTP, of which the first bytes have come.
std::unique_ptr<RawHttp> begun_stream(std::uint16_t port) {
  auto stream = std::make_unique<RawHttp>(port, std::chrono::seconds(15));
  const char* body = R"({"model": "oracle", "prompt": "Run", "max_tokens": 3500, "ignore_eos": true, "stream": true})";
  stream->send(http_request("POST", "/v1/completions", body, "Content-Type: application/json\r\n"));
  std::string begun;
  while (begun.find("data: ") == std::string::npos) {
    const std::string more = stream->read_some();
    if (more.empty()) {
      ADD_FAILURE() << "no stream: " << begun;
      break;
    }
    begun += more;
  }
  return stream;
}

Duration load_of(const ChaosOptions& options) {
  return options.load != Duration{} ? options.load : std::max<Duration>(std::chrono::seconds(10), (options.kills + options.freezes) * kPerFault);
}

// At least options.streams of the jobs, and more while faults are still to come.
void live_through(const ChaosOptions& options, const ClusterSpec& spec, const std::vector<LoadJob>& jobs, std::size_t clients, const Judge& judge_one) {
  TestHome home;
  ClusterProcess cluster(home, spec);
  ASSERT_TRUE(cluster.up());
  const pid_t coordinator = cluster.pid("coordinator");
  SabotagePlan plan;
  plan.roles = options.roles;
  plan.kills = options.kills;
  plan.freezes = options.freezes;
  plan.load = load_of(options);
  plan.seed = options.seed;
  const Time begin = real_now();
  std::atomic<bool> faults_done{false};
  LoadSwarm swarm(
      cluster.jobs(),
      [&](std::size_t number) { return number < options.streams || (!faults_done && number < jobs.size()) ? std::optional(jobs[number]) : std::nullopt; },
      clients, kJobLimit, {}, options.has(ChaosRole::kCoordinator));
  Saboteur saboteur(cluster, plan, kWorkers, [&] { return swarm.streaming(); });
  EXPECT_TRUE(comes_true([&] { return saboteur.done(); }, std::chrono::hours(24)));
  faults_done = true;
  const std::vector<JobRecord> records = swarm.finish();
  const std::vector<Fault> faults = saboteur.finish();

  ChaosVerdict verdict;
  verdict.resumed = saboteur.resumed();
  verdict.quarantined = saboteur.quarantined();
  judge(judge_one, records, faults, verdict);
  verdict.fsck = cluster.fsck(std::chrono::seconds(30));
  report_verdict(verdict.line().c_str());
  if (options.tell) std::fputs(told(faults, records, begin).c_str(), stderr);
  EXPECT_EQ(verdict.identical, verdict.streams);
  EXPECT_GE(verdict.streams, options.streams);
  EXPECT_EQ(verdict.kills, options.kills);
  EXPECT_EQ(verdict.freezes, options.freezes);
  EXPECT_EQ(verdict.quarantined, 0u);
  EXPECT_EQ(verdict.fsck, "");
  for (const std::string& complaint : verdict.complaints) ADD_FAILURE() << complaint;
  EXPECT_TRUE(verdict.resumed > 0 || options.kills + options.freezes < 10) << "the faults hit nobody";
  EXPECT_TRUE(options.has(ChaosRole::kCoordinator) || cluster.pid("coordinator") == coordinator);
  expect_clean_end(cluster);
  if (::testing::Test::HasFailure()) std::fputs(("seed " + std::to_string(options.seed) + '\n' + told(faults, records, begin) + cluster.logs()).c_str(), stderr);
}

TEST(Chaos, StreamsOutliveTheirWorkersAndTheirCoordinator) {
  const auto options = chaos_options();
  ASSERT_TRUE(options) << options.error().message;
  if (options->measure || options->real) GTEST_SKIP() << "--measure, or --engine real";
  if (!options->has_victims()) GTEST_SKIP() << "--roles names no worker and no coordinator";
  const OracleOptions model = chaos_model();
  // Uniform lengths up to it, and so the streams last as long as the load, in so many clients.
  const auto tokens = static_cast<std::uint64_t>(2 * (load_of(*options) / kPerToken) * static_cast<std::int64_t>(kClients)) / std::max<std::size_t>(options->streams, 1);
  const auto tokens_max = static_cast<std::uint32_t>(std::clamp<std::uint64_t>(tokens, 20, model.max_model_len - kPromptMax));
  live_through(*options, chaos_spec(model), chaos_jobs(model, options->seed, options->streams + 20'000, tokens_max), kClients,
               [&](const JobRecord& record) { return judge_stream(model, record); });
}

// Continuations of the golden prompts, greedy and sampled, with log-probabilities.
std::vector<LoadJob> real_jobs(std::size_t count) {
  const std::vector<GoldenGreedy> golden = load_golden_greedy();
  std::vector<LoadJob> jobs(count);
  for (std::size_t i = 0; i < count; ++i) {
    const GoldenGreedy& from = golden[i % golden.size()];
    ClientSubmit& submit = jobs[i].submit;
    submit.id = "real-" + std::to_string(i);
    submit.prompt_ids = from.prompt_ids;
    if (i / golden.size() % 2 == 1) submit.prompt_ids.insert(submit.prompt_ids.end(), from.ids.begin(), from.ids.end());
    submit.sampling.max_tokens = static_cast<std::uint32_t>(60 + i * 37 % 120);
    submit.sampling.ignore_eos = true;
    submit.sampling.seed = 7 + i;
    submit.seed_given = true;
    if (i % 2 == 1) submit.sampling.temperature = 0.8F;
    if (i % 4 == 3) submit.sampling.top_p = 0.9F;
    if (i % 3 == 0) submit.sampling.logprobs = 2;
  }
  return jobs;
}

TEST(Chaos, StreamsOfTheRealModelAreWhatItAnswersUndisturbed) {
  const auto options = chaos_options();
  ASSERT_TRUE(options) << options.error().message;
  if (options->measure || !options->real) GTEST_SKIP() << "--measure, or not --engine real";
  ASSERT_TRUE(golden_model_path()) << "`baton model fetch smollm2` gets the model";
  constexpr std::size_t kRealClients = 12;
  const std::vector<LoadJob> jobs = real_jobs(options->streams);
  ClusterSpec spec;
  spec.model = *golden_model_path();
  spec.kv_memory = "256MiB";
  std::map<std::string, JobRecord> undisturbed;
  {
    TestHome home;
    spec.pools = {"name: all, role: both, threads: 2"};
    ClusterProcess cluster(home, spec);
    ASSERT_TRUE(cluster.up());
    for (JobRecord& record : run_load(cluster.jobs(), jobs, kRealClients, kJobLimit)) undisturbed[record.submit.id] = std::move(record);
  }
  spec.pools = chaos_spec(chaos_model()).pools;
  std::vector<LoadJob> endless;  // the same ones in turn, for as long as faults are to come
  for (std::size_t i = 0; i < options->streams + 20'000; ++i) {
    endless.push_back(jobs[i % jobs.size()]);
    endless.back().submit.id += '/' + std::to_string(i / jobs.size());
  }
  live_through(*options, spec, endless, kRealClients,
               [&](const JobRecord& record) { return judge_stream(undisturbed.at(record.submit.id.substr(0, record.submit.id.find('/'))), record); });
}

// Its clients are cut; nobody would take what their jobs compute, so these are cancelled. Streams of other edges go on.
TEST(Chaos, AKilledGatewayCutsItsStreamsAndLeavesNothing) {
  const auto options = chaos_options();
  ASSERT_TRUE(options) << options.error().message;
  if (options->measure || !options->has(ChaosRole::kGateway)) GTEST_SKIP() << "--measure, or --roles without gateway";
  constexpr std::size_t kKills = 3, kStreams = 16, kBeside = 8;
  const OracleOptions model = chaos_model();
  TestHome home;
  ClusterSpec spec = oracle_spec(model, 2048);
  const auto port = static_cast<std::uint16_t>(free_ports(1)[0]);
  spec.more = "gateway: { http: 127.0.0.1:" + std::to_string(port) + " }\n";
  ClusterProcess cluster(home, spec);
  ASSERT_TRUE(cluster.up());
  const std::vector<LoadJob> jobs = chaos_jobs(model, options->seed, 2000, 200);
  std::atomic<bool> over{false};
  LoadSwarm swarm(cluster.jobs(), [&](std::size_t number) { return !over && number < jobs.size() ? std::optional(jobs[number]) : std::nullopt; }, kBeside, kJobLimit);
  const auto client = cluster.connect();
  std::size_t cut = 0;
  for (std::size_t kills = 0; kills < kKills; ++kills) {
    std::vector<std::unique_ptr<RawHttp>> streams;
    for (std::size_t i = 0; i < kStreams; ++i) streams.push_back(begun_stream(port));
    const pid_t before = cluster.pid("gateway");
    cluster.send_signal("gateway", SIGKILL);
    for (const auto& stream : streams) {
      const auto rest = stream->read_to_end();
      cut += rest && rest->find("[DONE]") == std::string::npos;
    }
    // What is left is of the others: long before the answers would have been complete.
    EXPECT_TRUE(comes_true([&] {
      const auto report = client->status(std::chrono::seconds(2));
      return report && report->jobs <= kBeside;
    }, std::chrono::seconds(10)));
    EXPECT_TRUE(comes_true([&] {
      const auto ready = http_ask(port, "GET", "/ready");
      return ready && ready->status == 200 && cluster.pid("gateway") != before;
    }));
  }
  over = true;
  ChaosVerdict verdict;
  judge([&](const JobRecord& record) { return judge_stream(model, record); }, swarm.finish(), {}, verdict);
  verdict.fsck = cluster.fsck();
  const auto report = client->status(std::chrono::seconds(5));
  char line[256];
  std::snprintf(line, sizeof line, "chaos gateway: kills=%zu cut=%zu of %zu jobs_left=%u streams_beside=%zu identical=%zu fsck=%s", kKills, cut, kKills * kStreams,
                report ? report->jobs : UINT32_MAX, verdict.streams, verdict.identical, verdict.fsck.empty() ? "clean" : "NOT-CLEAN");
  report_verdict(line);
  EXPECT_EQ(cut, kKills * kStreams);
  EXPECT_TRUE(report && report->jobs == 0);
  EXPECT_GT(verdict.streams, kBeside);
  EXPECT_EQ(verdict.identical, verdict.streams);
  EXPECT_EQ(verdict.fsck, "");
  for (const std::string& complaint : verdict.complaints) ADD_FAILURE() << complaint;
  expect_clean_end(cluster);
  if (::testing::Test::HasFailure()) std::fputs(cluster.logs().c_str(), stderr);
}

}  // namespace
}  // namespace baton::test
