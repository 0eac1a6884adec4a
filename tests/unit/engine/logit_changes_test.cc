// SPDX-License-Identifier: Apache-2.0
// The list of changes an engine applies elsewhere, beside the sampler, which applies them itself: the token that is largest after the changes
// is the one that the sampler draws greedily.
#include "engine/logit_changes.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <memory>

#include "kernels/cpu/ops.h"
#include "tests/support/random_weights.h"

namespace baton {
namespace {

float changed(const SamplingParams& p, const TokenChange& change, float logit) {
  if (change.forbidden) return -std::numeric_limits<float>::infinity();
  logit += change.bias;
  if (change.count == 0 && !change.in_prompt) return logit;
  logit = logit > 0 ? logit / p.repetition_penalty : logit * p.repetition_penalty;
  return change.count == 0 ? logit : logit - p.frequency_penalty * static_cast<float>(change.count) - p.presence_penalty;
}

TEST(LogitChanges, GiveTheSamplersGreedyTokens) {
  Sampler sampler(cpu::best_ops());
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    SamplingParams p;
    p.repetition_penalty = seed % 2 == 0 ? 1.0F : 1.5F;
    p.presence_penalty = seed % 3 == 0 ? 0.0F : 0.7F;
    p.frequency_penalty = seed % 5 == 0 ? 0.4F : 0.0F;
    p.min_tokens = seed % 7 == 0 ? 10 : 0;
    SamplingLists lists;
    lists.logit_bias = {{3, 1.0F}, {8, -0.5F}};
    lists.stop_token_ids = {5};
    lists.bad_words = {{1, 2}, {6}};
    p.lists = std::make_shared<const SamplingLists>(lists);
    const std::vector<TokenId> history = {4, 4, 3, 9, 1}, eos = {7};
    const DrawContext context{.position = 5, .generated = 3, .history = history, .eos = eos};
    std::vector<float> logits = test::random_floats(12, seed, 2);
    const auto drawn = sampler.sample(logits, p, context);
    ASSERT_TRUE(drawn);
    TokenId before = -1;
    for (const TokenChange& change : logit_changes(p, context)) {
      EXPECT_GT(change.token, before) << "each token once, rising";
      before = change.token;
      float& logit = logits[static_cast<std::size_t>(change.token)];
      logit = changed(p, change, logit);
    }
    EXPECT_EQ(std::max_element(logits.begin(), logits.end()) - logits.begin(), drawn->token) << seed;
  }
}

TEST(LogitChanges, AreNoneWhereNothingAsks) { EXPECT_TRUE(logit_changes(SamplingParams{}, {.position = 1, .generated = 1, .history = {}, .eos = {}}).empty()); }

}  // namespace
}  // namespace baton
