// SPDX-License-Identifier: Apache-2.0
// EmittedTokens: what a job's attempts have generated, by position, as far as the coordinator has heard. Attempts must agree on every
// position. Four bytes a token, and its log-probabilities where the job asked for them. Owned by the coordinator's job table.
#pragma once

#include <cstdint>
#include <map>
#include <utility>
#include <vector>

#include "protocol/messages.h"

namespace baton {

class EmittedTokens {
 public:
  // With log-probabilities.
  explicit EmittedTokens(bool scored = false) : scored_(scored) {}

  // False: another token is known for that position. O(1) where positions come in order.
  bool note(const TokenItem& item) {
    if (item.index < ids_.size()) return ids_[item.index] == item.token;
    if (item.index > ids_.size()) return early_.emplace(item.index, item).first->second.token == item.token;
    append(item);
    for (auto next = early_.begin(); next != early_.end() && next->first <= ids_.size(); next = early_.erase(next)) {
      if (next->first == ids_.size()) append(next->second);
      else if (ids_[next->first] != next->second.token) return false;
    }
    return true;
  }
  // Those known from position 0 on without a gap.
  const std::vector<TokenId>& ids() const { return ids_; }
  std::uint32_t count() const { return static_cast<std::uint32_t>(ids_.size()); }
  // `index` below count().
  TokenItem item(JobId job, Epoch epoch, std::uint32_t index) const {
    TokenItem item{job, epoch, index, ids_[index]};
    if (scored_) {
      item.logprob = scores_[index].logprob;
      item.top = scores_[index].top;
    }
    return item;
  }
  void clear() { *this = EmittedTokens(scored_); }

 private:
  struct Score {
    float logprob = 0.0F;
    std::vector<TokenLogprob> top;
  };
  void append(const TokenItem& item) {
    ids_.push_back(item.token);
    if (scored_) scores_.push_back({item.logprob, item.top});
  }

  bool scored_;
  std::vector<TokenId> ids_;
  std::vector<Score> scores_;                 // of ids_, if scored_
  std::map<std::uint32_t, TokenItem> early_;  // beyond a gap
};

}  // namespace baton
