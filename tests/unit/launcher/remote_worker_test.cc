// SPDX-License-Identifier: Apache-2.0
#include "launcher/remote_worker.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "launcher/state_folder.h"
#include "tests/support/test_home.h"

namespace baton {
namespace {

Topology two_nodes() {
  Topology topology;
  topology.file = "/somewhere/two.yaml";
  topology.nodes.resize(2);
  topology.nodes[0].name = "a";
  topology.nodes[1].name = "b";
  topology.nodes[1].address = "203.0.113.7";  // a documentation address: nobody's
  topology.pools.resize(2);
  topology.pools[0].name = "here";
  topology.pools[1].name = "there";
  topology.pools[1].node = "b";
  return topology;
}

TEST(RemoteWorker, TheNodeDecidesWhoStartsAWorker) {
  Topology topology = two_nodes();
  EXPECT_EQ(who_starts(topology, topology.pools[0]), StartedBy::kLauncher);
  EXPECT_EQ(who_starts(topology, topology.pools[1]), StartedBy::kHand);
  topology.nodes[1].ssh = "me@b";
  EXPECT_EQ(who_starts(topology, topology.pools[1]), StartedBy::kSsh);
  topology.nodes[1].ssh.clear();
  topology.nodes[1].address = "127.0.0.2";
  EXPECT_EQ(who_starts(topology, topology.pools[1]), StartedBy::kLauncher);
}

TEST(RemoteWorker, WhatIsStartedByHandIsSaidWithItsCommand) {
  Topology topology = two_nodes();
  EXPECT_EQ(to_be_started_by_hand(topology),
            "  there-0 is not started from here (node b at 203.0.113.7 has no ssh); start it there:\n    baton worker there-0 "
            "--topology two.yaml\n");
  topology.nodes[1].ssh = "me@b";
  EXPECT_EQ(to_be_started_by_hand(topology), "");
}

TEST(RemoteWorker, TheShellAtTheOtherEndSeesEveryWordAsItIs) {
  Topology topology = two_nodes();
  topology.nodes[1].ssh = "me@b";
  const ProcessSpec spec =
      through_ssh(topology.nodes[1], "/opt/it's baton", "version: 1\n",
                  {"there-0", {"worker", "there-0", "--topology", "/here/topology.yaml", "--set", "name=$(evil)"}, "/log"});
  EXPECT_EQ(spec.program, "ssh");
  EXPECT_EQ(spec.input, "00000011version: 1\n");
  ASSERT_GE(spec.arguments.size(), 3u);
  EXPECT_EQ(spec.arguments[spec.arguments.size() - 3], "me@b");
  EXPECT_EQ(spec.arguments.back(), "exec '/opt/it'\\''s baton' 'worker' 'there-0' '--topology' '-' '--set' 'name=$(evil)'");
}

TEST(RemoteWorker, AProcessGetsItsInputAndTheEndOfItWithTheLauncher) {
  const test::TestHome home;
  const std::string log = home.path() + "/log", ended = home.path() + "/ended";
  {
    Supervisor supervisor("/nowhere", {});
    ProcessSpec spec{"reader", {"-c", "head -c 5; (cat >/dev/null; echo >" + ended + ")"}, log};
    spec.program = "sh";
    spec.input = "hello";
    ASSERT_TRUE(supervisor.start(spec).has_value());
    for (int i = 0; i < 1000 && last_lines_of_file(log, 9).find("hello") == std::string::npos; ++i) usleep(5000);
    EXPECT_NE(last_lines_of_file(log, 9).find("hello"), std::string::npos);
    usleep(50'000);
    EXPECT_FALSE(std::filesystem::exists(ended));  // its input stays open
    EXPECT_EQ(supervisor.running(), 1u);
  }
  for (int i = 0; i < 1000 && !std::filesystem::exists(ended); ++i) usleep(5000);
  EXPECT_TRUE(std::filesystem::exists(ended));
}

}  // namespace
}  // namespace baton
