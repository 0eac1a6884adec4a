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

  // False: another token is known for that position. `scored` false: whoever brings it has no log-probabilities of it. O(1) where
  // positions come in order.
  bool note(const TokenItem& item, bool scored = true) {
    if (item.index < ids_.size()) {
      if (ids_[item.index] != item.token) return false;
      if (scored_ && scored && !scores_[item.index].known) scores_[item.index] = {true, item.logprob, item.top};
      return true;
    }
    if (item.index > ids_.size()) return early_.emplace(item.index, Early{item, scored}).first->second.item.token == item.token;
    append(item, scored);
    for (auto next = early_.begin(); next != early_.end() && next->first <= ids_.size(); next = early_.erase(next)) {
      if (next->first == ids_.size()) append(next->second.item, next->second.scored);
      else if (ids_[next->first] != next->second.item.token) return false;
    }
    return true;
  }
  // Those known from position 0 on without a gap.
  const std::vector<TokenId>& ids() const { return ids_; }
  std::uint32_t count() const { return static_cast<std::uint32_t>(ids_.size()); }
  // False: the job wants log-probabilities and nobody has brought them. `index` below count().
  bool complete(std::uint32_t index) const { return !scored_ || scores_[index].known; }
  bool complete() const {
    for (std::uint32_t i = 0; i < count(); ++i)
      if (!complete(i)) return false;
    return true;
  }
  // Forgets what is not complete from position `from` on, and all behind it: it will be generated again.
  void keep_complete(std::uint32_t from) {
    while (from < count() && complete(from)) ++from;
    if (from >= count()) return;
    ids_.resize(from);
    if (scored_) scores_.resize(from);
    early_.clear();
  }
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
    bool known = false;
    float logprob = 0.0F;
    std::vector<TokenLogprob> top;
  };
  struct Early {
    TokenItem item;
    bool scored = true;
  };
  void append(const TokenItem& item, bool scored) {
    ids_.push_back(item.token);
    if (scored_) scores_.push_back({scored, item.logprob, item.top});
  }

  bool scored_;
  std::vector<TokenId> ids_;
  std::vector<Score> scores_;                 // of ids_, if scored_
  std::map<std::uint32_t, Early> early_;  // beyond a gap
};

}  // namespace baton
