// SPDX-License-Identifier: Apache-2.0
// The sampler beside a second one written from docs/sampling.md alone: doubles, maps and full sorts, no speed. And penalties,
// bad words, minimum lengths and biases with the numbers worked out by hand.
#include "engine/sampler.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <memory>
#include <numeric>
#include <set>

#include "runtime/base/random.h"
#include "tests/support/random_weights.h"

namespace baton {
namespace {

constexpr double kForbidden = -std::numeric_limits<double>::infinity();

struct Case {
  std::vector<float> logits;
  SamplingParams params;
  std::vector<TokenId> prompt;
  std::vector<TokenId> answer;
  std::vector<TokenId> eos;

  std::vector<TokenId> history() const {
    std::vector<TokenId> all = prompt;
    all.insert(all.end(), answer.begin(), answer.end());
    return all;
  }
};

std::vector<double> adjusted(const Case& c) {
  std::vector<double> row(c.logits.begin(), c.logits.end());
  for (const auto& word : c.params.bad_words()) {
    const std::vector<TokenId> head(word.begin(), word.end() - 1);
    if (head.size() > c.answer.size()) continue;
    if (std::vector<TokenId>(c.answer.end() - static_cast<std::ptrdiff_t>(head.size()), c.answer.end()) == head) row[static_cast<std::size_t>(word.back())] = kForbidden;
  }
  if (c.answer.size() < c.params.min_tokens) {
    for (const TokenId id : c.params.stop_token_ids()) row[static_cast<std::size_t>(id)] = kForbidden;
    for (const TokenId id : c.eos)
      if (!c.params.ignore_eos) row[static_cast<std::size_t>(id)] = kForbidden;
  }
  for (const TokenBias& each : c.params.logit_bias()) row[static_cast<std::size_t>(each.token)] += static_cast<double>(each.bias);
  std::map<TokenId, int> counts;
  for (const TokenId id : c.answer) ++counts[id];
  std::set<TokenId> seen(c.prompt.begin(), c.prompt.end());
  seen.insert(c.answer.begin(), c.answer.end());
  for (const TokenId id : seen) {
    double& logit = row[static_cast<std::size_t>(id)];
    const auto penalty = static_cast<double>(c.params.repetition_penalty);
    logit = logit > 0 ? logit / penalty : logit * penalty;
  }
  for (const auto& [id, count] : counts) {
    row[static_cast<std::size_t>(id)] -= static_cast<double>(c.params.frequency_penalty) * count;
    row[static_cast<std::size_t>(id)] -= static_cast<double>(c.params.presence_penalty);
  }
  return row;
}

// The ids that can be drawn, in the order in which the generator's number goes through them, with their probabilities.
std::vector<std::pair<TokenId, double>> distribution(const Case& c) {
  const std::vector<double> row = adjusted(c);
  const double largest = *std::max_element(row.begin(), row.end());
  std::vector<std::pair<TokenId, double>> all;
  for (std::size_t id = 0; id < row.size(); ++id) all.emplace_back(static_cast<TokenId>(id), std::exp((row[id] - largest) / static_cast<double>(c.params.temperature)));
  const auto likelier = [&](const auto& a, const auto& b) { return row[static_cast<std::size_t>(a.first)] > row[static_cast<std::size_t>(b.first)]; };
  const bool filtered = (c.params.top_k > 0 && c.params.top_k < row.size()) || c.params.top_p < 1 || c.params.min_p > 0;
  if (filtered) std::stable_sort(all.begin(), all.end(), likelier);
  if (c.params.top_k > 0) all.resize(std::min<std::size_t>(all.size(), c.params.top_k));
  const auto mass = [&] {
    double sum = 0;
    for (const auto& [id, weight] : all) sum += weight;
    return sum;
  };
  if (c.params.top_p < 1) {
    const double enough = mass() * static_cast<double>(c.params.top_p);
    double so_far = 0;
    std::size_t kept = 0;
    while (kept < all.size() && so_far < enough) so_far += all[kept++].second;
    all.resize(std::max<std::size_t>(kept, 1));
  }
  std::erase_if(all, [&](const auto& each) { return each.second < static_cast<double>(c.params.min_p); });
  const double total = mass();
  for (auto& [id, weight] : all) weight /= total;
  return all;
}

// The token the generator's number falls on, and those that a rounding error could make of it.
std::set<TokenId> possible(const Case& c, std::uint64_t position) {
  const std::uint64_t key = c.params.choice == 0 ? c.params.seed : mix64(c.params.seed, c.params.choice);
  const double number = static_cast<double>(random_at(key, position) >> 11) * 0x1p-53;
  std::set<TokenId> tokens;
  for (const double near : {number - 1e-5, number, number + 1e-5}) {
    double passed = 0;
    TokenId at = -1;
    for (const auto& [id, probability] : distribution(c)) {
      if (probability > 0) at = id;
      passed += probability;
      if (passed > near) break;
    }
    tokens.insert(at);
  }
  return tokens;
}

SamplingParams random_params(Random& random, std::size_t vocabulary) {
  const auto id = [&] { return static_cast<TokenId>(random.below(vocabulary)); };
  const auto maybe = [&](float value, float otherwise) { return random.chance(1, 2) ? value : otherwise; };
  SamplingParams params;
  params.temperature = 0.3F + static_cast<float>(random.below(20)) / 10.0F;
  if (random.chance(1, 2)) params.top_k = static_cast<std::uint32_t>(1 + random.below(vocabulary + 10));
  params.top_p = maybe(0.05F + static_cast<float>(random.below(90)) / 100.0F, 1.0F);
  params.min_p = maybe(static_cast<float>(random.below(50)) / 100.0F, 0.0F);
  params.seed = random.next();
  params.choice = static_cast<std::uint32_t>(random.below(3));
  params.repetition_penalty = maybe(0.5F + static_cast<float>(random.below(20)) / 10.0F, 1.0F);
  params.presence_penalty = maybe(-2.0F + static_cast<float>(random.below(40)) / 10.0F, 0.0F);
  params.frequency_penalty = maybe(-2.0F + static_cast<float>(random.below(40)) / 10.0F, 0.0F);
  params.min_tokens = static_cast<std::uint32_t>(random.chance(1, 2) ? random.below(20) : 0);
  params.ignore_eos = random.chance(1, 4);
  if (random.chance(1, 3)) return params;
  auto lists = std::make_shared<SamplingLists>();
  for (std::uint64_t i = random.below(5); i > 0; --i) lists->logit_bias.push_back({static_cast<TokenId>(7 * i), static_cast<float>(random.below(200)) / 10.0F - 10.0F});
  for (std::uint64_t i = random.below(5); i > 0; --i) lists->stop_token_ids.push_back(id());
  for (std::uint64_t i = random.below(5); i > 0; --i) lists->bad_words.push_back({id()});
  params.lists = lists;
  return params;
}

TEST(SamplerReference, DrawsWhatTheDefinitionSays) {
  Random random(77);
  Sampler sampler(cpu::best_ops());
  int exact = 0, all = 0;
  for (std::uint64_t round = 0; round < 1500; ++round) {
    const std::size_t vocabulary = random.chance(1, 3) ? 40 : 1500;
    Case c;
    c.logits = test::random_floats(static_cast<std::uint32_t>(vocabulary), round, 4.0F);
    c.params = random_params(random, vocabulary);
    for (std::uint64_t i = random.below(30); i > 0; --i) c.prompt.push_back(static_cast<TokenId>(random.below(vocabulary)));
    for (std::uint64_t i = random.below(30); i > 0; --i) c.answer.push_back(static_cast<TokenId>(random.below(std::min<std::size_t>(vocabulary, 20))));
    c.eos = {2, 39};
    const std::vector<TokenId> history = c.history();
    const DrawContext context{history.size(), static_cast<std::uint32_t>(c.answer.size()), history, c.eos};
    const auto drawn = sampler.sample(c.logits, c.params, context);
    ASSERT_TRUE(drawn) << drawn.error().message;
    const std::set<TokenId> tokens = possible(c, history.size());
    EXPECT_TRUE(tokens.contains(drawn->token)) << "round " << round;
    exact += tokens.size() == 1;
    ++all;
    EXPECT_EQ(drawn->logprob, 0.0F) << "nobody asked";
    EXPECT_TRUE(drawn->top.empty());

    c.params.temperature = 0;
    const std::vector<double> row = adjusted(c);
    const auto greedy = sampler.sample(c.logits, c.params, context);
    ASSERT_TRUE(greedy);
    EXPECT_NEAR(row[static_cast<std::size_t>(greedy->token)], *std::max_element(row.begin(), row.end()), 1e-5);
  }
  EXPECT_GT(exact * 100, all * 98) << "the comparison is of something";
}

TEST(SamplerReference, LogprobsAreThoseOfTheUnmodifiedRowWhateverElseIsAsked) {
  Random random(5);
  Sampler sampler(cpu::best_ops());
  for (std::uint64_t round = 0; round < 50; ++round) {
    const std::vector<float> logits = test::random_floats(700, 900 + round, 3.0F);
    double total = 0;
    for (const float logit : logits) total += std::exp(static_cast<double>(logit));
    std::vector<TokenId> order(logits.size());
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&](TokenId a, TokenId b) { return logits[static_cast<std::size_t>(a)] > logits[static_cast<std::size_t>(b)]; });
    SamplingParams params = random_params(random, logits.size());
    params.logprobs = static_cast<std::uint32_t>(round % 21);
    const std::vector<TokenId> history = {1, 2, 3, 4};
    const auto drawn = sampler.sample(logits, params, {4, 2, history, {}});
    ASSERT_TRUE(drawn);
    EXPECT_NEAR(drawn->logprob, logits[static_cast<std::size_t>(drawn->token)] - std::log(total), 1e-5);
    ASSERT_EQ(drawn->top.size(), *params.logprobs);
    for (std::size_t i = 0; i < drawn->top.size(); ++i) {
      EXPECT_EQ(drawn->top[i].token, order[i]);
      EXPECT_NEAR(drawn->top[i].logprob, logits[static_cast<std::size_t>(order[i])] - std::log(total), 1e-5);
    }
    const auto scored = sampler.score(logits, 17, 3);
    ASSERT_TRUE(scored);
    EXPECT_EQ(scored->token, 17);
    EXPECT_NEAR(scored->logprob, logits[17] - std::log(total), 1e-5);
    ASSERT_EQ(scored->top.size(), 3u);
    EXPECT_EQ(scored->top[2].token, order[2]);
  }
}

