// SPDX-License-Identifier: Apache-2.0
// PrefixIndex: which block holds the KV of which tokens after which tokens. A node is one full block; its key is the 64-bit hash
// of (its parent's hash, its token ids), and of a chain's first node (context, its token ids). A hash only finds candidates:
// a hit is a node whose parent is the very node asked for, whose context is equal and whose token ids are equal one by one. So
// two chains that collide cost a comparison and are never taken for each other.
//
// Pinned: somebody holds the block. A holder of a block holds its ancestors too, so below an unpinned node nothing is pinned, and
// every unpinned node can be evicted: leaves before their parents (a chain whose head is gone can never be found again), the
// least recently unpinned leaf first. Pure book-keeping, owned by the BlockCache; knows no pool.
// Memory: about 200 bytes and the token ids per node, one node per block at most. Every operation costs O(log nodes) plus
// comparing the tokens of one block per candidate.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "kernels/block_id.h"
#include "protocol/sampling_params.h"

namespace baton {

// What KV depends on besides the tokens, and who may share it.
struct PrefixContext {
  std::uint64_t model_hash = 0;
  std::uint64_t numerics_fingerprint = 0;
  std::uint64_t adapter = 0;  // 0: none
  std::string salt;           // of the tenant; different salts never share
  friend bool operator==(const PrefixContext&, const PrefixContext&) = default;
};

class PrefixIndex {
 public:
  // Bits of the hash outside `hash_mask` are dropped: a test makes collisions with it.
  explicit PrefixIndex(std::uint32_t block_tokens, std::uint64_t hash_mask = ~std::uint64_t{0}) : block_tokens_(block_tokens), hash_mask_(hash_mask) {}

  // The block that holds `tokens` (block_tokens of them) after the chain that ends in `parent`; no parent: at the start.
  std::optional<BlockId> find(const PrefixContext& context, std::optional<BlockId> parent, std::span<const TokenId> tokens) const;
  // Enters a block, pinned. Its parent is here and pinned; nothing equal is here.
  void insert(const PrefixContext& context, std::optional<BlockId> parent, std::span<const TokenId> tokens, BlockId block);
  bool contains(BlockId block) const { return nodes_.contains(block); }
  void pin(BlockId block);
  void unpin(BlockId block);
  // Removes and returns the next block to give up; nothing if all are pinned.
  std::optional<BlockId> evict();

  // The content digest of a block, if it was ever computed.
  std::optional<std::uint64_t> digest(BlockId block) const { return nodes_.at(block).digest; }
  void set_digest(BlockId block, std::uint64_t digest) { nodes_.at(block).digest = digest; }

  std::size_t size() const { return nodes_.size(); }
  // Broken links, counts and orders, each naming a block; empty when all is well.
  std::vector<std::string> check_integrity() const;
  std::vector<BlockId> unpinned() const;

 private:
  struct Node {
    std::optional<BlockId> parent;
    std::optional<PrefixContext> context;  // of a chain's first node
    std::vector<TokenId> tokens;
    std::uint64_t hash = 0;
    std::optional<std::uint64_t> digest;
    std::uint32_t children = 0;
    bool pinned = true;
    std::uint64_t unpinned_at = 0;
  };
  std::uint64_t hash_of(const PrefixContext& context, std::optional<BlockId> parent, std::span<const TokenId> tokens) const;
  bool evictable(const Node& node) const { return !node.pinned && node.children == 0; }

  const std::uint32_t block_tokens_;
  const std::uint64_t hash_mask_;
  std::map<BlockId, Node> nodes_;
  std::set<std::pair<std::uint64_t, BlockId>> by_hash_;
  std::set<std::pair<std::uint64_t, BlockId>> leaves_;  // evictable, by when they were unpinned
  std::uint64_t clock_ = 0;                             // counts unpin()s
};

}  // namespace baton
