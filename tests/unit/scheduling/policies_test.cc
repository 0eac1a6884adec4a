// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "scheduling/batching.h"
#include "scheduling/placement.h"

namespace baton {
namespace {

TEST(Batching, DecodesComeFirstThenPrefillInOrderWithinTheBudget) {
  const std::vector<BatchCandidate> candidates{{100, false}, {1, true}, {50, false}, {1, true}};
  EXPECT_EQ(plan_batch(candidates, {16, 112}), (std::vector<std::uint32_t>{100, 1, 10, 1}));
  EXPECT_EQ(plan_batch(candidates, {16, 40}), (std::vector<std::uint32_t>{38, 1, 0, 1}));
  EXPECT_EQ(plan_batch(candidates, {3, 1000}), (std::vector<std::uint32_t>{100, 1, 0, 1}));
}

TEST(Batching, ACandidateAlwaysMakesProgress) {
  EXPECT_EQ(plan_batch(std::vector<BatchCandidate>{{5, false}}, {0, 0}), (std::vector<std::uint32_t>{1}));
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