TEST(SamplerReference, EqualAlternativesComeByTheirIds) {
  Sampler sampler(cpu::best_ops());
  std::vector<float> logits(500, 0.0F);
  logits[400] = 1.0F;
  logits[3] = -0.0F;
  const auto scored = sampler.score(logits, 499, 5);
  ASSERT_TRUE(scored);
  std::vector<TokenId> ids;
  for (const TokenLogprob& each : scored->top) ids.push_back(each.token);
  EXPECT_EQ(ids, (std::vector<TokenId>{400, 0, 1, 2, 3}));
  EXPECT_EQ(sampler.score(std::vector<float>{1, 2}, 0, 20)->top.size(), 2u) << "no more than there are";
}

// ---- by hand -------------------------------------------------------------------------------------------------------

TokenId greedy(const std::vector<float>& logits, SamplingParams params, const std::vector<TokenId>& prompt, const std::vector<TokenId>& answer,
               const std::vector<TokenId>& eos = {}) {
  Sampler sampler(cpu::best_ops());
  params.temperature = 0;
  std::vector<TokenId> history = prompt;
  history.insert(history.end(), answer.begin(), answer.end());
  const auto drawn = sampler.sample(logits, params, {history.size(), static_cast<std::uint32_t>(answer.size()), history, eos});
  return drawn ? drawn->token : -1;
}

