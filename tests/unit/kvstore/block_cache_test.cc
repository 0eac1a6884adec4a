// SPDX-License-Identifier: Apache-2.0
// The cache against a naive model: it notes what every block was last filled with, and what every prefix must be answered with.
#include "kvstore/block_cache.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "runtime/base/random.h"

namespace baton {
namespace {

constexpr std::uint32_t kBlockTokens = 2;

std::vector<BlockId> match(const BlockCache& cache, const PrefixContext& context, std::span<const TokenId> tokens) {
  std::vector<BlockId> found;
  std::optional<BlockId> parent;
  for (; tokens.size() >= kBlockTokens; tokens = tokens.subspan(kBlockTokens)) {
    parent = cache.find(context, parent, tokens.first(kBlockTokens));
    if (!parent) break;
    found.push_back(*parent);
  }
  return found;
}

TEST(BlockCache, AFilledBlockIsFoundAndShared) {
  BlockCache cache(4, kBlockTokens);
  const PrefixContext context{1, 2, 0, ""};
  const std::vector<TokenId> tokens{5, 6, 7, 8};
  auto blocks = *cache.allocate(2, 1);
  EXPECT_EQ(cache.publish(context, std::nullopt, std::span(tokens).first(2), blocks[0], 1), blocks[0]);
  cache.note_digest(blocks[0], 77);
  EXPECT_EQ(cache.publish(context, blocks[0], std::span(tokens).last(2), blocks[1], 1), blocks[1]);
  EXPECT_EQ(match(cache, context, tokens), blocks);
  EXPECT_EQ(cache.digest(blocks[0]), 77u);
  EXPECT_EQ(cache.digest(blocks[1]), std::nullopt);
  cache.share(blocks, 2);
  cache.release(blocks, 1);
  EXPECT_EQ(cache.counts().held, 2u);
  EXPECT_EQ(cache.allocate(3, 3), std::nullopt) << "a shared block is not evicted";
  cache.release(blocks, 2);
  EXPECT_EQ(cache.counts().cached, 2u);
  EXPECT_EQ(cache.allocate(4, 3)->size(), 4u);
  EXPECT_TRUE(match(cache, context, tokens).empty());
  EXPECT_TRUE(cache.check_integrity({{3, {0, 1, 2, 3}}}).empty());
}

TEST(BlockCache, TheSecondToFillABlockSharesTheFirstsAndReturnsItsOwn) {
  BlockCache cache(4, kBlockTokens);
  const PrefixContext context{1, 2, 0, ""};
  const std::vector<TokenId> tokens{5, 6};
  const auto first = *cache.allocate(1, 1);
  const auto second = *cache.allocate(1, 2);
  cache.publish(context, std::nullopt, tokens, first[0], 1);
  EXPECT_EQ(cache.publish(context, std::nullopt, tokens, second[0], 2), first[0]);
  EXPECT_EQ(cache.state(second[0]), BlockState::kFree);
  EXPECT_TRUE(cache.check_integrity({{1, first}, {2, first}}).empty());
}

// Random lives over few tokens, so that prefixes meet, and with a hash of two bits, so that they collide.
class RandomLives {
 public:
  explicit RandomLives(std::uint64_t seed) : random_(seed), cache_(24, kBlockTokens, 3) {}

  void run(int operations) {
    for (int i = 0; i < operations; ++i) {
      const std::uint64_t what = random_.below(8);
      if (what < 3) begin();
      else if (what < 6) grow();
      else if (!sequences_.empty()) finish();
      const auto problems = cache_.check_integrity(tables());
      ASSERT_TRUE(problems.empty()) << "operation " << i << ": " << problems.front();
    }
    while (!sequences_.empty()) finish();
    EXPECT_EQ(cache_.counts().available(), 24u);
    EXPECT_GT(hits_, 100u);
    EXPECT_GT(evictions_, 20u);
  }

