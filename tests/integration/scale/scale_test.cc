// SPDX-License-Identifier: Apache-2.0
// A real cluster of the test model changes while it serves: workers come and go, change roles, are drained, are started again one by
// one. What clients see of it is nothing: every job ends, with the tokens it would have had. docs/operating.md, "Changing a cluster".
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <set>
#include <thread>

#include "tests/support/cluster_process.h"
#include "tests/support/json_lines.h"
#include "tests/support/load_client.h"
#include "tests/support/verdict.h"

namespace baton::test {
namespace {

constexpr std::size_t kClients = 16;
constexpr std::size_t kJobs = 100;  // of a round; rounds go on until the change is over
constexpr std::size_t kJobsAtLeast = 300;
constexpr Duration kJobLimit = std::chrono::seconds(60);
constexpr Duration kBack = std::chrono::seconds(30);

class Scale : public ::testing::Test {
 protected:
  ClusterProcess& make(std::vector<std::string> pools, const std::string& more = {}) {
    ClusterSpec spec = oracle_spec(model_, 512);
    spec.pools = std::move(pools);
    spec.more = more;
    cluster_.emplace(home_, spec);
    return *cluster_;
  }
  ClusterProcess& up(std::uint32_t prefill, std::uint32_t decode) {
    ClusterProcess& made = make({"name: prefill, role: prefill, threads: 1, replicas: " + std::to_string(prefill),
                                 "name: decode, role: decode, threads: 1, replicas: " + std::to_string(decode)});
    EXPECT_TRUE(made.up());
    return made;
  }
  // Calls `change` while clients are served; they go on until it has returned.
  void under_load(const std::function<void()>& change) {
    std::atomic<bool> over{false};
    std::atomic<std::size_t> ended{0};
    std::thread changer([&] {
      comes_true([&] { return ended >= kClients; }, kJobLimit);
      change();
      over = true;
    });
    std::size_t jobs = 0;
    for (std::uint64_t round = 1; !over || jobs < kJobsAtLeast; ++round) {
      const auto records = run_load(cluster_->jobs(), random_jobs(model_, round, kJobs, 150, 60, 0), kClients, kJobLimit, [&](std::size_t) { ++ended; });
      jobs += records.size();
      for (const JobRecord& record : records) {
        EXPECT_EQ(oracle_complaint(model_, record), "");
        EXPECT_FALSE(record.error) << record.submit.id << ": " << record.error->message;
      }
      if (HasFailure()) break;
    }
    changer.join();
    EXPECT_EQ(cluster_->fsck(), "");
    jobs_ += jobs;
  }
  Output command(const std::vector<std::string>& words, int wanted = 0) {
    Output output = home_.run(words);
    EXPECT_EQ(output.exit_status, wanted) << words[0] << ' ' << words[1] << ": " << output.out << output.err;
    return output;
  }
  std::set<std::string> ready() {
    std::set<std::string> names;
    const auto client = cluster_->connect();
    const auto report = client ? client->status(std::chrono::seconds(10)) : Result<StatusReport>(StatusReport{});
    for (const WorkerStatus& worker : report->workers)
      if (worker.state == WorkerState::kReady) names.insert(worker.name);
    return names;
  }
  void expect_clean_end() {
    EXPECT_EQ(cluster_->down().exit_status, 0);
    EXPECT_TRUE(comes_true([&] { return home_.processes().empty(); }));
    EXPECT_EQ(cluster_->complaints_in_logs(), "");
    if (HasFailure()) std::fputs(cluster_->logs().c_str(), stderr);
  }
  void verdict(const std::string& what) {
    if (HasFailure()) return;
    report_verdict((what + " under load: " + std::to_string(jobs_) + " jobs, 0 failed, 0 changed").c_str());
  }

