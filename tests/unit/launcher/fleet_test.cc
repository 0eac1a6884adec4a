// SPDX-License-Identifier: Apache-2.0
// The fleet without processes: what it refuses, how many it starts at once, what an end means.
#include "launcher/fleet.h"

#include <gtest/gtest.h>

#include "launcher/exit_code.h"
#include "runtime/base/check.h"

namespace baton {
namespace {

constexpr const char* kTopology = "version: 1\nname: t\nmodel: { path: \"oracle:\" }\nkv_cache: { memory: 1MiB }\npools:\n"
                                  "  - { name: prefill, role: prefill }\n  - { name: decode, role: decode, autoscale: { min: 1, max: 1 } }\n";

struct FleetTest : ::testing::Test {
  FleetTest() : loaded(load()), line("tcp://127.0.0.1:1") {
    Fleet::Ports ports;
    ports.start = [this](ProcessSpec spec) -> Result<void> {
      started.push_back(std::move(spec));
      return {};
    };
    ports.reply = [this](std::uint64_t, const ScaleReply& reply) { replies.push_back(reply); };
    ports.say = [this](const std::string& what) { said += what; };
    ports.log_path = [](const std::string& name) { return "/nowhere/" + name; };
    fleet.emplace(loaded, std::vector<std::string>{"numerics=fast"}, supervisor, line, std::move(ports));
  }
  static LoadedTopology load() {
    LoadOptions options;
    options.environment["HOME"] = "/nowhere";
    LoadResult parsed = parse_topology(kTopology, "/nowhere/t.yaml", options);
    CHECK(parsed.has_value(), "the test's topology is wrong");
    return std::move(*parsed);
  }
  void scale(const std::string& pool, std::uint32_t replicas) { fleet->scale(1, {{{pool, replicas}}, std::chrono::minutes(1)}); }
  // All questions so far; the line has the numbers 1, 2, …
  void answer_all(const CoordinatorLine::Answer& answer) {
    for (std::uint64_t number = 1; number < 100; ++number) fleet->take(number, answer);
  }
  static StatusReport ready(const std::vector<std::string>& names) {
    StatusReport report;
    for (const std::string& name : names) {
      WorkerStatus worker;
      worker.name = name;
      worker.state = WorkerState::kReady;
      worker.role = name.starts_with("prefill") ? Role::kPrefill : Role::kDecode;
      report.workers.push_back(worker);
    }
    return report;
  }
  static ProcessEnd lost(const std::string& name) { return {name, 7, "killed by signal 9 (Killed)", false, true, true}; }

  LoadedTopology loaded;
  Supervisor supervisor{"/bin/false", {}};
  CoordinatorLine line;
  std::vector<ProcessSpec> started;
  std::vector<ScaleReply> replies;
  std::string said;
  std::optional<Fleet> fleet;
};

TEST_F(FleetTest, RefusesWhatCannotBeAndStartsNothing) {
  scale("decod", 2);
  EXPECT_EQ(replies.at(0).exit_status, kBadUsage);
  EXPECT_EQ(replies[0].text, "no pool is named decod; there are prefill, decode (did you mean \"decode\"?)");
  loaded.text.replace(loaded.text.find("1MiB"), 4, "4TiB");  // a worker, and this machine has less
  scale("decode", 1000);
  EXPECT_EQ(replies.at(1).exit_status, kBadConfiguration);
  EXPECT_NE(replies[1].text.find("lower kv_cache.memory, or replicas"), std::string::npos) << replies[1].text;
  EXPECT_TRUE(started.empty());
  EXPECT_FALSE(fleet->busy());
}

TEST_F(FleetTest, DoesNotStartWhatTheMachineHasNoRoomFor) {
  loaded.topology.kv_cache.memory = std::uint64_t{1} << 45;
  scale("decode", 3);
  EXPECT_EQ(replies.at(0).exit_status, kFailed);
  EXPECT_NE(replies[0].text.find("2 more workers want 64TiB of KV, this machine has "), std::string::npos) << replies[0].text;
  EXPECT_TRUE(started.empty());
}

TEST_F(FleetTest, StartsFourAtATimeEachWithATopologyThatHasItsName) {
  scale("decode", 7);
  ASSERT_EQ(started.size(), 4u);
  EXPECT_EQ(started[0].name, "decode-1");
  const std::string words = [&] {
    std::string all;
    for (const std::string& word : started[3].arguments) all += word + ' ';
    return all;
  }();
  EXPECT_NE(words.find("--set numerics=fast --set pools.decode.replicas=5 --set pools.decode.autoscale.min=5 --set pools.decode.autoscale.max=5"), std::string::npos) << words;
  scale("decode", 1);
  EXPECT_EQ(replies.at(0).exit_status, kFailed) << "one at a time";
  answer_all(ready({"prefill-0", "decode-0", "decode-1", "decode-2"}));
  fleet->step();
  EXPECT_EQ(started.size(), 6u);
  EXPECT_EQ(fleet->workers().size(), 8u);
}

TEST_F(FleetTest, AWorkerThatEndsBeforeItIsReadyEndsTheCommand) {
  scale("decode", 3);
  fleet->note_end({"decode-2", 7, "exit status 3", false, false, false});
  ASSERT_EQ(replies.size(), 1u);
  EXPECT_EQ(replies[0].exit_status, kNotReadyInTime);
  EXPECT_NE(replies[0].text.find("decode-2 ended before it was ready: exit status 3"), std::string::npos);
  EXPECT_EQ(fleet->workers().size(), 3u);
  EXPECT_FALSE(fleet->busy());
}

TEST_F(FleetTest, ARefusalOfTheCoordinatorTakesTheDrainsBack) {
  scale("decode", 0);
  EXPECT_TRUE(replies.empty());
  answer_all(ClusterCommandDone{0, false, ErrorCode::kUnavailable, "then no worker would decode"});
  fleet->step();
  ASSERT_EQ(replies.size(), 1u);
  EXPECT_EQ(replies[0].exit_status, kFailed);
  EXPECT_EQ(replies[0].text, "decode-0 stays: then no worker would decode");
  EXPECT_EQ(fleet->workers().size(), 2u);
}

TEST_F(FleetTest, TheClusterStopsWithTheLastOfARole) {
  fleet->note_end(lost("decode-0"));
  EXPECT_TRUE(fleet->gave_up());
  EXPECT_FALSE(fleet->cannot_serve());
  answer_all(ready({"prefill-0"}));
  ASSERT_TRUE(fleet->cannot_serve());
  EXPECT_EQ(*fleet->cannot_serve(), "without decode-0 no worker can decode");
}

TEST_F(FleetTest, AWorkerThatWasGivenTheRoleIsEnough) {
  fleet->note_end(lost("decode-0"));
  StatusReport report = ready({"prefill-0"});
  report.workers[0].role = Role::kBoth;
  answer_all(report);
  EXPECT_FALSE(fleet->cannot_serve());
  EXPECT_NE(said.find("the cluster goes on without decode-0; `baton scale decode=1` starts it anew"), std::string::npos) << said;
}

}  // namespace
}  // namespace baton
