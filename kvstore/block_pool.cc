// SPDX-License-Identifier: Apache-2.0
#include "kvstore/block_pool.h"

#include <algorithm>
#include <iterator>

#include "runtime/base/check.h"

namespace baton {

BlockPool::BlockPool(std::uint32_t blocks) : blocks_(blocks) {
  counts_.total = counts_.free = blocks;
  if (blocks > 0) free_runs_.emplace(0, blocks);
}

std::uint32_t& BlockPool::count_of(BlockState state) {
  switch (state) {
    case BlockState::kFree: return counts_.free;
    case BlockState::kHeld: return counts_.held;
    case BlockState::kLeased: return counts_.leased;
    case BlockState::kQuarantined: return counts_.quarantined;
  }
  CHECK(false);
}

void BlockPool::take_from_run(BlockId start, std::uint32_t count, Owner owner, std::vector<BlockId>& taken) {
  const auto run = free_runs_.find(start);
  const std::uint32_t length = run->second;
  free_runs_.erase(run);
  if (length > count) free_runs_.emplace(start + count, length - count);
  for (std::uint32_t i = 0; i < count; ++i) {
    blocks_[start + i].owner = owner;
    blocks_[start + i].state = BlockState::kHeld;
    taken.push_back(start + i);
  }
  counts_.free -= count;
  counts_.held += count;
}

std::optional<std::vector<BlockId>> BlockPool::allocate(std::uint32_t count, Owner owner) {
  CHECK(owner != 0);
  if (count > counts_.free) return std::nullopt;
  std::vector<BlockId> taken;
  taken.reserve(count);
  // A whole run if one of the first few is long enough; fragments, lowest first, otherwise.
  static constexpr int kRunsLookedAt = 64;
  int looked_at = 0;
  for (auto run = free_runs_.begin(); run != free_runs_.end() && looked_at < kRunsLookedAt; ++run, ++looked_at)
    if (run->second >= count) {
      take_from_run(run->first, count, owner, taken);
      return taken;
    }
  while (taken.size() < count) {
    const auto run = free_runs_.begin();
    take_from_run(run->first, std::min(run->second, count - static_cast<std::uint32_t>(taken.size())), owner, taken);
  }
  return taken;
}

void BlockPool::move(std::span<const BlockId> blocks, Owner owner, BlockState to) {
  for (const BlockId block : blocks) {
    CHECK(block < blocks_.size());
    Block& entry = blocks_[block];
    CHECK(entry.owner == owner, "a block changed state by a hand that does not hold it");
    --count_of(entry.state);
    ++count_of(to);
    entry.state = to;
  }
}

void BlockPool::lease(std::span<const BlockId> blocks, Owner owner) {
  for (const BlockId block : blocks) CHECK(blocks_[block].state == BlockState::kHeld);
  move(blocks, owner, BlockState::kLeased);
}

void BlockPool::quarantine(std::span<const BlockId> blocks, Owner owner) {
  for (const BlockId block : blocks) CHECK(blocks_[block].state == BlockState::kHeld);
  move(blocks, owner, BlockState::kQuarantined);
}

void BlockPool::release(std::span<const BlockId> blocks, Owner owner) {
  CHECK(owner != 0);
  move(blocks, owner, BlockState::kFree);
  for (const BlockId block : blocks) {
    blocks_[block].owner = 0;
    ++blocks_[block].generation;
    insert_free(block);
  }
}

void BlockPool::insert_free(BlockId block) {
  auto next = free_runs_.lower_bound(block);
  std::uint32_t length = 1;
  if (next != free_runs_.end() && next->first == block + 1) {
    length += next->second;
    next = free_runs_.erase(next);
  }
  if (next != free_runs_.begin()) {
    const auto previous = std::prev(next);
    if (previous->first + previous->second == block) {
      previous->second += length;
      return;
    }
  }
  free_runs_.emplace(block, length);
}

std::vector<std::string> BlockPool::check_integrity(const std::map<Owner, std::vector<BlockId>>& held_by) const {
  std::vector<std::string> problems;
  std::vector<std::uint8_t> seen(blocks_.size(), 0);
  const auto name = [](BlockId block) { return "block " + std::to_string(block); };
  for (const auto& [owner, list] : held_by)
    for (const BlockId block : list) {
      if (block >= blocks_.size()) problems.push_back(name(block) + " is outside the pool");
      else if (seen[block]++) problems.push_back(name(block) + " is in two block tables");
      else if (blocks_[block].owner != owner) problems.push_back(name(block) + " is used by " + std::to_string(owner) + " but belongs to " + std::to_string(blocks_[block].owner));
    }
  std::uint32_t in_runs = 0;
  for (const auto& [start, length] : free_runs_)
    for (BlockId block = start; block < start + length; ++block) {
      ++in_runs;
      if (block >= blocks_.size() || blocks_[block].state != BlockState::kFree) problems.push_back(name(block) + " is on the free list but not free");
      else if (seen[block]++) problems.push_back(name(block) + " is on the free list and in use");
    }
  for (BlockId block = 0; block < blocks_.size(); ++block)
    if (!seen[block]) problems.push_back(name(block) + " has leaked: owner " + std::to_string(blocks_[block].owner) + " does not know it");
  if (in_runs != counts_.free || counts_.free + counts_.held + counts_.leased + counts_.quarantined != counts_.total)
    problems.push_back("free + held + leased + quarantined is not the total");
  return problems;
}

}  // namespace baton
