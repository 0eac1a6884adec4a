// SPDX-License-Identifier: Apache-2.0
#include "launcher/answer_so_far.h"

#include <algorithm>
#include <string>
#include <utility>

namespace baton {
namespace {

Error differs(const std::string& what) {
  return {ErrorCode::kCorrupt, "the cluster computed the job again and gave " + what +
                                   ": what was printed so far is right; workers of other numerics (`baton status`), or a model that was replaced?"};
}

}  // namespace

Result<bool> AnswerSoFar::take(const ClientAccepted& accepted) {
  if (accepted_ && accepted_->seed != accepted.seed) return tl::unexpected(differs("another seed"));
  return !std::exchange(accepted_, accepted);
}

Result<void> AnswerSoFar::take(ClientTokens& fresh) {
  Choice& choice = choices_[fresh.choice];
  std::vector<ClientToken> tokens;
  for (ClientToken& token : fresh.tokens) {
    const std::uint32_t next = first_ + static_cast<std::uint32_t>(choice.tokens.size());
    if (token.index > next) return tl::unexpected(differs("position " + std::to_string(token.index) + " where " + std::to_string(next) + " was due"));
    if (token.index >= first_ && token.index < next && choice.tokens[token.index - first_] != token.token)
      return tl::unexpected(differs("another token at position " + std::to_string(token.index)));
    if (token.index < next) continue;
    choice.tokens.push_back(token.token);
    tokens.push_back(std::move(token));
  }
  fresh.tokens = std::move(tokens);
  std::erase_if(fresh.prompt, [this](const ClientToken& token) { return token.index < prompt_next_; });
  if (!fresh.prompt.empty()) prompt_next_ = fresh.prompt.back().index + 1;
  return {};
}

bool AnswerSoFar::take(const ClientChoiceDone& done) { return !std::exchange(choices_[done.choice].done, true); }

std::uint32_t AnswerSoFar::next() const {
  const auto only = choices_.find(0);
  return first_ + (only == choices_.end() ? 0 : static_cast<std::uint32_t>(only->second.tokens.size()));
}

}  // namespace baton
