// SPDX-License-Identifier: Apache-2.0
// Byte-pair merging: the table of merges and the loop that applies them, lowest rank first, leftmost first among equals, in
// O(n log n) for n symbols. MergeTable is immutable after construction; a BpeMerger is scratch memory for one thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "protocol/sampling_params.h"

namespace baton {

struct Merge {
  TokenId left = -1;
  TokenId right = -1;
  TokenId merged = -1;
};

class MergeTable {
 public:
  static constexpr std::uint32_t kNone = ~std::uint32_t{0};

  MergeTable() = default;
  // A merge's rank is its index; ids are below vocab_size. Of merges of the same pair the first counts.
  MergeTable(std::vector<Merge> merges, std::uint32_t vocab_size);
  std::uint32_t find_rank(TokenId left, TokenId right) const;  // kNone: the pair does not merge
  const Merge& at(std::uint32_t rank) const { return merges_[rank]; }

 private:
  struct Partner {
    TokenId right;
    std::uint32_t rank;
  };
  std::vector<Merge> merges_;
  std::vector<Partner> partners_;      // of each left id, sorted
  std::vector<std::uint32_t> begins_;  // where each left id's partners begin; one more at the end
};

class BpeMerger {
 public:
  static constexpr std::size_t kMaxSymbols = std::size_t{1} << 31;

  explicit BpeMerger(const MergeTable& table) : table_(table) {}
  std::vector<TokenId>& symbols() { return symbols_; }  // in: the piece's symbols, at most kMaxSymbols
  void merge_into(std::vector<TokenId>& out);           // appends what they become; symbols() is empty afterwards

 private:
  static constexpr std::uint32_t kNone = ~std::uint32_t{0};
  struct Link {
    std::uint32_t previous, next;
  };
  bool propose(std::uint32_t at);

  const MergeTable& table_;
  std::vector<TokenId> symbols_;  // -1: merged into the one before
  std::vector<Link> links_;
  // Candidates as rank << 32 | left symbol, so that one comparison orders them. Stale once the symbols there are others.
  std::vector<std::uint64_t> heap_;
};

}  // namespace baton
