// SPDX-License-Identifier: Apache-2.0
// BlockCache: a block pool with a prefix cache over it. Sequences take blocks, share the blocks of a known prefix, and publish those
// they have filled; a published block that nobody holds any more stays cached until its room is needed. Attention reads K and V as
// they are stored and a token's K and V depend on the tokens up to it alone, so a block found here is as good as computed.
//
// The rule that keeps it right: a sequence's published blocks are, in order, a chain of the index, and it holds all of them. The bytes
// of a published block are final. One worker actor owns it. Costs: O(log blocks) a block.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "kvstore/block_pool.h"
#include "kvstore/prefix_index.h"

namespace baton {

class BlockCache {
 public:
  using Owner = BlockPool::Owner;

  // `hash_mask`: see PrefixIndex.
  BlockCache(std::uint32_t blocks, std::uint32_t block_tokens, std::uint64_t hash_mask = ~std::uint64_t{0})
      : pool_(blocks), index_(block_tokens, hash_mask) {}

  // All or nothing: free blocks first, then the longest unused cached ones, whose contents are given up.
  std::optional<std::vector<BlockId>> allocate(std::uint32_t count, Owner owner);
  // The published block that follows `parent` (none: at the start) and holds `tokens`.
  std::optional<BlockId> find(const PrefixContext& context, std::optional<BlockId> parent, std::span<const TokenId> tokens) const {
    return index_.find(context, parent, tokens);
  }
  void share(std::span<const BlockId> blocks, Owner owner);
  // `block`, which `owner` holds and has filled with `tokens` after `parent`, may be found from now on. Returns the block to use: if
  // an equal one is known already, that one is shared and `block` released. Nothing may be reading `block` at that time.
  BlockId publish(const PrefixContext& context, std::optional<BlockId> parent, std::span<const TokenId> tokens, BlockId block, Owner owner);
  void lease(std::span<const BlockId> blocks, Owner owner) { pool_.lease(blocks, owner); }
  void quarantine(std::span<const BlockId> blocks, Owner owner) { pool_.quarantine(blocks, owner); }
  void release(std::span<const BlockId> blocks, Owner owner);

  // The content digest of a published block: made when the content was, and kept with it. Nothing if it was never made.
  void note_digest(BlockId block, std::uint64_t digest) { index_.set_digest(block, digest); }
  std::optional<std::uint64_t> digest(BlockId block) const { return index_.digest(block); }
  std::uint32_t generation(BlockId block) const { return pool_.generation(block); }
  BlockState state(BlockId block) const { return pool_.state(block); }
  const BlockCounts& counts() const { return pool_.counts(); }
  // As BlockPool's, and that pool and index agree.
  std::vector<std::string> check_integrity(const std::map<Owner, std::vector<BlockId>>& held_by) const;

 private:
  BlockPool pool_;
  PrefixIndex index_;
};

}  // namespace baton