SamplingParams with_lists(const SamplingLists& lists) {
  SamplingParams params;
  params.lists = std::make_shared<SamplingLists>(lists);
  return params;
}

TEST(SamplerByHand, RepetitionPenaltyDividesWhatIsPositiveAndMultipliesWhatIsNot) {
  const SamplingParams twice = {.repetition_penalty = 2};
  EXPECT_EQ(greedy({4, 3}, twice, {0}, {}), 1);        // 4 / 2 = 2 < 3: ids of the prompt count
  EXPECT_EQ(greedy({4, 3}, twice, {}, {0}), 1);        // and those of the answer
  EXPECT_EQ(greedy({7, 3}, twice, {0}, {0, 0}), 0);    // 7 / 2 = 3.5 once, however often it occurred
  EXPECT_EQ(greedy({-1, -1.5F}, twice, {0}, {}), 1);   // -1 x 2 = -2 < -1.5
  EXPECT_EQ(greedy({-1, -3}, {.repetition_penalty = 0.25F}, {1}, {}), 1);  // -3 x 0.25 = -0.75: below 1 it rewards
}

TEST(SamplerByHand, PresenceAndFrequencyPenaltiesAreOfTheAnswerAlone) {
  EXPECT_EQ(greedy({4, 3}, {.presence_penalty = 1.5F}, {0, 0, 0}, {}), 0);
  EXPECT_EQ(greedy({4, 3}, {.presence_penalty = 1.5F}, {}, {0}), 1);               // 2.5
  EXPECT_EQ(greedy({4, 2}, {.presence_penalty = 1.5F}, {}, {0, 0, 0}), 0);         // 2.5 however often
  EXPECT_EQ(greedy({4, 3}, {.frequency_penalty = 0.4F}, {0, 0, 0}, {0, 0}), 0);    // 3.2
  EXPECT_EQ(greedy({4, 3}, {.frequency_penalty = 0.4F}, {}, {0, 0, 0}), 1);        // 2.8
  EXPECT_EQ(greedy({4, 3, 4.1F}, {.frequency_penalty = -0.4F}, {}, {1, 1, 1}), 1);  // 4.2: below 0 it rewards
  // Repetition first, then the others: 6 / 2 - 2 x 0.5 - 0.5 = 1.5.
  EXPECT_EQ(greedy({6, 1.6F}, {.repetition_penalty = 2, .presence_penalty = 0.5F, .frequency_penalty = 0.5F}, {}, {0, 0}), 1);
  EXPECT_EQ(greedy({6, 1.4F}, {.repetition_penalty = 2, .presence_penalty = 0.5F, .frequency_penalty = 0.5F}, {}, {0, 0}), 0);
}

