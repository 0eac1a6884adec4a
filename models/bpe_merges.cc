// SPDX-License-Identifier: Apache-2.0
#include "models/bpe_merges.h"

#include <algorithm>
#include <functional>
#include <tuple>

#include "runtime/base/check.h"

namespace baton {

MergeTable::MergeTable(std::vector<Merge> merges, std::uint32_t vocab_size)
    : merges_(std::move(merges)), begins_(vocab_size + 1) {
  std::vector<std::uint32_t> ranks(merges_.size());
  for (std::uint32_t rank = 0; rank < ranks.size(); ++rank) ranks[rank] = rank;
  std::sort(ranks.begin(), ranks.end(), [this](std::uint32_t a, std::uint32_t b) {
    return std::tie(merges_[a].left, merges_[a].right, a) < std::tie(merges_[b].left, merges_[b].right, b);
  });
  partners_.reserve(ranks.size());
  for (const std::uint32_t rank : ranks) partners_.push_back({merges_[rank].right, rank});
  for (const Merge& merge : merges_) ++begins_[static_cast<std::size_t>(merge.left) + 1];
  for (std::size_t i = 1; i < begins_.size(); ++i) begins_[i] += begins_[i - 1];
}

std::uint32_t MergeTable::find_rank(TokenId left, TokenId right) const {
  const auto begin = partners_.begin() + begins_[static_cast<std::size_t>(left)];
  const auto end = partners_.begin() + begins_[static_cast<std::size_t>(left) + 1];
  const auto found = std::lower_bound(begin, end, right, [](const Partner& p, TokenId id) { return p.right < id; });
  return found != end && found->right == right ? found->rank : kNone;
}

bool BpeMerger::propose(std::uint32_t at) {
  if (at == kNone || links_[at].next == kNone) return false;
  const std::uint32_t rank = table_.find_rank(symbols_[at], symbols_[links_[at].next]);
  if (rank == MergeTable::kNone) return false;
  heap_.push_back(std::uint64_t{rank} << 32 | at);
  return true;
}

void BpeMerger::merge_into(std::vector<TokenId>& out) {
  CHECK(symbols_.size() <= kMaxSymbols);
  const auto count = static_cast<std::uint32_t>(symbols_.size());
  links_.resize(count);
  for (std::uint32_t i = 0; i < count; ++i) links_[i] = {i == 0 ? kNone : i - 1, i + 1 == count ? kNone : i + 1};
  heap_.clear();
  for (std::uint32_t i = 0; i + 1 < count; ++i) propose(i);
  std::make_heap(heap_.begin(), heap_.end(), std::greater<>());
  while (!heap_.empty()) {
    const Merge& merge = table_.at(static_cast<std::uint32_t>(heap_.front() >> 32));
    const auto at = static_cast<std::uint32_t>(heap_.front());
    std::pop_heap(heap_.begin(), heap_.end(), std::greater<>());
    heap_.pop_back();
    const std::uint32_t next = links_[at].next;
    if (next == kNone || symbols_[at] != merge.left || symbols_[next] != merge.right) continue;
    symbols_[at] = merge.merged;
    symbols_[next] = -1;
    links_[at].next = links_[next].next;
    if (links_[next].next != kNone) links_[links_[next].next].previous = at;
    links_[next].next = kNone;
    for (const std::uint32_t changed : {links_[at].previous, at}) {
      if (propose(changed)) std::push_heap(heap_.begin(), heap_.end(), std::greater<>());
    }
  }
  for (const TokenId id : symbols_) {
    if (id >= 0) out.push_back(id);
  }
  symbols_.clear();
}

}  // namespace baton
