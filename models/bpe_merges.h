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
  std::uint32_t rank = 0;
};

class MergeTable {
 public:
  MergeTable() = default;
  // Ids are below vocab_size. Of merges of the same pair the one of lowest rank counts.
  MergeTable(std::vector<Merge> merges, std::uint32_t vocab_size);
  const Merge* find(TokenId left, TokenId right) const;  // nullptr: the pair does not merge

 private:
  std::vector<Merge> merges_;          // by left, then right
  std::vector<std::uint32_t> begins_;  // of each left id; one more at the end
};

class BpeMerger {
 public:
  explicit BpeMerger(const MergeTable& table) : table_(table) {}
  std::vector<TokenId>& symbols() { return symbols_; }  // in: the piece's symbols
  void merge_into(std::vector<TokenId>& out);           // appends what they become; symbols() is empty afterwards

 private:
  static constexpr std::size_t kNone = ~std::size_t{0};
  struct Link {
    std::size_t previous, next;
  };
  struct Candidate {
    std::uint32_t rank;
    std::size_t at;       // the left symbol
    const Merge* merge;   // stale once the symbols at `at` are others
  };
  void propose(std::size_t at);

  const MergeTable& table_;
  std::vector<TokenId> symbols_;  // -1: merged into the one before
  std::vector<Link> links_;
  std::vector<Candidate> heap_;
};

}  // namespace baton