TEST(SamplerByHand, ABiasIsAddedBeforeThePenalties) {
  EXPECT_EQ(greedy({4, 3}, with_lists({{{1, 1.5F}}, {}, {}}), {}, {}), 1);
  EXPECT_EQ(greedy({4, 3}, with_lists({{{0, -100}}, {}, {}}), {}, {}), 1);
  SamplingParams both = with_lists({{{0, 2}}, {}, {}});
  both.repetition_penalty = 2;
  EXPECT_EQ(greedy({4, 3.5F}, both, {0}, {}), 1);  // (4 + 2) / 2 = 3
  EXPECT_EQ(greedy({4, 2.9F}, both, {0}, {}), 0);
}

TEST(SamplerByHand, ABadWordIsStoppedAtItsLastToken) {
  const SamplingParams params = with_lists({{}, {}, {{0}, {2, 3, 1}}});
  EXPECT_EQ(greedy({9, 8, 7, 6}, params, {}, {}), 1);         // 0 alone is never drawn; 1 only after 2 3
  EXPECT_EQ(greedy({9, 8, 7, 6}, params, {}, {2}), 1);
  EXPECT_EQ(greedy({9, 8, 7, 6}, params, {}, {2, 3}), 2);
  EXPECT_EQ(greedy({9, 8, 7, 6}, params, {}, {2, 3, 3}), 1);
  EXPECT_EQ(greedy({9, 8, 7, 6}, params, {2, 3}, {}), 1);     // the prompt does not count
  EXPECT_EQ(greedy({9, 8, 7, 6}, params, {2}, {3}), 1);
}

