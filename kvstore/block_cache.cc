// SPDX-License-Identifier: Apache-2.0
#include "kvstore/block_cache.h"

#include <utility>

#include "runtime/base/check.h"

namespace baton {

std::optional<std::vector<BlockId>> BlockCache::allocate(std::uint32_t count, Owner owner) {
  if (count > pool_.counts().available()) return std::nullopt;
  while (pool_.counts().free < count) {
    const auto block = index_.evict();
    CHECK(block.has_value(), "a cached block is not on the eviction list");
    pool_.evict(*block);
  }
  return pool_.allocate(count, owner);
}

void BlockCache::share(std::span<const BlockId> blocks, Owner owner) {
  for (const BlockId block : blocks) {
    if (pool_.state(block) == BlockState::kCached) index_.pin(block);
    pool_.share(block, owner);
  }
}

BlockId BlockCache::publish(const PrefixContext& context, std::optional<BlockId> parent, std::span<const TokenId> tokens, BlockId block,
                            Owner owner) {
  const auto known = index_.find(context, parent, tokens);
  if (!known) {
    pool_.keep(block, owner);
    index_.insert(context, parent, tokens, block);
    return block;
  }
  CHECK(*known != block, "a block is published twice");
  share(std::span(&*known, 1), owner);
  release(std::span(&block, 1), owner);
  return *known;
}

void BlockCache::release(std::span<const BlockId> blocks, Owner owner) {
  pool_.release(blocks, owner);
  for (const BlockId block : blocks)
    if (pool_.state(block) == BlockState::kCached) index_.unpin(block);
}

std::vector<std::string> BlockCache::check_integrity(const std::map<Owner, std::vector<BlockId>>& held_by) const {
  std::vector<std::string> problems = pool_.check_integrity(held_by);
  for (std::string& problem : index_.check_integrity()) problems.push_back(std::move(problem));
  const std::vector<BlockId> unpinned = index_.unpinned();
  for (const BlockId block : unpinned)
    if (pool_.state(block) != BlockState::kCached) problems.push_back("block " + std::to_string(block) + " is in the prefix index but not kept");
  if (unpinned.size() != pool_.counts().cached) problems.push_back("the prefix index does not know every cached block");
  return problems;
}

}  // namespace baton
