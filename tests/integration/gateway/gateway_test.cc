// SPDX-License-Identifier: Apache-2.0
// A real cluster of the test model with a gateway: that it is started, waited for, shown, started again and stopped with the
// rest, who may ask it, and that hostile clients harm nobody.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>

#include <atomic>
#include <thread>

#include "runtime/actor/real_loop.h"
#include "runtime/base/random.h"
#include "tests/support/cluster_process.h"
#include "tests/support/json_lines.h"
#include "tests/support/raw_http.h"
#include "tests/support/slow_build.h"
#include "tests/support/smuggling_cases.h"

namespace baton::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class Gateway : public ::testing::Test {
 protected:
  void TearDown() override {
    if (cluster_) {
      EXPECT_EQ(cluster_->complaints_in_logs(), "");
    }
  }
  // `security`: the section's content.
  void describe(const std::string& security = {}) {
    OracleOptions model;
    model.step_time = milliseconds(2);
    ClusterSpec spec = oracle_spec(model, 2048);
    spec.more = "gateway: { http: 127.0.0.1:" + std::to_string(port_) + ", admin: 127.0.0.1:" + std::to_string(admin_) + " }\n";
    if (!security.empty()) spec.more += "security: { " + security + " }\n";
    cluster_ = std::make_unique<ClusterProcess>(home_, spec);
  }
  int status(const std::string& path, const std::string& headers = {}) {
    const auto answer = http_ask(port_, "GET", path, "", headers);
    return answer ? answer->status : 0;
  }
  void expect_nothing_runs() {
    EXPECT_TRUE(comes_true([&] { return home_.processes().empty(); }));
  }

  TestHome home_;
  const std::vector<int> ports_ = free_ports(2);
  const std::uint16_t port_ = static_cast<std::uint16_t>(ports_[0]), admin_ = static_cast<std::uint16_t>(ports_[1]);
  std::unique_ptr<ClusterProcess> cluster_;
};

TEST_F(Gateway, IsStartedShownAndStoppedWithTheCluster) {
  describe();
  ASSERT_TRUE(cluster_->up());
  EXPECT_EQ(status("/ready"), 200) << "up waits for it";
  EXPECT_EQ(status("/live"), 200);
  EXPECT_EQ(status("/version"), 200);
  EXPECT_EQ(status("/no/such/route"), 404);
  const Json now = parse_json(home_.run({"status", "--json"}).out);
  EXPECT_EQ(now.at("gateway").at("http").text, "http://127.0.0.1:" + std::to_string(port_));
  EXPECT_EQ(static_cast<pid_t>(now.at("gateway").at("pid").number), cluster_->pid("gateway"));
  EXPECT_EQ(cluster_->down().exit_status, 0);
  expect_nothing_runs();
}

TEST_F(Gateway, IsStartedAgainWhenItIsKilled) {
  describe();
  ASSERT_TRUE(cluster_->up());
  const pid_t before = cluster_->pid("gateway");
  ASSERT_TRUE(cluster_->send_signal("gateway", SIGKILL));
  EXPECT_TRUE(comes_true([&] { return cluster_->pid("gateway") != 0 && cluster_->pid("gateway") != before; }));
  EXPECT_TRUE(comes_true([&] { return status("/ready") == 200; }));
  EXPECT_EQ(cluster_->fsck(), "");
}

TEST_F(Gateway, FindsTheCoordinatorThatWasStartedAgain) {
  describe();
  ASSERT_TRUE(cluster_->up());
  const pid_t gateway = cluster_->pid("gateway"), before = cluster_->pid("coordinator");
  ASSERT_TRUE(cluster_->send_signal("coordinator", SIGKILL));
  EXPECT_TRUE(cluster_->is_back("coordinator", before, seconds(20)));
  EXPECT_TRUE(comes_true([&] { return status("/ready") == 200; }));
  EXPECT_EQ(status("/live"), 200);
  EXPECT_EQ(cluster_->pid("gateway"), gateway) << "it need not start again for that";
}

TEST_F(Gateway, ATakenPortIsNamedWithItsOwnerAndNothingStarts) {
  describe();
  TestHome other_home;
  ClusterSpec spec;
  spec.name = "first";
  spec.more = "gateway: { http: 127.0.0.1:" + std::to_string(port_) + " }\n";
  ClusterProcess first(other_home, spec);
  ASSERT_TRUE(first.up());
  const Output output = home_.run({"up", cluster_->file(), "--detach", "--wait"});
  EXPECT_EQ(output.exit_status, 1);
  EXPECT_NE(output.err.find("127.0.0.1:" + std::to_string(port_) + " is taken by pid " + std::to_string(first.pid("gateway"))),
            std::string::npos)
      << output.err;
  EXPECT_NE(output.err.find("gateway.http"), std::string::npos) << output.err;
  expect_nothing_runs();
}

