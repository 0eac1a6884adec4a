// SPDX-License-Identifier: Apache-2.0
// SpecialMatcher: finds special tokens in a text: the leftmost, and of those that begin there the longest. A byte trie whose
// depth is bounded by kMaxSpecialBytes, so a search costs at most that many steps a byte. Immutable after construction.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "protocol/sampling_params.h"

namespace baton {

constexpr std::size_t kMaxSpecialBytes = 128;

class SpecialMatcher {
 public:
  SpecialMatcher() : SpecialMatcher(std::vector<std::pair<std::string, TokenId>>{}) {}
  // The texts are distinct, not empty, and at most kMaxSpecialBytes long.
  explicit SpecialMatcher(std::vector<std::pair<std::string, TokenId>> specials);

  struct Match {
    std::size_t at = 0;  // text.size(): there is none
    std::size_t length = 0;
    TokenId id = -1;
  };
  Match find(std::string_view text, std::size_t from) const;

 private:
  struct Node {
    std::uint32_t first_child = 0;  // children lie side by side, in the order of their bytes
    std::uint16_t children = 0;
    unsigned char byte = 0;
    TokenId id = -1;  // of the special token that ends here
  };
  const Node* child(const Node& node, unsigned char byte) const;
  Match longest_at(std::string_view text, std::size_t at) const;

  std::vector<Node> nodes_;
  std::array<bool, 256> begins_{};
};

}  // namespace baton