  const OracleOptions model_ = busy_model();
  TestHome home_;
  std::optional<ClusterProcess> cluster_;
  std::size_t jobs_ = 0;
};

TEST_F(Scale, DecodeWorkersComeAndGo) {
  up(1, 1);
  under_load([&] {
    EXPECT_NE(command({"scale", "decode=3"}).out.find("decode: 3 workers"), std::string::npos);
    EXPECT_EQ(ready(), (std::set<std::string>{"prefill-0", "decode-0", "decode-1", "decode-2"}));
    EXPECT_NE(cluster_->pid("decode-2"), 0);
    EXPECT_NE(command({"scale", "decode=1"}).out.find("decode: 1 worker"), std::string::npos);
    EXPECT_EQ(ready(), (std::set<std::string>{"prefill-0", "decode-0"}));
    EXPECT_EQ(home_.processes().size(), 4u);
  });
  verdict("decode 1 -> 3 -> 1");
  expect_clean_end();
}

TEST_F(Scale, PrefillWorkersComeAndGo) {
  up(1, 1);
  under_load([&] {
    command({"scale", "prefill=2"});
    EXPECT_EQ(ready(), (std::set<std::string>{"prefill-0", "prefill-1", "decode-0"}));
    command({"scale", "prefill=1"});
    EXPECT_EQ(ready(), (std::set<std::string>{"prefill-0", "decode-0"}));
  });
  verdict("prefill 1 -> 2 -> 1");
  expect_clean_end();
}

TEST_F(Scale, RolesChangeInALoop) {
  up(2, 2);
  std::vector<double> took, change;  // milliseconds: of the program from its start to its end, and of that the change
  under_load([&] {
    for (int i = 0; i < 8; ++i)
      for (const auto& [worker, role] : {std::pair{"decode-1", "prefill"}, {"decode-1", "decode"}, {"prefill-1", "decode"}, {"prefill-1", "prefill"}}) {
        const Output output = command({"role", worker, role, "--json"});
        took.push_back(static_cast<double>(output.took.count()) / 1e6);
        if (output.exit_status == 0) change.push_back(parse_json(output.out).at("took_ms").number);
      }
  });
  ASSERT_EQ(change.size(), 32u);
  std::sort(took.begin(), took.end());
  std::sort(change.begin(), change.end());
  // How long a program takes to start is up to the machine's other work and the sanitizers: shown, not held against the clock.
  EXPECT_LT(change.back(), 1000);
  char line[200];
  std::snprintf(line, sizeof line, "baton role under load: the change took %.0f ms, worst %.0f ms; with the program's start %.0f ms, worst %.0f ms (medians of %zu)", change[change.size() / 2],
                change.back(), took[took.size() / 2], took.back(), took.size());
  report_verdict(line);
  verdict("roles");
  expect_clean_end();
}

TEST_F(Scale, ADrainedWorkerRestsUntilItIsTakenBack) {
  up(1, 2);
  under_load([&] {
    for (int i = 0; i < 4; ++i) {
      EXPECT_NE(command({"drain", "decode-1"}).out.find("decode-1 is drained"), std::string::npos);
      EXPECT_FALSE(ready().contains("decode-1"));
      EXPECT_NE(command({"drain", "decode-1", "--undo", "--json"}).out.find("\"ok\":true"), std::string::npos);
      EXPECT_TRUE(ready().contains("decode-1"));
    }
  });
  verdict("drain and undo");
  expect_clean_end();
}

TEST_F(Scale, EveryWorkerIsStartedAgainOneByOne) {
  up(2, 2);
  under_load([&] {
    for (const char* name : {"prefill-0", "decode-0", "prefill-1", "decode-1"}) {
      const pid_t before = cluster_->pid(name);
      cluster_->send_signal(name, SIGTERM);
      EXPECT_TRUE(cluster_->is_back(name, before, kBack)) << name;
    }
  });
  EXPECT_NE(read_text(cluster_->state() + "/logs/launcher.log").find("exit status 0"), std::string::npos);
  verdict("rolling restart");
  expect_clean_end();
}

TEST_F(Scale, WhatNobodyElseCanDoIsNotTakenAway) {
  up(1, 1);
  const std::string why = "then no worker would decode: start another one first (baton scale)";
  EXPECT_NE(command({"drain", "decode-0"}, 1).err.find(why), std::string::npos);
  EXPECT_NE(command({"role", "decode-0", "prefill"}, 1).err.find(why), std::string::npos);
  const Output scaled = command({"scale", "decode=0"}, 1);
  EXPECT_NE(scaled.err.find("decode-0 stays: " + why), std::string::npos) << scaled.err;
  EXPECT_EQ(ready(), (std::set<std::string>{"prefill-0", "decode-0"}));
  EXPECT_NE(command({"drain", "decode-9"}, 1).err.find("no worker 'decode-9' is in the cluster; it has "), std::string::npos);
  EXPECT_NE(command({"scale", "decod=2"}, 2).err.find("did you mean \"decode\"?"), std::string::npos);
  EXPECT_NE(command({"scale", "decode=two"}, 2).err.find("\"decode=two\" is not POOL=N"), std::string::npos);
  EXPECT_NE(command({"scale", "decode=1", "decode=2"}, 2).err.find("named twice"), std::string::npos);
  EXPECT_NE(command({"role", "decode-0", "decoder"}, 2).err.find("decoder"), std::string::npos);
  command({"scale", "decode=1"});
  expect_clean_end();
}

// Roles may be anybody's: a pool that is empty, or becomes so.
TEST_F(Scale, APoolMayBeEmptyWhereAnotherDoesItsWork) {
  make({"name: all, role: both, threads: 1", "name: decode, role: decode, threads: 1, replicas: 0"});
  ASSERT_TRUE(cluster_->up());
  EXPECT_EQ(ready(), (std::set<std::string>{"all-0"}));
  under_load([&] {
    command({"scale", "decode=1", "all=2"});
    EXPECT_EQ(ready(), (std::set<std::string>{"all-0", "all-1", "decode-0"}));
    command({"scale", "decode=0", "all=1"});
    EXPECT_EQ(ready(), (std::set<std::string>{"all-0"}));
  });
  verdict("0 -> 1 -> 0 of a pool");
  expect_clean_end();
}

TEST_F(Scale, AClusterGoesOnWithoutAWorkerThatOthersReplace) {
  make({"name: prefill, role: prefill, threads: 1", "name: decode, role: decode, threads: 1, replicas: 2"}, "lifecycle: { max_restarts: 1 }\n");
  const pid_t launcher = home_.start({"up", cluster_->file()}, "up.log");
  const auto words = [&] { return read_text(home_.path() + "/up.log"); };
  ASSERT_TRUE(comes_true([&] { return words().find("it is up") != std::string::npos; })) << words();
  pid_t last = 0;
  under_load([&] {
    EXPECT_TRUE(comes_true([&] {
      const pid_t now = cluster_->pid("decode-1");
      if (now != 0 && now != last && kill(now, SIGKILL) == 0) last = now;
      return words().find("the cluster goes on without decode-1") != std::string::npos;
    })) << words();
  });
  EXPECT_EQ(cluster_->pid("decode-1"), 0);
  // The launcher's word, not a missed heartbeat.
  EXPECT_NE(home_.run({"events"}).out.find("decode-1: its process ended: killed by signal 9 (Killed)"), std::string::npos);
  EXPECT_EQ(ready(), (std::set<std::string>{"prefill-0", "decode-0"}));
  command({"scale", "decode=2"});
  EXPECT_EQ(ready(), (std::set<std::string>{"prefill-0", "decode-0", "decode-1"}));
  EXPECT_EQ(cluster_->down().exit_status, 0);
  EXPECT_EQ(home_.wait_for(launcher, std::chrono::seconds(20)), 5);
  EXPECT_EQ(cluster_->complaints_in_logs(), "");
  if (HasFailure()) std::fputs(words().c_str(), stderr);
}

}  // namespace
}  // namespace baton::test
