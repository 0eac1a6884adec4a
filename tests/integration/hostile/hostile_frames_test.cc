// SPDX-License-Identifier: Apache-2.0
// Strangers throw a hundred thousand random and mutated frames at the control and the jobs socket of a live cluster while good
// clients work: every token stays right, no process ends or restarts, and nothing is left of what they asked for.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <thread>

#include "tests/support/cluster_process.h"
#include "tests/support/hostile_peer.h"
#include "tests/support/load_client.h"
#include "tests/support/verdict.h"

namespace baton::test {
namespace {

std::vector<std::string> seed_messages() {
  std::vector<std::string> messages;
  for (const auto& entry : std::filesystem::directory_iterator(std::string(BATON_SOURCE_DIR) + "/tests/fuzz/corpus/wire")) {
    std::ifstream stream(entry.path(), std::ios::binary);
    messages.emplace_back(std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>());
  }
  return messages;
}

std::map<std::string, pid_t> pids(const ClusterProcess& cluster) {
  std::map<std::string, pid_t> found;
  for (const char* name : {"launcher", "coordinator", "prefill-0", "decode-0"}) found[name] = cluster.pid(name);
  return found;
}

std::uint64_t frames_wanted() {
  const char* given = std::getenv("BATON_INTEGRATION_FRAMES");
  return given != nullptr ? std::strtoull(given, nullptr, 10) : 100'000;
}

void expect_good_work(const OracleOptions& model, const std::vector<JobRecord>& records) {
  for (const JobRecord& record : records) {
    EXPECT_EQ(oracle_complaint(model, record), "");
    EXPECT_FALSE(record.error) << record.error->message;
  }
}

TEST(HostileFrames, AtBothSocketsOfALiveClusterHurtNobody) {
  OracleOptions model;
  model.head_dim = 16;
  model.vocab_size = 512;
  model.max_model_len = 512;
  TestHome home;
  ClusterProcess cluster(home, oracle_spec(model, 64));
  ASSERT_TRUE(cluster.up());
  const std::map<std::string, pid_t> before = pids(cluster);

  const std::vector<std::string> messages = seed_messages();
  ASSERT_GT(messages.size(), 32U);
  HostilePeer at_control(cluster.control(), node_id("coordinator"), messages, 11);
  HostilePeer at_jobs(cluster.jobs(), node_id("edge/jobs"), messages, 12);
  bool control_took = false, jobs_took = false;
  std::thread control_thread([&] { control_took = at_control.send(frames_wanted() / 2); });
  std::thread jobs_thread([&] { jobs_took = at_jobs.send(frames_wanted() / 2); });
  std::vector<JobRecord> records =
      run_load(cluster.jobs(), random_jobs(model, 3, 60, 200, 40, 0), 8, std::chrono::seconds(120));
  control_thread.join();
  jobs_thread.join();

  EXPECT_TRUE(control_took);
  EXPECT_TRUE(jobs_took);
  EXPECT_GT(at_control.counts().sessions, 10U) << "the strangers must get as far as a session";
  EXPECT_GT(at_jobs.counts().sessions, 10U);
  // An actor that is handed a message it cannot take has its sender fenced: the proof that messages got so far.
  EXPECT_GT(at_control.counts().fenced, 100U);
  EXPECT_GT(at_jobs.counts().fenced, 100U);
  expect_good_work(model, records);
  expect_good_work(model, run_load(cluster.jobs(), random_jobs(model, 4, 20, 200, 40, 0), 8, std::chrono::seconds(60)));
  EXPECT_EQ(pids(cluster), before) << cluster.logs();
  EXPECT_EQ(cluster.complaints_in_logs(), "");
  EXPECT_EQ(cluster.fsck(std::chrono::seconds(30)), "");
  const std::string verdict = "hostile frames: " + std::to_string(at_control.counts().all()) + " at control and " +
                              std::to_string(at_jobs.counts().all()) + " at jobs in " +
                              std::to_string(at_control.counts().sessions + at_jobs.counts().sessions) + " sessions (" +
                              std::to_string(at_control.counts().fenced + at_jobs.counts().fenced) +
                              " fenced), no process hurt";
  if (!testing::Test::HasFailure()) report_verdict(verdict.c_str());
}

}  // namespace
}  // namespace baton::test
