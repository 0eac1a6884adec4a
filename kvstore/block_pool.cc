// SPDX-License-Identifier: Apache-2.0
#include "kvstore/block_pool.h"

#include <algorithm>
#include <iterator>

#include "runtime/base/check.h"

namespace baton {
namespace {

std::string name_of(BlockId block) { return "block " + std::to_string(block); }

constexpr const char* kNotHeld = "a block changed state by a hand that does not hold it";

}  // namespace

BlockPool::BlockPool(std::uint32_t blocks) : blocks_(blocks) {
  counts_.total = counts_.free = blocks;
  if (blocks > 0) free_runs_.emplace(0, blocks);
}

std::uint32_t& BlockPool::count_of(BlockState state) {
  switch (state) {
    case BlockState::kFree: return counts_.free;
    case BlockState::kCached: return counts_.cached;
    case BlockState::kHeld: return counts_.held;
    case BlockState::kLeased: return counts_.leased;
    case BlockState::kQuarantined: return counts_.quarantined;
  }
  CHECK(false);
}

BlockState BlockPool::state(BlockId block) const {
  const Block& entry = blocks_[block];
  if (entry.holders == 0) return entry.kept ? BlockState::kCached : BlockState::kFree;
  if (entry.quarantined) return BlockState::kQuarantined;
  return entry.leases > 0 ? BlockState::kLeased : BlockState::kHeld;
}

template <class Change>
void BlockPool::change(BlockId block, Change apply) {
  --count_of(state(block));
  apply(blocks_[block]);
  ++count_of(state(block));
}

void BlockPool::take_from_run(BlockId start, std::uint32_t count, Owner owner, std::vector<BlockId>& taken) {
  const auto run = free_runs_.find(start);
  const std::uint32_t length = run->second;
  free_runs_.erase(run);
  if (length > count) free_runs_.emplace(start + count, length - count);
  for (BlockId block = start; block < start + count; ++block) {
    CHECK(state(block) == BlockState::kFree);
    change(block, [](Block& entry) { entry.holders = 1; });
    holds_.emplace(Hold{block, owner}, false);
    taken.push_back(block);
  }
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

void BlockPool::keep(BlockId block, Owner owner) {
  CHECK(holds_.contains({block, owner}), kNotHeld);
  CHECK(!blocks_[block].kept && !blocks_[block].quarantined, "a block is kept twice, or while it may be written");
  blocks_[block].kept = true;
}

void BlockPool::share(BlockId block, Owner owner) {
  CHECK(owner != 0 && block < blocks_.size());
  CHECK(blocks_[block].kept, "a block is shared whose content may still change");
  CHECK(holds_.emplace(Hold{block, owner}, false).second, "a block is shared with one who holds it");
  change(block, [](Block& entry) { ++entry.holders; });
}

void BlockPool::lease(std::span<const BlockId> blocks, Owner owner) {
  for (const BlockId block : blocks) {
    const auto hold = holds_.find({block, owner});
    CHECK(hold != holds_.end(), kNotHeld);
    CHECK(!hold->second && !blocks_[block].quarantined);
    hold->second = true;
    change(block, [](Block& entry) { ++entry.leases; });
  }
}

void BlockPool::quarantine(std::span<const BlockId> blocks, Owner owner) {
  for (const BlockId block : blocks) {
    CHECK(holds_.contains({block, owner}), kNotHeld);
    CHECK(state(block) == BlockState::kHeld && !blocks_[block].kept, "a block that others may read cannot be written");
    change(block, [](Block& entry) { entry.quarantined = true; });
  }
}

void BlockPool::release(std::span<const BlockId> blocks, Owner owner) {
  CHECK(owner != 0);
  for (const BlockId block : blocks) {
    const auto hold = holds_.find({block, owner});
    CHECK(hold != holds_.end(), kNotHeld);
    const bool leased = hold->second;
    holds_.erase(hold);
    change(block, [leased](Block& entry) {
      --entry.holders;
      entry.leases -= leased ? 1 : 0;
      entry.quarantined = false;
    });
    if (state(block) == BlockState::kFree) insert_free(block);
  }
}

void BlockPool::evict(BlockId block) {
  CHECK(block < blocks_.size() && state(block) == BlockState::kCached, "a block is evicted that somebody holds");
  change(block, [](Block& entry) { entry.kept = false; });
  insert_free(block);
}

void BlockPool::insert_free(BlockId block) {
  ++blocks_[block].generation;
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

void BlockPool::check_free_runs(std::vector<std::string>& problems) const {
  std::uint32_t in_runs = 0;
  for (const auto& [start, length] : free_runs_)
    for (BlockId block = start; block < start + length; ++block) {
      ++in_runs;
      if (block >= blocks_.size() || state(block) != BlockState::kFree) problems.push_back(name_of(block) + " is on the free list but not free");
    }
  if (in_runs != counts_.free || counts_.available() + counts_.held + counts_.leased + counts_.quarantined != counts_.total)
    problems.push_back("free + cached + held + leased + quarantined is not the total");
}

std::vector<std::string> BlockPool::check_integrity(const std::map<Owner, std::vector<BlockId>>& held_by) const {
  std::vector<std::string> problems;
  std::map<Hold, bool> unknown = holds_;  // holds no table names
  std::vector<std::uint32_t> holders(blocks_.size(), 0);
  for (const auto& [owner, list] : held_by)
    for (const BlockId block : list) {
      if (block >= blocks_.size()) problems.push_back(name_of(block) + " is outside the pool");
      else if (unknown.erase({block, owner}) == 0) problems.push_back(name_of(block) + " is used by " + std::to_string(owner) + ", who does not hold it, or twice");
    }
  for (const auto& [hold, leased] : unknown)
    problems.push_back(name_of(hold.first) + " has leaked: owner " + std::to_string(hold.second) + " does not know it");
  for (const auto& [hold, leased] : holds_) ++holders[hold.first];
  for (BlockId block = 0; block < blocks_.size(); ++block) {
    if (blocks_[block].holders != holders[block]) problems.push_back(name_of(block) + " counts holders it does not have");
    if (holders[block] > 1 && !blocks_[block].kept) problems.push_back(name_of(block) + " has several holders and may still be written");
  }
  check_free_runs(problems);
  return problems;
}

}  // namespace baton
