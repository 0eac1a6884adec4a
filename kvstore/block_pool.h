// SPDX-License-Identifier: Apache-2.0
// BlockPool: who has which block of one KV pool. Book-keeping only; the bytes live elsewhere. A block is in exactly one state:
//
//   free --allocate--> held --lease--> leased           source of a transfer: must stay as it is
//     ^                 | ^ \--quarantine--> quarantined destination that may still be written
//     |                 | '--share-- cached              its content is final and kept; nobody holds it
//     '-- last release -+--------------^
//     '------------------- evict ------'
//
// Holders: allocate makes one; share adds one to a block whose content is kept (it is never written again, so any number may
// read it). A lease belongs to one holder; the block counts as leased while any of them has one. A quarantined block has one
// holder and is not kept. The last release makes a kept block cached and any other free. Every transition names the holder
// and CHECKs it: releasing what one does not hold is a bug, not an event.
//
// A generation counts the contents of a block: it rises whenever a block becomes free, so that a handle to an earlier content is
// recognised, and not while one content passes from holder to holder. Free blocks are kept as runs and handed out lowest first,
// so that sequences tend to be contiguous and transfers merge. One worker actor owns it.
// Memory: 16 bytes a block, one map node per free run and per hold. Every operation costs O(log holds) a block.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "kernels/block_id.h"

namespace baton {

enum class BlockState : std::uint8_t { kFree, kCached, kHeld, kLeased, kQuarantined };

struct BlockCounts {
  std::uint32_t total = 0;
  std::uint32_t free = 0;
  std::uint32_t cached = 0;
  std::uint32_t held = 0;
  std::uint32_t leased = 0;
  std::uint32_t quarantined = 0;
  // What can be handed out: cached blocks are evicted for it.
  std::uint32_t available() const { return free + cached; }
};

class BlockPool {
 public:
  using Owner = std::uint64_t;  // never 0

  explicit BlockPool(std::uint32_t blocks);

  // Free blocks, all or nothing; in the order the sequence uses them.
  std::optional<std::vector<BlockId>> allocate(std::uint32_t count, Owner owner);
  // The content of a block `owner` holds is final and worth keeping. From now on it may be shared and must not be written.
  void keep(BlockId block, Owner owner);
  // One holder more of a kept block, which may be cached.
  void share(BlockId block, Owner owner);
  void lease(std::span<const BlockId> blocks, Owner owner);
  void quarantine(std::span<const BlockId> blocks, Owner owner);
  void release(std::span<const BlockId> blocks, Owner owner);
  // Cached -> free: the content is given up.
  void evict(BlockId block);

  std::uint32_t generation(BlockId block) const { return blocks_[block].generation; }
  BlockState state(BlockId block) const;
  const BlockCounts& counts() const { return counts_; }
  // What is wrong with the accounts, each naming a block; empty when they add up. `held_by` lists every block its owner
  // believes to have, so that holds nobody knows of (leaks) and tables that name others' blocks show.
  std::vector<std::string> check_integrity(const std::map<Owner, std::vector<BlockId>>& held_by) const;

 private:
  struct Block {
    std::uint32_t generation = 0;
    std::uint32_t holders = 0;
    std::uint32_t leases = 0;
    bool kept = false;
    bool quarantined = false;
  };
  using Hold = std::pair<BlockId, Owner>;
  std::uint32_t& count_of(BlockState state);
  template <class Change>
  void change(BlockId block, Change apply);
  void insert_free(BlockId block);
  void take_from_run(BlockId start, std::uint32_t count, Owner owner, std::vector<BlockId>& taken);
  void check_free_runs(std::vector<std::string>& problems) const;

  std::vector<Block> blocks_;
  std::map<Hold, bool> holds_;                  // -> leased
  std::map<BlockId, std::uint32_t> free_runs_;  // start -> length; never adjacent
  BlockCounts counts_;
};

}  // namespace baton
