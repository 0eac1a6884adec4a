// SPDX-License-Identifier: Apache-2.0
#include "models/special_matcher.h"

#include <algorithm>
#include <deque>

#include "runtime/base/check.h"

namespace baton {

SpecialMatcher::SpecialMatcher(std::vector<std::pair<std::string, TokenId>> specials) {
  std::sort(specials.begin(), specials.end());
  struct Range {  // the specials that share the first `depth` bytes, which lead to `node`
    std::size_t begin, end, depth;
    std::uint32_t node;
  };
  nodes_.emplace_back();
  std::deque<Range> todo{{0, specials.size(), 0, 0}};
  for (; !todo.empty(); todo.pop_front()) {
    Range range = todo.front();
    if (range.begin < range.end && specials[range.begin].first.size() == range.depth) {
      CHECK(range.depth > 0 && range.depth <= kMaxSpecialBytes, "an empty or overlong special token");
      nodes_[range.node].id = specials[range.begin++].second;
    }
    nodes_[range.node].first_child = static_cast<std::uint32_t>(nodes_.size());
    for (std::size_t begin = range.begin; begin < range.end;) {
      const char byte = specials[begin].first[range.depth];
      std::size_t end = begin;
      while (end < range.end && specials[end].first[range.depth] == byte) ++end;
      ++nodes_[range.node].children;
      todo.push_back({begin, end, range.depth + 1, static_cast<std::uint32_t>(nodes_.size())});
      nodes_.push_back({0, 0, static_cast<unsigned char>(byte), -1});
      if (range.depth == 0) begins_[static_cast<unsigned char>(byte)] = true;
      begin = end;
    }
  }
}

const SpecialMatcher::Node* SpecialMatcher::child(const Node& node, unsigned char byte) const {
  const Node* const begin = nodes_.data() + node.first_child;
  const Node* const end = begin + node.children;
  const Node* const found = std::lower_bound(begin, end, byte, [](const Node& n, unsigned char b) { return n.byte < b; });
  return found != end && found->byte == byte ? found : nullptr;
}

SpecialMatcher::Match SpecialMatcher::longest_at(std::string_view text, std::size_t at) const {
  Match match{at, 0, -1};
  const Node* node = nodes_.data();
  for (std::size_t i = at; i < text.size(); ++i) {
    node = child(*node, static_cast<unsigned char>(text[i]));
    if (node == nullptr) break;
    if (node->id >= 0) match = {at, i + 1 - at, node->id};
  }
  return match;
}

SpecialMatcher::Match SpecialMatcher::find(std::string_view text, std::size_t from) const {
  for (std::size_t at = from; at < text.size(); ++at) {
    if (!begins_[static_cast<unsigned char>(text[at])]) continue;
    if (const Match match = longest_at(text, at); match.length > 0) return match;
  }
  return {text.size(), 0, -1};
}

}  // namespace baton
