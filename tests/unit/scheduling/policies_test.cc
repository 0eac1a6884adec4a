// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "runtime/base/random.h"
#include "scheduling/batching.h"
#include "scheduling/placement.h"

namespace baton {
namespace {

TEST(Batching, DecodesComeFirstThenPrefillInOrderWithinTheBudget) {
  const std::vector<BatchCandidate> candidates{{100, false}, {1, true}, {50, false}, {1, true}};
  EXPECT_EQ(plan_batch(candidates, {16, 112, 112}), (std::vector<std::uint32_t>{100, 1, 10, 1}));
  EXPECT_EQ(plan_batch(candidates, {16, 40, 40}), (std::vector<std::uint32_t>{38, 1, 0, 1}));
  EXPECT_EQ(plan_batch(candidates, {3, 1000, 1000}), (std::vector<std::uint32_t>{100, 1, 0, 1}));
}

TEST(Batching, ACandidateAlwaysMakesProgress) {
  EXPECT_EQ(plan_batch(std::vector<BatchCandidate>{{5, false}}, {0, 0, 0}), (std::vector<std::uint32_t>{1}));
}

TEST(Batching, ALongPromptDoesNotHoldUpRunningDecodes) {
  EXPECT_EQ(plan_batch(std::vector<BatchCandidate>{{9000, false}, {1, true}}, {16, 2048, 256}), (std::vector<std::uint32_t>{256, 1}));
  EXPECT_EQ(plan_batch(std::vector<BatchCandidate>{{9000, false}, {9000, false}, {1, true}}, {16, 2048, 256}), (std::vector<std::uint32_t>{256, 0, 1}))
      << "long prompts have one share together";
}

TEST(Batching, AnIdleStepGoesToLongPromptsInOrder) {
  EXPECT_EQ(plan_batch(std::vector<BatchCandidate>{{9000, false}}, {16, 2048, 256}), (std::vector<std::uint32_t>{2048}));
  EXPECT_EQ(plan_batch(std::vector<BatchCandidate>{{300, false}, {9000, false}}, {16, 2048, 256}), (std::vector<std::uint32_t>{300, 1748}));
}

TEST(Batching, ShortPromptsShareAStepWithALongOne) {
  const std::vector<BatchCandidate> candidates{{9000, false}, {40, false}, {50, false}, {1, true}};
  EXPECT_EQ(plan_batch(candidates, {16, 2048, 256}), (std::vector<std::uint32_t>{256, 40, 50, 1}));
  EXPECT_EQ(plan_batch(candidates, {16, 300, 256}), (std::vector<std::uint32_t>{256, 40, 3, 1}));
  EXPECT_EQ(plan_batch(candidates, {16, 2048, 0}), (std::vector<std::uint32_t>{512, 40, 50, 1})) << "a quarter of the budget";
}

TEST(Batching, EveryStepKeepsTheLimitsAndDoesSomething) {
  Random random(5);
  for (int round = 0; round < 2000; ++round) {
    std::vector<BatchCandidate> candidates(1 + random.below(12));
    for (BatchCandidate& candidate : candidates) {
      candidate.decoding = random.chance(1, 2);
      candidate.pending_tokens = candidate.decoding ? 1 : 1 + static_cast<std::uint32_t>(random.below(300));
    }
    const BatchLimits limits{1 + static_cast<std::uint32_t>(random.below(12)), 1 + static_cast<std::uint32_t>(random.below(200)),
                             static_cast<std::uint32_t>(random.below(100))};
    const auto granted = plan_batch(candidates, limits);
    std::uint32_t tokens = 0, sequences = 0;
    for (std::size_t i = 0; i < candidates.size(); ++i) {
      ASSERT_LE(granted[i], candidates[i].pending_tokens);
      tokens += granted[i];
      sequences += granted[i] > 0 ? 1 : 0;
    }
    ASSERT_GT(tokens, 0u);
    ASSERT_LE(tokens, limits.max_num_batched_tokens);
    ASSERT_LE(sequences, limits.max_num_seqs);
  }
}

TEST(LeastLoaded, PairsTheLeastLoadedPrefillWithTheLeastLoadedDecode) {
  LeastLoaded placement;
  EXPECT_FALSE(placement.choose());
  placement.add(NodeId{1}, Role::kPrefill, 8);
  EXPECT_FALSE(placement.choose()) << "nobody decodes";
  placement.add(NodeId{2}, Role::kDecode, 8);
  placement.add(NodeId{3}, Role::kDecode, 8);
  placement.assign(NodeId{2}, 100);
  EXPECT_EQ(placement.choose()->decode, NodeId{3});
  placement.assign(NodeId{3}, 200);
  EXPECT_EQ(placement.choose()->decode, NodeId{2});
  placement.unassign(NodeId{3}, 200);
  placement.remove(NodeId{3});
  EXPECT_EQ(placement.choose()->decode, NodeId{2});
}

TEST(LeastLoaded, AWorkerOfBothRolesServesAlone) {
  LeastLoaded placement;
  placement.add(NodeId{5}, Role::kBoth, 2);
  EXPECT_EQ(placement.choose()->prefill, NodeId{5});
  EXPECT_EQ(placement.choose()->decode, NodeId{5});
}

TEST(LeastLoaded, AFullWorkerIsPassedOver) {
  LeastLoaded placement;
  placement.add(NodeId{1}, Role::kPrefill, 8);
  placement.add(NodeId{2}, Role::kDecode, 1);
  placement.assign(NodeId{2}, 1);
  EXPECT_FALSE(placement.choose());
  placement.unassign(NodeId{2}, 1);
  EXPECT_TRUE(placement.choose());
}

}  // namespace
}  // namespace baton