TEST_F(Gateway, KeysAreAskedForOnEveryRouteButTheLifeSigns) {
  const std::string keys = home_.path() + "/keys";
  write_text(keys, "alice:alice-key-1\n");
  ASSERT_EQ(chmod(keys.c_str(), 0600), 0);
  describe("api_keys_file: " + keys);
  ASSERT_TRUE(cluster_->up()) << "up itself needs none";
  for (const char* path : {"/live", "/ready"}) EXPECT_EQ(status(path), 200) << path;
  for (const char* path :
       {"/", "/version", "/v1/models", "/v1/chat/completions", "/metrics", "/no/such/route", "/live/../version", "/ready/"}) {
    EXPECT_EQ(status(path), 401) << path;
    EXPECT_EQ(status(path, "Authorization: Bearer alice-key-2\r\n"), 401) << path;
    EXPECT_NE(status(path, "Authorization: Bearer alice-key-1\r\n"), 401) << path;
  }
  EXPECT_EQ(cluster_->logs().find("alice-key"), std::string::npos);
  EXPECT_EQ(http_ask(admin_, "GET", "/version")->status, 200) << "the admin address needs none…";
  for (const char* path : {"/", "/v1/models", "/v1/chat/completions", "/no/such/route"})
    EXPECT_EQ(http_ask(admin_, "POST", path, "{}")->status, 404) << "…and has no model: " << path;
}

TEST_F(Gateway, OtherNamesThanThisMachinesNeedAKey) {
  const auto status_as = [](std::uint16_t port, const std::string& host) {
    RawHttp client(port);
    client.send("GET /version HTTP/1.1\r\nHost: " + host + "\r\n\r\n");
    const auto answer = client.read();
    return answer ? answer->status : 0;
  };
  describe();
  ASSERT_TRUE(cluster_->up());
  EXPECT_EQ(status_as(port_, "localhost:1"), 200);
  EXPECT_EQ(status_as(port_, "rebound.example"), 403);
  EXPECT_EQ(status_as(admin_, "rebound.example"), 403);
  EXPECT_EQ(status_as(admin_, "127.0.0.1"), 200);
}

TEST_F(Gateway, BadKeysStartNothing) {
  const std::string keys = home_.path() + "/keys";
  describe("api_keys_file: " + keys);
  const auto complaint = [&] {
    const Output output = home_.run({"up", cluster_->file(), "--detach"});
    EXPECT_EQ(output.exit_status, 3) << output.err;
    EXPECT_NE(output.err.find("nothing was started"), std::string::npos) << output.err;
    return output.err;
  };
  EXPECT_NE(complaint().find("there is no " + keys), std::string::npos);
  write_text(keys, "alice-key-1\n");
  ASSERT_EQ(chmod(keys.c_str(), 0644), 0);
  EXPECT_NE(complaint().find("chmod 600"), std::string::npos);
  ASSERT_EQ(chmod(keys.c_str(), 0600), 0);
  write_text(keys, "alice-key-1\nshort\n");
  EXPECT_NE(complaint().find("keys:2: a key has 8 to 512 characters"), std::string::npos);
  expect_nothing_runs();
}

TEST_F(Gateway, OutlivesTenThousandHostileRequestsWhileGoodClientsAreServed) {
  describe();
  ASSERT_TRUE(cluster_->up());
  const pid_t gateway = cluster_->pid("gateway");
  std::atomic<bool> over{false};
  std::atomic<int> served{0}, failed{0};
  std::vector<std::thread> good;
  for (int i = 0; i < 2; ++i)
    good.emplace_back([&] {
      while (!over) ++(status("/ready") == 200 ? served : failed);
    });
  std::vector<std::unique_ptr<RawHttp>> slow;  // slowloris, all the time
  for (int i = 0; i < 200; ++i) {
    slow.push_back(std::make_unique<RawHttp>(port_));
    slow.back()->send("POST /v1/completions HTTP/1.1\r\nHost: a\r\nX-Slow: ");
  }
  Random random(5);
  for (int round = 0; round < 10'000; ++round) {
    ASSERT_TRUE(survives_mutated_case(port_, random)) << round;
    if (round % 50 == 0) slow[random.below(slow.size())]->send("y");
  }
  over = true;
  for (std::thread& each : good) each.join();
  EXPECT_EQ(failed, 0);
  EXPECT_GT(served, 100);
  slow.clear();
  EXPECT_EQ(cluster_->pid("gateway"), gateway);
  EXPECT_LT(rss_bytes(gateway), kSlowBuild ? 600u << 20 : 100u << 20);
  EXPECT_TRUE(comes_true([&] { return open_files(gateway) < 60; })) << open_files(gateway);
  EXPECT_EQ(cluster_->fsck(), "");
}

}  // namespace
}  // namespace baton::test