TEST(SamplerByHand, NothingThatEndsTheJobIsDrawnBeforeMinTokens) {
  SamplingParams params = with_lists({{}, {1}, {}});
  params.min_tokens = 2;
  EXPECT_EQ(greedy({9, 8, 7}, params, {}, {}, {0}), 2);
  EXPECT_EQ(greedy({9, 8, 7}, params, {5, 5, 5}, {2}, {0}), 2);
  EXPECT_EQ(greedy({9, 8, 7}, params, {}, {2, 2}, {0}), 0);
  params.ignore_eos = true;
  EXPECT_EQ(greedy({9, 8, 7}, params, {}, {}, {0}), 0);  // ends nothing then
  EXPECT_EQ(greedy({6, 8, 7}, params, {}, {}, {0}), 2);
}

TEST(SamplerByHand, ForbiddingEverythingIsAnErrorThatSaysSo) {
  Sampler sampler(cpu::best_ops());
  for (const float temperature : {0.0F, 1.0F}) {
    SamplingParams params = with_lists({{}, {}, {{0}, {1}}});
    params.temperature = temperature;
    const auto drawn = sampler.sample(std::vector<float>{1, 2}, params, {});
    ASSERT_FALSE(drawn);
    EXPECT_EQ(drawn.error().code, ErrorCode::kInvalidArgument);
    EXPECT_NE(drawn.error().message.find("forbid every token"), std::string::npos);
  }
}

TEST(SamplerByHand, CallsLeaveNoTrace) {
  Sampler used(cpu::best_ops());
  const std::vector<float> logits = test::random_floats(300, 1, 1.0F);
  const std::vector<TokenId> history = {1, 2, 3, 2, 1, 9, 9};
  const SamplingParams penalties = {.temperature = 1, .seed = 3, .repetition_penalty = 1.5F, .presence_penalty = 1, .frequency_penalty = 1};
  for (std::uint64_t position = 0; position < 50; ++position) {
    Sampler fresh(cpu::scalar_ops());
    const DrawContext context{position, static_cast<std::uint32_t>(position % 8), history, {}};
    EXPECT_EQ(used.sample(logits, penalties, context)->token, fresh.sample(logits, penalties, context)->token);
    EXPECT_EQ(used.sample(logits, {.temperature = 1}, {position})->token, fresh.sample(logits, {.temperature = 1}, {position})->token);
  }
}

TEST(SamplerByHand, ChoicesOfOneSeedDifferAndTheFirstIsThatOfASingleOne) {
  Sampler sampler(cpu::best_ops());
  const std::vector<float> logits = test::random_floats(2000, 3, 1.0F);
  std::set<TokenId> first_tokens;
  for (std::uint32_t choice = 0; choice < 50; ++choice) {
    const SamplingParams params = {.temperature = 1, .seed = 42, .choice = choice};
    first_tokens.insert(sampler.sample(logits, params, {7})->token);
  }
  EXPECT_GT(first_tokens.size(), 40u);
  EXPECT_EQ((SamplingParams{.seed = 42}.generator_key()), 42u);
}

}  // namespace
}  // namespace baton
