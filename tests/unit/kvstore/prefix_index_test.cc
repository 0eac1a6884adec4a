// SPDX-License-Identifier: Apache-2.0
#include "kvstore/prefix_index.h"

#include <gtest/gtest.h>

#include <initializer_list>
#include <limits>
#include <utility>

namespace baton {
namespace {

PrefixContext salted(const char* salt) { return {1, 2, 0, salt}; }

struct PrefixIndexTest : ::testing::Test {
  void insert(std::optional<BlockId> parent, std::initializer_list<TokenId> tokens, BlockId block) {
    index.insert(salted("a"), parent, std::vector<TokenId>(tokens), block);
  }
  std::optional<BlockId> find(const PrefixContext& context, std::optional<BlockId> parent, std::initializer_list<TokenId> tokens) {
    return index.find(context, parent, std::vector<TokenId>(tokens));
  }
  PrefixIndex index{2};
};

TEST_F(PrefixIndexTest, ABlockIsFoundAfterItsOwnParentOnly) {
  insert(std::nullopt, {1, 2}, 10);
  insert(10, {3, 4}, 11);
  insert(std::nullopt, {5, 6}, 20);
  EXPECT_EQ(find(salted("a"), std::nullopt, {1, 2}), 10u);
  EXPECT_EQ(find(salted("a"), 10, {3, 4}), 11u);
  EXPECT_EQ(find(salted("a"), 20, {3, 4}), std::nullopt) << "the same tokens after others";
  EXPECT_EQ(find(salted("a"), std::nullopt, {3, 4}), std::nullopt);
  EXPECT_EQ(find(salted("a"), std::nullopt, {2, 1}), std::nullopt);
}

TEST_F(PrefixIndexTest, NothingIsSharedAcrossContexts) {
  insert(std::nullopt, {1, 2}, 10);
  EXPECT_EQ(find(salted("b"), std::nullopt, {1, 2}), std::nullopt);
  EXPECT_EQ(find(salted(""), std::nullopt, {1, 2}), std::nullopt);
  EXPECT_EQ(find({1, 3, 0, "a"}, std::nullopt, {1, 2}), std::nullopt) << "other numerics";
  EXPECT_EQ(find({7, 2, 0, "a"}, std::nullopt, {1, 2}), std::nullopt) << "another model";
  EXPECT_EQ(find({1, 2, 9, "a"}, std::nullopt, {1, 2}), std::nullopt) << "an adapter";
}

TEST_F(PrefixIndexTest, LeavesGoBeforeTheirParentsAndTheLongestUnusedFirst) {
  insert(std::nullopt, {1, 1}, 0);
  insert(0, {2, 2}, 1);
  insert(1, {3, 3}, 2);
  insert(std::nullopt, {9, 9}, 7);
  EXPECT_EQ(index.evict(), std::nullopt) << "all are held";
  for (const BlockId block : {0u, 1u, 2u}) index.unpin(block);
  index.unpin(7);
  EXPECT_EQ(index.evict(), 2u);
  EXPECT_EQ(index.evict(), 1u);
  index.pin(0);
  index.unpin(0);  // used again: later than 7
  EXPECT_EQ(index.evict(), 7u);
  EXPECT_EQ(index.evict(), 0u);
  EXPECT_EQ(index.size(), 0u);
}

// With no bit of the hash left all chains collide: parent, context and tokens alone must tell them apart.
TEST(PrefixIndexCollision, EqualHashesAreNeverTakenForEachOther) {
  PrefixIndex index(2, 0);
  const auto tokens = [](TokenId a, TokenId b) { return std::vector<TokenId>{a, b}; };
  BlockId block = 0;
  for (const char* salt : {"a", "b"})
    for (TokenId first = 0; first < 4; ++first) {
      const BlockId parent = block++;
      index.insert(salted(salt), std::nullopt, tokens(first, 0), parent);
      for (TokenId second = 0; second < 4; ++second) index.insert(salted(salt), parent, tokens(second, 0), block++);
    }
  block = 0;
  for (const char* salt : {"a", "b"})
    for (TokenId first = 0; first < 4; ++first) {
      const BlockId parent = block++;
      EXPECT_EQ(index.find(salted(salt), std::nullopt, tokens(first, 0)), parent);
      for (TokenId second = 0; second < 4; ++second) EXPECT_EQ(index.find(salted(salt), parent, tokens(second, 0)), block++);
    }
  EXPECT_EQ(index.find(salted("c"), std::nullopt, tokens(0, 0)), std::nullopt);
  EXPECT_EQ(index.find(salted("a"), std::nullopt, tokens(0, 1)), std::nullopt);
  EXPECT_TRUE(index.check_integrity().empty());
}

TEST(PrefixIndexDeath, TheIndexKeepsItsOwnRules) {
  PrefixIndex index(1);
  index.insert(salted(""), std::nullopt, std::vector<TokenId>{1}, 0);
  EXPECT_DEATH(index.insert(salted(""), std::nullopt, std::vector<TokenId>{1}, 1), "entered twice");
  index.unpin(0);
  EXPECT_DEATH(index.insert(salted(""), 0, std::vector<TokenId>{1}, 1), "nobody holds");
}

}  // namespace
}  // namespace baton
