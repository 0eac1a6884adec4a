// SPDX-License-Identifier: Apache-2.0
// Workers of a real cluster are killed and frozen under load. What a client sees is a delay: every job ends with the tokens it
// would have had, none twice, and afterwards no block is lost. docs/architecture.md, "When something dies".
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <atomic>
#include <sstream>
#include <thread>

#include "tests/support/cluster_process.h"
#include "tests/support/load_client.h"

namespace baton::test {
namespace {

constexpr std::size_t kClients = 16;
constexpr std::size_t kJobs = 160;
constexpr Duration kJobLimit = std::chrono::seconds(60);

class WorkerFaults : public ::testing::Test {
 protected:
  WorkerFaults() : cluster_(home_, oracle_spec(model_, 512)) {}

  // Calls `fault` once, from outside the clients, when so many jobs have ended; returns when all have.
  std::vector<JobRecord> load_with(std::size_t at, const std::function<void()>& fault) {
    std::atomic<std::size_t> ended{0};
    std::thread saboteur([&] {
      if (comes_true([&] { return ended >= at; }, kJobLimit)) fault();
    });
    std::vector<JobRecord> records =
        run_load(cluster_.jobs(), random_jobs(model_, at, kJobs, 150, 60, 10), kClients, kJobLimit, [&](std::size_t count) { ended = count; });
    saboteur.join();
    return records;
  }
  void expect_unharmed(const std::vector<JobRecord>& records) {
    EXPECT_EQ(records.size(), kJobs);
    for (const JobRecord& record : records) {
      EXPECT_EQ(oracle_complaint(model_, record), "");
      EXPECT_FALSE(record.error) << record.submit.id << ": " << record.error->message;
    }
    EXPECT_EQ(cluster_.fsck(), "");
  }
  void expect_clean_end() {
    EXPECT_EQ(cluster_.down().exit_status, 0);
    EXPECT_TRUE(comes_true([&] { return home_.processes().empty(); }));
    EXPECT_EQ(cluster_.complaints_in_logs(), "");
    if (HasFailure()) std::fputs(cluster_.logs().c_str(), stderr);
  }
  void kill_under_load(const std::string& name) {
    ASSERT_TRUE(cluster_.up());
    const pid_t before = cluster_.pid(name);
    expect_unharmed(load_with(kJobs / 4, [&] { cluster_.send_signal(name, SIGKILL); }));
    EXPECT_TRUE(cluster_.is_back(name, before, std::chrono::seconds(20)));
    expect_clean_end();
  }

  const OracleOptions model_ = busy_model();
  TestHome home_;
  ClusterProcess cluster_;
};

TEST_F(WorkerFaults, AKilledPrefillWorkerCostsNoToken) { kill_under_load("prefill-0"); }

TEST_F(WorkerFaults, AKilledDecodeWorkerCostsNoToken) { kill_under_load("decode-0"); }

// It misses its heartbeats, is fenced and its jobs wait for another life of it; what it still says when it wakes counts for
// nothing, and it ends itself.
TEST_F(WorkerFaults, AFrozenDecodeWorkerIsFencedAndCostsNoToken) {
  ASSERT_TRUE(cluster_.up());
  const pid_t before = cluster_.pid("decode-0");
  expect_unharmed(load_with(kJobs / 4, [&] {
    kill(before, SIGSTOP);
    std::this_thread::sleep_for(std::chrono::seconds(3));
    kill(before, SIGCONT);
  }));
  EXPECT_TRUE(cluster_.is_back("decode-0", before, std::chrono::seconds(20)));
  expect_clean_end();
}

TEST_F(WorkerFaults, AFrozenPrefillWorkerIsFencedAndCostsNoToken) {
  ASSERT_TRUE(cluster_.up());
  const pid_t before = cluster_.pid("prefill-0");
  expect_unharmed(load_with(kJobs / 4, [&] {
    kill(before, SIGSTOP);
    std::this_thread::sleep_for(std::chrono::seconds(3));
    kill(before, SIGCONT);
  }));
  EXPECT_TRUE(cluster_.is_back("prefill-0", before, std::chrono::seconds(20)));
  expect_clean_end();
}

// A killed process leaves behind what has a name in /dev/shm at that moment, until the machine is started again: the pool, which
// is what a worker is largest by, must never be among it.
TEST_F(WorkerFaults, ThePoolIsNoSharedMemory) {
  constexpr std::size_t kPoolBytes = std::size_t{128} << 20;
  ClusterSpec spec;
  spec.name = "large";
  spec.kv_memory = std::to_string(kPoolBytes) + "B";
  ClusterProcess large(home_, spec);
  ASSERT_TRUE(large.up());
  ASSERT_EQ(home_.run({"submit", "x", "--max-tokens", "3"}).exit_status, 0);
  for (const char* name : {"prefill-0", "decode-0"}) {
    std::istringstream maps(read_text("/proc/" + std::to_string(large.pid(name)) + "/maps"));
    std::size_t shared = 0;
    for (std::string line; std::getline(maps, line);) {
      if (line.find("/dev/shm/") == std::string::npos) continue;
      const std::size_t dash = line.find('-');
      shared += std::stoull(line.substr(dash + 1), nullptr, 16) - std::stoull(line.substr(0, dash), nullptr, 16);
    }
    EXPECT_LT(shared, kPoolBytes / 4) << name;
    EXPECT_GT(rss_bytes(large.pid(name)), kPoolBytes) << name;  // it has one
  }
}

// Shorter than the heartbeat limit: nobody may notice.
TEST_F(WorkerFaults, AShortPauseIsNoDeath) {
  ASSERT_TRUE(cluster_.up());
  const pid_t before = cluster_.pid("decode-0");
  expect_unharmed(load_with(kJobs / 4, [&] {
    kill(before, SIGSTOP);
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
    kill(before, SIGCONT);
  }));
  EXPECT_EQ(cluster_.pid("decode-0"), before);
  expect_clean_end();
}

}  // namespace
}  // namespace baton::test
