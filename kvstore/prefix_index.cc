// SPDX-License-Identifier: Apache-2.0
#include "kvstore/prefix_index.h"

#include <algorithm>

#include "runtime/base/check.h"
#include "runtime/base/hash.h"

namespace baton {

std::uint64_t PrefixIndex::hash_of(const PrefixContext& context, std::optional<BlockId> parent, std::span<const TokenId> tokens) const {
  std::uint64_t seed = 0;
  if (parent) {
    seed = nodes_.at(*parent).hash;
  } else {
    seed = mix64(mix64(context.model_hash, context.numerics_fingerprint), context.adapter);
    seed = hash_bytes(context.salt.data(), context.salt.size(), seed);
  }
  return hash_bytes(tokens.data(), tokens.size_bytes(), seed) & hash_mask_;
}

std::optional<BlockId> PrefixIndex::find(const PrefixContext& context, std::optional<BlockId> parent, std::span<const TokenId> tokens) const {
  CHECK(tokens.size() == block_tokens_);
  const std::uint64_t hash = hash_of(context, parent, tokens);
  for (auto it = by_hash_.lower_bound({hash, 0}); it != by_hash_.end() && it->first == hash; ++it) {
    const Node& node = nodes_.at(it->second);
    const bool same = node.parent == parent && (parent || node.context == context) && std::ranges::equal(node.tokens, tokens);
    if (same) return it->second;
  }
  return std::nullopt;
}

void PrefixIndex::insert(const PrefixContext& context, std::optional<BlockId> parent, std::span<const TokenId> tokens, BlockId block) {
  CHECK(!find(context, parent, tokens), "a prefix is entered twice");
  Node node;
  node.parent = parent;
  if (!parent) node.context = context;
  node.tokens.assign(tokens.begin(), tokens.end());
  node.hash = hash_of(context, parent, tokens);
  if (parent) {
    Node& above = nodes_.at(*parent);
    CHECK(above.pinned, "a block is entered below one that nobody holds");
    ++above.children;
  }
  by_hash_.emplace(node.hash, block);
  CHECK(nodes_.emplace(block, std::move(node)).second, "a block is entered twice");
}

void PrefixIndex::pin(BlockId block) {
  Node& node = nodes_.at(block);
  CHECK(!node.pinned);
  leaves_.erase({node.unpinned_at, block});
  node.pinned = true;
}

void PrefixIndex::unpin(BlockId block) {
  Node& node = nodes_.at(block);
  CHECK(node.pinned);
  node.pinned = false;
  node.unpinned_at = ++clock_;
  if (evictable(node)) leaves_.emplace(node.unpinned_at, block);
}

std::optional<BlockId> PrefixIndex::evict() {
  if (leaves_.empty()) return std::nullopt;
  const BlockId block = leaves_.begin()->second;
  leaves_.erase(leaves_.begin());
  const auto it = nodes_.find(block);
  by_hash_.erase({it->second.hash, block});
  if (it->second.parent) {
    Node& above = nodes_.at(*it->second.parent);
    --above.children;
    if (evictable(above)) leaves_.emplace(above.unpinned_at, *it->second.parent);
  }
  nodes_.erase(it);
  return block;
}

std::vector<BlockId> PrefixIndex::unpinned() const {
  std::vector<BlockId> list;
  for (const auto& [block, node] : nodes_)
    if (!node.pinned) list.push_back(block);
  return list;
}

std::vector<std::string> PrefixIndex::check_integrity() const {
  std::vector<std::string> problems;
  const auto complain = [&](BlockId block, const char* what) { problems.push_back("block " + std::to_string(block) + what); };
  std::map<BlockId, std::uint32_t> children;
  std::size_t leaves = 0;
  for (const auto& [block, node] : nodes_) {
    if (node.parent) {
      ++children[*node.parent];
      const auto above = nodes_.find(*node.parent);
      if (above == nodes_.end()) complain(block, " is cached below a block that is gone");
      else if (node.pinned && !above->second.pinned) complain(block, " is held and its parent is not");
    }
    if (!by_hash_.contains({node.hash, block})) complain(block, " cannot be found by its hash");
    if (leaves_.contains({node.unpinned_at, block}) != evictable(node)) complain(block, " is on the eviction list and held, or the reverse");
    leaves += evictable(node) ? 1 : 0;
  }
  for (const auto& [block, node] : nodes_)
    if (node.children != children[block]) complain(block, " miscounts its children");
  if (by_hash_.size() != nodes_.size() || leaves_.size() != leaves) problems.push_back("the prefix index names blocks it does not have");
  return problems;
}

}  // namespace baton
