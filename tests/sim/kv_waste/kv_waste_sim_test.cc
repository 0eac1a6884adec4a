// SPDX-License-Identifier: Apache-2.0
// How much of the KV memory that running jobs hold is of no use to them: the lengths of real conversations
// (tools/golden/make_sharegpt_lengths.py) go through a worker's block accounts. The engine computes nothing; only lengths matter.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <functional>
#include <optional>
#include <utility>
#include <vector>

#include "actors/worker.h"
#include "engine/oracle_engine.h"
#include "runtime/base/random.h"
#include "tests/support/test_outbox.h"
#include "tests/support/verdict.h"

namespace baton {
namespace {

struct Lengths {
  std::uint32_t prompt = 0;
  std::uint32_t answer = 0;
};

std::vector<Lengths> sharegpt_lengths() {
  std::ifstream file(std::string(BATON_SOURCE_DIR) + "/tests/golden/data/sharegpt_lengths.txt");
  std::vector<Lengths> all;
  Lengths each;
  while (file >> each.prompt >> each.answer) all.push_back(each);
  return all;
}

// Answers every step with token 1.
struct CountingEngine final : EnginePort {
  void submit(BatchPlan plan, std::function<void(StepResult, Outbox&)> then) override {
    waiting = std::move(plan);
    done = std::move(then);
  }
  bool step(Outbox& out) {
    if (!waiting) return false;
    const BatchPlan plan = *std::exchange(waiting, std::nullopt);
    StepResult result{plan.step, {}};
    for (const SequencePlan& share : plan.sequences) result.sequences.push_back({.sequence = share.sequence, .sampled = share.sample, .token = 1});
    std::exchange(done, nullptr)(std::move(result), out);
    return true;
  }
  std::optional<BatchPlan> waiting;
  std::function<void(StepResult, Outbox&)> done;
};

struct NoPlane final : DataPlane {
  const std::string& address() const override { return name; }
  void open(const TransferId&, const PeerKey&, std::vector<Place>, Duration) override {}
  void close(const TransferId&) override {}
  void connect(const PeerKey&, const std::string&) override {}
  void disconnect(const PeerKey&) override {}
  void push(std::uint64_t, const PeerKey&, const TransferId&, std::vector<Piece>) override {}
  void abandon(const TransferId&) override {}
  std::string transport(const PeerKey&) const override { return "none"; }
  std::string name = "nowhere";
};

struct NoExit final : ProcessControl {
  void exit(int, const std::string& reason) override { FAIL() << reason; }
};

TEST(KvWaste, UnderRealLengthsLessThanFourPercentOfHeldSlotsAreEmpty) {
  const std::vector<Lengths> conversations = sharegpt_lengths();
  ASSERT_EQ(conversations.size(), 1000u);
  const ActorRef coordinator{NodeId{10}, Incarnation{100}, 0, 0};
  const ActorRef edge{NodeId{30}, Incarnation{300}, 0, 0};
  const EngineInfo info = oracle_info(OracleOptions{});
  ASSERT_EQ(info.geometry.block_tokens, 16u);
  CountingEngine engine;
  NoPlane plane;
  NoExit process;
  TestOutbox out;
  WorkerOptions options;
  options.name = "both-0";
  options.coordinator_node = coordinator.node;
  options.blocks_total = 1280;  // 20480 tokens: what 64 of them need, about
  Worker worker(options, info, engine, plane, process);
  worker.start(out);
  out.set_sender(coordinator);
  worker.on(JoinAccepted{1, 200'000'000, 5}, out);

  Random random(1);
  std::uint64_t held = 0, used = 0, steps = 0, busy = 0;
  std::size_t next = 0;
  const auto submit = [&] {
    StartPrefill start;
    start.job = JobId{next + 1};
    start.epoch = 1;
    start.edge = edge;
    for (std::uint32_t i = 0; i < conversations[next].prompt; ++i) start.prompt.push_back(static_cast<TokenId>(1 + random.below(info.vocab_size - 1)));
    start.sampling.max_tokens = conversations[next].answer;
    start.sampling.ignore_eos = true;
    ++next;
    worker.on(start, out);
  };
  while (next < 96) submit();
  while (engine.step(out)) {
    out.clear();
    ++steps;
    const SlotCounts slots = worker.slots();
    held += slots.held;
    used += slots.used;
    busy += slots.held;
    // As many again as have ended: the worker is never idle.
    while (next < conversations.size() && worker.account().sequences < 96) submit();
  }
  EXPECT_EQ(next, conversations.size());
  EXPECT_TRUE(worker.idle());
  const double waste = 1.0 - static_cast<double>(used) / static_cast<double>(held);
  const double fill = static_cast<double>(busy) / static_cast<double>(steps) / (options.blocks_total * 16.0);
  char line[256];
  std::snprintf(line, sizeof line, "kv waste: %.2f%% of held slots empty (block size 16, %zu ShareGPT conversations, %llu steps, pool %.0f%% held on average, preemptions=%llu)",
                100 * waste, conversations.size(), static_cast<unsigned long long>(steps), 100 * fill, static_cast<unsigned long long>(worker.stats().num_preemptions));
  test::report_verdict(line);
  EXPECT_LT(waste, 0.04);
  EXPECT_GT(waste, 0.0);
  EXPECT_GT(fill, 0.6) << "a pool that is mostly empty would prove nothing";
}

}  // namespace
}  // namespace baton
