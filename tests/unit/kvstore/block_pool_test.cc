// SPDX-License-Identifier: Apache-2.0
#include "kvstore/block_pool.h"

#include <gtest/gtest.h>

#include "runtime/base/random.h"

namespace baton {
namespace {

TEST(BlockPool, AllocatesAllOrNothingAndLowestFirst) {
  BlockPool pool(8);
  EXPECT_EQ(pool.allocate(3, 1), (std::vector<BlockId>{0, 1, 2}));
  EXPECT_EQ(pool.allocate(6, 2), std::nullopt);
  EXPECT_EQ(pool.counts().free, 5u);
  EXPECT_EQ(pool.allocate(5, 2), (std::vector<BlockId>{3, 4, 5, 6, 7}));
}

TEST(BlockPool, PrefersAContiguousRunOverLowerFragments) {
  BlockPool pool(10);
  const auto a = *pool.allocate(2, 1);
  const auto b = *pool.allocate(2, 2);
  pool.release(a, 1);
  EXPECT_EQ(pool.allocate(4, 3), (std::vector<BlockId>{4, 5, 6, 7}));
  EXPECT_EQ(pool.allocate(3, 4), (std::vector<BlockId>{0, 1, 8})) << "fragments when no run is long enough";
  pool.release(b, 2);
}

TEST(BlockPool, ReleaseRaisesTheGenerationAndMergesRuns) {
  BlockPool pool(4);
  const auto all = *pool.allocate(4, 1);
  for (const BlockId block : {2u, 0u, 3u, 1u}) pool.release(std::vector<BlockId>{block}, 1);
  EXPECT_EQ(pool.generation(0), 1u);
  EXPECT_EQ(pool.allocate(4, 2), (std::vector<BlockId>{0, 1, 2, 3}));
}

TEST(BlockPool, LeasedAndQuarantinedBlocksAreNotHandedOut) {
  BlockPool pool(4);
  const auto leased = *pool.allocate(2, 1);
  const auto quarantined = *pool.allocate(2, 2);
  pool.lease(leased, 1);
  pool.quarantine(quarantined, 2);
  EXPECT_EQ(pool.allocate(1, 3), std::nullopt);
  pool.release(quarantined, 2);
  EXPECT_EQ(pool.counts().free, 2u);
  EXPECT_EQ(pool.state(leased[0]), BlockState::kLeased);
}

TEST(BlockPoolDeath, ReleasingAnothersBlockIsABug) {
  BlockPool pool(2);
  const auto blocks = *pool.allocate(1, 1);
  EXPECT_DEATH(pool.release(blocks, 2), "does not hold it");
  pool.release(blocks, 1);
  EXPECT_DEATH(pool.release(blocks, 1), "does not hold it");
}

TEST(BlockPool, IntegrityNamesLeaksAndDoubleUse) {
  BlockPool pool(4);
  const auto a = *pool.allocate(2, 1);
  EXPECT_TRUE(pool.check_integrity({{1, a}}).empty());
  const auto leak = pool.check_integrity({});
  ASSERT_EQ(leak.size(), 2u);
  EXPECT_NE(leak[0].find("block 0 has leaked"), std::string::npos);
  EXPECT_FALSE(pool.check_integrity({{1, a}, {2, {1}}}).empty());
}

TEST(BlockPool, AKeptBlockIsCachedAfterItsLastHolderAndKeepsItsGeneration) {
  BlockPool pool(2);
  const auto blocks = *pool.allocate(1, 1);
  pool.keep(blocks[0], 1);
  pool.share(blocks[0], 2);
  EXPECT_TRUE(pool.check_integrity({{1, blocks}, {2, blocks}}).empty());
  pool.lease(blocks, 2);
  pool.release(blocks, 1);
  EXPECT_EQ(pool.state(blocks[0]), BlockState::kLeased) << "one holder's lease is not the other's to end";
  pool.release(blocks, 2);
  EXPECT_EQ(pool.state(blocks[0]), BlockState::kCached);
  EXPECT_EQ(pool.counts().available(), 2u);
  pool.share(blocks[0], 3);
  EXPECT_EQ(pool.generation(blocks[0]), 0u) << "the same content";
  pool.release(blocks, 3);
  pool.evict(blocks[0]);
  EXPECT_EQ(pool.generation(blocks[0]), 1u);
  EXPECT_EQ(pool.counts().free, 2u);
}

TEST(BlockPoolDeath, WhatMayStillBeWrittenIsNotShared) {
  BlockPool pool(2);
  const auto blocks = *pool.allocate(2, 1);
  EXPECT_DEATH(pool.share(blocks[0], 2), "may still change");
  EXPECT_DEATH(pool.evict(blocks[0]), "somebody holds");
  pool.keep(blocks[1], 1);
  EXPECT_DEATH(pool.quarantine(std::vector<BlockId>{blocks[1]}, 1), "cannot be written");
  EXPECT_DEATH(pool.keep(blocks[0], 2), "does not hold it");
  EXPECT_DEATH(pool.evict(blocks[1]), "somebody holds");
}

TEST(BlockPool, RandomLivesKeepTheAccounts) {
  Random random(3);
  BlockPool pool(64);
  std::map<BlockPool::Owner, std::vector<BlockId>> held;
  for (BlockPool::Owner next = 1; next < 5000; ++next) {
    if (random.chance(1, 2)) {
      if (auto blocks = pool.allocate(static_cast<std::uint32_t>(random.below(12)), next)) held[next] = *blocks;
    } else if (!held.empty()) {
      auto it = held.begin();
      std::advance(it, random.below(held.size()));
      if (random.chance(1, 3)) pool.lease(it->second, it->first);
      else if (random.chance(1, 3)) pool.quarantine(it->second, it->first);
      pool.release(it->second, it->first);
      held.erase(it);
    }
    ASSERT_TRUE(pool.check_integrity(held).empty()) << next;
  }
}

}  // namespace
}  // namespace baton
