// SPDX-License-Identifier: Apache-2.0
#include "models/bpe_merges.h"

#include <algorithm>
#include <tuple>

namespace baton {

MergeTable::MergeTable(std::vector<Merge> merges, std::uint32_t vocab_size) : merges_(std::move(merges)), begins_(vocab_size + 1) {
  std::sort(merges_.begin(), merges_.end(), [](const Merge& a, const Merge& b) {
    return std::tie(a.left, a.right, a.rank) < std::tie(b.left, b.right, b.rank);
  });
  for (const Merge& merge : merges_) ++begins_[static_cast<std::size_t>(merge.left) + 1];
  for (std::size_t i = 1; i < begins_.size(); ++i) begins_[i] += begins_[i - 1];
}

const Merge* MergeTable::find(TokenId left, TokenId right) const {
  const auto begin = merges_.begin() + begins_[static_cast<std::size_t>(left)];
  const auto end = merges_.begin() + begins_[static_cast<std::size_t>(left) + 1];
  const auto found = std::lower_bound(begin, end, right, [](const Merge& m, TokenId id) { return m.right < id; });
  return found != end && found->right == right ? &*found : nullptr;
}

namespace {

// For a heap with the smallest on top.
constexpr auto kLater = [](const auto& a, const auto& b) { return std::tie(a.rank, a.at) > std::tie(b.rank, b.at); };

}  // namespace

void BpeMerger::propose(std::size_t at) {
  if (at == kNone || links_[at].next == kNone) return;
  const Merge* merge = table_.find(symbols_[at], symbols_[links_[at].next]);
  if (merge != nullptr) heap_.push_back({merge->rank, at, merge});
}

void BpeMerger::merge_into(std::vector<TokenId>& out) {
  const std::size_t count = symbols_.size();
  links_.resize(count);
  for (std::size_t i = 0; i < count; ++i) links_[i] = {i == 0 ? kNone : i - 1, i + 1 == count ? kNone : i + 1};
  heap_.clear();
  for (std::size_t i = 0; i + 1 < count; ++i) propose(i);
  std::make_heap(heap_.begin(), heap_.end(), kLater);
  while (!heap_.empty()) {
    std::pop_heap(heap_.begin(), heap_.end(), kLater);
    const Candidate candidate = heap_.back();
    heap_.pop_back();
    const std::size_t next = links_[candidate.at].next;
    if (next == kNone || symbols_[candidate.at] != candidate.merge->left || symbols_[next] != candidate.merge->right) continue;
    symbols_[candidate.at] = candidate.merge->merged;
    symbols_[next] = -1;
    links_[candidate.at].next = links_[next].next;
    if (links_[next].next != kNone) links_[links_[next].next].previous = candidate.at;
    links_[next].next = kNone;
    for (const std::size_t at : {links_[candidate.at].previous, candidate.at}) {
      const std::size_t before = heap_.size();
      propose(at);
      if (heap_.size() > before) std::push_heap(heap_.begin(), heap_.end(), kLater);
    }
  }
  for (const TokenId id : symbols_) {
    if (id >= 0) out.push_back(id);
  }
  symbols_.clear();
}

}  // namespace baton
