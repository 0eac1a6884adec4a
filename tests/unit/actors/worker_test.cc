// SPDX-License-Identifier: Apache-2.0
// The worker alone: what it does when told things the simulator rarely brings about.
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "actors/worker.h"
#include "engine/oracle_engine.h"
#include "tests/support/test_outbox.h"

namespace baton {
namespace {

struct NoEngine final : EnginePort {
  void submit(BatchPlan plan, std::function<void(StepResult, Outbox&)> then) override {
    plans.push_back(std::move(plan));
    done = std::move(then);
  }
  std::vector<BatchPlan> plans;
  std::function<void(StepResult, Outbox&)> done;
};

struct NoPlane final : DataPlane {
  const std::string& address() const override { return name; }
  void open(const TransferId& transfer, const PeerKey&, std::vector<Place>, Duration) override { opened.push_back(transfer); }
  void close(const TransferId& transfer) override { closed.push_back(transfer); }
  void connect(const PeerKey&, const std::string&) override { ++connects; }
  void disconnect(const PeerKey&) override { ++disconnects; }
  void push(std::uint64_t ticket, const PeerKey&, const TransferId&, std::vector<Piece>) override { pushed.push_back(ticket); }
  void abandon(const TransferId&) override {}
  std::string transport(const PeerKey&) const override { return "none"; }
  std::string name = "nowhere";
  std::vector<TransferId> opened, closed;
  std::vector<std::uint64_t> pushed;
  int connects = 0;
  int disconnects = 0;
};

struct NotedExit final : ProcessControl {
  void exit(int, const std::string& reason) override { reasons.push_back(reason); }
  std::vector<std::string> reasons;
};

struct WorkerTest : ::testing::Test {
  WorkerTest() : worker(options(), info, engine, plane, process) { worker.start(out); }

  static WorkerOptions options() {
    WorkerOptions options;
    options.name = "decode-0";
    options.coordinator_node = NodeId{10};
    options.blocks_total = 64;
    return options;
  }
  void join() {
    out.set_sender(coordinator);
    worker.on(JoinAccepted{1, 200'000'000, 5}, out);
  }

  const ActorRef coordinator{NodeId{10}, Incarnation{100}, 0, 0};
  EngineInfo info = oracle_info(OracleOptions{});
  NoEngine engine;
  NoPlane plane;
  NotedExit process;
  TestOutbox out;
  Worker worker;
};

TEST_F(WorkerTest, FencedBeforeItJoinedItEndsInsteadOfKnockingForEver) {
  out.clear();
  worker.on(LinkDown{NodeId{10}, Incarnation{100}, "fenced"}, out);
  EXPECT_EQ(process.reasons.size(), 1u);
  EXPECT_TRUE(out.messages<WorkerHello>().empty());
}

TEST_F(WorkerTest, KeepsKnockingWhileNobodyAnswers) {
  out.clear();
  worker.on(LinkDown{NodeId{10}, Incarnation{}, "unreachable"}, out);
  EXPECT_TRUE(process.reasons.empty());
  EXPECT_EQ(out.messages<WorkerHello>().size(), 1u);
}

}  // namespace
}  // namespace baton
