// SPDX-License-Identifier: Apache-2.0
// BlockPool: who has which block of one KV pool. Book-keeping only; the bytes live elsewhere. A block is in exactly one state:
//
//   free --allocate--> held --lease--> leased           source of a transfer: must stay as it is
//     ^                  \---quarantine--> quarantined   destination that may still be written
//     '------ release (from each of the three) -----'    raises the generation
//
// A generation counts the tenancies of a block, so that a handle to an earlier tenant is recognised. Every transition names
// the owner and CHECKs it: releasing what one does not hold is a bug, not an event. Free blocks are kept as runs and handed out
// lowest first, so that sequences tend to be contiguous and transfers merge. One worker actor owns it.
// Memory: 16 bytes a block and one map node per free run. allocate and release cost O(n log runs).
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "kernels/block_id.h"

namespace baton {

enum class BlockState : std::uint8_t { kFree, kHeld, kLeased, kQuarantined };

struct BlockCounts {
  std::uint32_t total = 0;
  std::uint32_t free = 0;
  std::uint32_t held = 0;
  std::uint32_t leased = 0;
  std::uint32_t quarantined = 0;
};

class BlockPool {
 public:
  using Owner = std::uint64_t;  // never 0

  explicit BlockPool(std::uint32_t blocks);

  // All or nothing; the blocks in the order the sequence uses them.
  std::optional<std::vector<BlockId>> allocate(std::uint32_t count, Owner owner);
  void lease(std::span<const BlockId> blocks, Owner owner);
  void quarantine(std::span<const BlockId> blocks, Owner owner);
  void release(std::span<const BlockId> blocks, Owner owner);

  std::uint32_t generation(BlockId block) const { return blocks_[block].generation; }
  BlockState state(BlockId block) const { return blocks_[block].state; }
  const BlockCounts& counts() const { return counts_; }
  // What is wrong with the accounts, each naming a block; empty when they add up. `held_by` lists every block its owner
  // believes to have, so that blocks nobody knows of (leaks) and blocks with two owners show.
  std::vector<std::string> check_integrity(const std::map<Owner, std::vector<BlockId>>& held_by) const;

 private:
  struct Block {
    Owner owner = 0;
    std::uint32_t generation = 0;
    BlockState state = BlockState::kFree;
  };
  std::uint32_t& count_of(BlockState state);
  void move(std::span<const BlockId> blocks, Owner owner, BlockState to);
  void insert_free(BlockId block);
  void take_from_run(BlockId start, std::uint32_t count, Owner owner, std::vector<BlockId>& taken);

  std::vector<Block> blocks_;
  std::map<BlockId, std::uint32_t> free_runs_;  // start -> length; never adjacent
  BlockCounts counts_;
};

}  // namespace baton
