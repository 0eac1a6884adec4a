// SPDX-License-Identifier: Apache-2.0
// What users and the launcher ask of the coordinator while it serves: drains, roles, ends of processes.
#include <gtest/gtest.h>

#include "actors/coordinator.h"
#include "tests/support/test_outbox.h"

namespace baton {
namespace {

struct CoordinatorCommands : ::testing::Test {
  static CoordinatorOptions options() {
    CoordinatorOptions options;
    options.supervisor_key = "secret";
    return options;
  }
  CoordinatorCommands() : coordinator(options()) {
    out.set_sender(edge);
    coordinator.on(EdgeHello{}, out);
    join(first, "both-0", 50);
    join(second, "both-1", 51);
    out.clear();
  }
  void join(const ActorRef& actor, const std::string& name, std::uint32_t pid) {
    WorkerHello hello;
    hello.name = name;
    hello.role = Role::kBoth;
    hello.pid = pid;
    hello.vocab_size = 256;
    hello.max_model_len = 4096;
    hello.max_num_seqs = 4;
    out.set_sender(actor);
    coordinator.on(hello, out);
  }
  // Two jobs: the emptier worker takes the next, so each has one.
  void admit_two() {
    for (const std::uint64_t id : {7, 8}) {
      AdmitJob admit;
      admit.job = JobId{id};
      admit.prompt = {1, 2, 3};
      admit.sampling.max_tokens = 2;
      out.set_sender(edge);
      coordinator.on(admit, out);
    }
  }
  ClusterCommand command(ClusterAction action, const std::string& worker, std::uint64_t tag) {
    ClusterCommand made;
    made.tag = tag;
    made.action = action;
    made.worker = worker;
    made.key = "secret";
    return made;
  }
  void ask(const ClusterCommand& asked) {
    out.clear();
    out.set_sender(edge);
    coordinator.on(asked, out);
  }
  std::vector<ClusterCommandDone> answers() { return out.messages_to<ClusterCommandDone>(edge); }
  JobId job_of(const ActorRef& worker) {
    const auto starts = out.messages_to<StartPrefill>(worker);
    return starts.empty() ? JobId{} : starts.front().job;
  }
  std::vector<ClusterEvent> events() {
    out.clear();
    out.set_sender(edge);
    coordinator.on(EventsRequest{1, 0}, out);
    return out.messages_to<EventsReport>(edge).at(0).events;
  }

  const ActorRef edge{NodeId{30}, Incarnation{300}, 0, 0};
  const ActorRef first{NodeId{20}, Incarnation{200}, 0, 0};
  const ActorRef second{NodeId{21}, Incarnation{210}, 0, 0};
  TestOutbox out;
  Coordinator coordinator;
};

TEST_F(CoordinatorCommands, ADrainThatIsAskedForAgainIsAnsweredOnce) {
  admit_two();
  const JobId job = job_of(first);
  ASSERT_NE(job, JobId{});
  for (int i = 0; i < 5; ++i) {
    ask(command(ClusterAction::kDrain, "both-0", 1));
    EXPECT_TRUE(answers().empty()) << "it has a job";
  }
  out.clear();
  out.set_sender(first);
  coordinator.on(TokenBatch{{{job, 1, 0, 5, 0.0F}, {job, 1, 1, 6, 0.0F}}, {{job, 1, FinishReason::kLength, 2, 0, {}}}, {{job, 1}}}, out);
  const auto told = answers();
  ASSERT_EQ(told.size(), 1u);
  EXPECT_TRUE(told[0].ok);
  EXPECT_EQ(told[0].tag, 1u);
  EXPECT_TRUE(coordinator.check_integrity().empty());
}

TEST_F(CoordinatorCommands, EachAskerOfADrainIsAnswered) {
  admit_two();
  for (const std::uint64_t tag : {1, 2, 1, 2}) ask(command(ClusterAction::kDrain, "both-0", tag));
  ask(command(ClusterAction::kUndrain, "both-0", 3));
  const auto told = answers();
  ASSERT_EQ(told.size(), 3u);
  EXPECT_FALSE(told[0].ok);
  EXPECT_FALSE(told[1].ok);
  EXPECT_EQ(told[0].message, "the drain of both-0 was taken back");
  EXPECT_TRUE(told[2].ok);
  EXPECT_EQ(told[2].tag, 3u);
}

TEST_F(CoordinatorCommands, TheLastWorkerOfARoleIsNotDrained) {
  ask(command(ClusterAction::kDrain, "both-0", 1));
  ASSERT_EQ(answers().size(), 1u);
  EXPECT_TRUE(answers()[0].ok);
  ask(command(ClusterAction::kDrain, "both-1", 2));
  ASSERT_EQ(answers().size(), 1u);
  EXPECT_FALSE(answers()[0].ok);
  EXPECT_EQ(answers()[0].message, "then no worker would prefill: start another one first (baton scale), or give one that role (baton role)");
  ask(command(ClusterAction::kDrain, "both-7", 3));
  EXPECT_EQ(answers().at(0).message, "no worker 'both-7' is in the cluster; it has both-0, both-1");
}

TEST_F(CoordinatorCommands, AWorkerThatLeavesIsNotKeptByAnUndrain) {
  out.set_sender(first);
  coordinator.on(WorkerLeaving{}, out);
  ask(command(ClusterAction::kUndrain, "both-0", 1));
  ASSERT_EQ(answers().size(), 1u);
  EXPECT_FALSE(answers()[0].ok);
  ClusterCommand ended = command(ClusterAction::kProcessEnded, "both-0", 2);
  ended.pid = 50;
  ended.detail = "exit status 0";
  ask(ended);
  EXPECT_EQ(coordinator.workers(), 1u);
  EXPECT_EQ(events().back().kind, EventKind::kLeft);
}

TEST_F(CoordinatorCommands, TheEndOfAnEarlierLifeIsOldNews) {
  ClusterCommand ended = command(ClusterAction::kProcessEnded, "both-0", 1);
  ended.pid = 49;
  ask(ended);
  EXPECT_EQ(coordinator.workers(), 2u);
  ended.pid = 50;
  ended.crashed = true;
  ended.detail = "killed by signal 9 (Killed)";
  ask(ended);
  EXPECT_EQ(coordinator.workers(), 1u);
  EXPECT_EQ(events().back().kind, EventKind::kLost);
}

}  // namespace
}  // namespace baton