 private:
  struct Sequence {
    std::string salt;
    std::vector<TokenId> tokens;  // multiples of a block are published
    std::vector<BlockId> blocks;
  };
  using Key = std::pair<std::string, std::vector<TokenId>>;  // salt, every token from the start

  static PrefixContext context(const std::string& salt) { return {1, 2, 0, salt}; }
  std::map<BlockPool::Owner, std::vector<BlockId>> tables() const {
    std::map<BlockPool::Owner, std::vector<BlockId>> held;
    for (const auto& [id, sequence] : sequences_) held[id] = sequence.blocks;
    return held;
  }

  // Forgets what was in blocks that have been handed out anew.
  void note_taken(const std::vector<BlockId>& taken) {
    for (const BlockId block : taken) evictions_ += content_.erase(block);
  }

  void begin() {
    Sequence sequence;
    sequence.salt = random_.chance(1, 2) ? "x" : "y";
    std::vector<TokenId> wanted(kBlockTokens * random_.below(5));
    for (TokenId& token : wanted) token = static_cast<TokenId>(random_.below(3));
    const auto hits = match(cache_, context(sequence.salt), wanted);
    for (std::size_t i = 0; i < hits.size(); ++i) {
      const Key key{sequence.salt, {wanted.begin(), wanted.begin() + static_cast<std::ptrdiff_t>((i + 1) * kBlockTokens)}};
      ASSERT_EQ(content_.at(hits[i]), key) << "a hit on a block with another content";
    }
    // What the naive model still has must be found: at least as far as its chain goes.
    std::size_t known = 0;
    while ((known + 1) * kBlockTokens <= wanted.size() && holds({sequence.salt, {wanted.begin(), wanted.begin() + static_cast<std::ptrdiff_t>((known + 1) * kBlockTokens)}})) ++known;
    ASSERT_EQ(hits.size(), known);
    hits_ += hits.size();
    cache_.share(hits, next_);
    sequence.blocks = hits;
    sequence.tokens.assign(wanted.begin(), wanted.begin() + static_cast<std::ptrdiff_t>(hits.size() * kBlockTokens));
    sequences_[next_++] = sequence;
  }

  bool holds(const Key& key) const {
    return std::any_of(content_.begin(), content_.end(), [&](const auto& entry) { return entry.second == key; });
  }

  void grow() {
    if (sequences_.empty()) return;
    auto& [id, sequence] = *std::next(sequences_.begin(), static_cast<std::ptrdiff_t>(random_.below(sequences_.size())));
    const auto taken = cache_.allocate(1, id);
    if (!taken) return;
    note_taken(*taken);
    for (std::uint32_t i = 0; i < kBlockTokens; ++i) sequence.tokens.push_back(static_cast<TokenId>(random_.below(3)));
    const Key key{sequence.salt, sequence.tokens};
    const bool known = holds(key);
    std::optional<BlockId> parent;
    if (!sequence.blocks.empty()) parent = sequence.blocks.back();
    const BlockId used = cache_.publish(context(sequence.salt), parent, std::span(sequence.tokens).last(kBlockTokens), taken->front(), id);
    ASSERT_EQ(used != taken->front(), known);
    if (known) {
      ASSERT_EQ(content_.at(used), key);
    }
    content_[used] = key;
    sequence.blocks.push_back(used);
  }

  void finish() {
    const auto it = std::next(sequences_.begin(), static_cast<std::ptrdiff_t>(random_.below(sequences_.size())));
    cache_.release(it->second.blocks, it->first);
    sequences_.erase(it);
  }

  Random random_;
  BlockCache cache_;
  std::map<BlockPool::Owner, Sequence> sequences_;
  std::map<BlockId, Key> content_;
  BlockPool::Owner next_ = 1;
  std::uint64_t hits_ = 0;
  std::uint64_t evictions_ = 0;
};

TEST(BlockCache, RandomLivesAgreeWithANaiveModel) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE(seed);
    RandomLives(seed).run(2000);
    if (HasFatalFailure()) return;
  }
}

}  // namespace
}  // namespace baton
