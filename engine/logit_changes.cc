// SPDX-License-Identifier: Apache-2.0
#include "engine/logit_changes.h"

#include <algorithm>
#include <map>

#include "runtime/base/check.h"

namespace baton {

std::vector<TokenChange> logit_changes(const SamplingParams& params, const DrawContext& context) {
  const bool too_short = context.generated < params.min_tokens;
  if (!params.reads_history() && params.logit_bias().empty() && !too_short) return {};
  CHECK(!params.reads_history() || context.generated <= context.history.size(), "a draw without the ids it depends on");
  const auto answer = context.history.last(std::min<std::size_t>(context.generated, context.history.size()));
  const auto prompt = context.history.first(context.history.size() - answer.size());
  std::map<TokenId, TokenChange> changes;
  for (const auto& word : params.bad_words()) {
    const std::size_t before = word.size() - 1;
    if (before <= answer.size() && std::equal(word.begin(), word.end() - 1, answer.end() - static_cast<std::ptrdiff_t>(before))) changes[word.back()].forbidden = true;
  }
  if (too_short) {
    for (const TokenId id : params.stop_token_ids()) changes[id].forbidden = true;
    if (!params.ignore_eos)
      for (const TokenId id : context.eos) changes[id].forbidden = true;
  }
  for (const TokenBias& each : params.logit_bias()) changes[each.token].bias += each.bias;
  const bool repetition = params.repetition_penalty != 1.0F;
  if (repetition || params.presence_penalty != 0 || params.frequency_penalty != 0)
    for (const TokenId id : answer) ++changes[id].count;
  if (repetition)
    for (const TokenId id : prompt) changes[id].in_prompt = true;
  std::vector<TokenChange> list;
  list.reserve(changes.size());
  for (auto& [token, change] : changes) {
    change.token = token;
    list.push_back(change);
  }
  return list;
}

}  // namespace baton
