// SPDX-License-Identifier: Apache-2.0
#include "engine/sampler.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "tests/support/random_weights.h"

namespace baton {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

SamplingParams params(float temperature, std::uint32_t top_k = 0, float top_p = 1, float min_p = 0, std::uint64_t seed = 42) {
  return {.temperature = temperature, .top_k = top_k, .top_p = top_p, .min_p = min_p, .seed = seed};
}

Result<ScoredToken> sample(Sampler& sampler, const std::vector<float>& logits, SamplingParams with, std::uint64_t position) {
  with.logprobs = 0;
  return sampler.sample(logits, with, {.position = position});
}

// How often each id is drawn at positions 0..draws-1.
std::vector<int> count(const std::vector<float>& logits, const SamplingParams& with, int draws) {
  Sampler sampler(cpu::best_ops());
  std::vector<int> counts(logits.size());
  for (int position = 0; position < draws; ++position) {
    const auto drawn = sample(sampler, logits, with, static_cast<std::uint64_t>(position));
    EXPECT_TRUE(drawn);
    ++counts[static_cast<std::size_t>(drawn->token)];
  }
  return counts;
}

// Draws match the softmax of logits/temperature restricted to `kept` ids, by a chi-square far out in its tail.
void expect_distribution(const std::vector<float>& logits, const SamplingParams& with, const std::vector<std::size_t>& kept) {
  constexpr int kDraws = 20000;
  const std::vector<int> counts = count(logits, with, kDraws);
  double total = 0, chi_square = 0;
  int accounted = 0;
  for (const std::size_t id : kept) total += std::exp(static_cast<double>(logits[id]) / with.temperature);
  for (const std::size_t id : kept) {
    const double expected = std::exp(static_cast<double>(logits[id]) / with.temperature) / total * kDraws;
    chi_square += (counts[id] - expected) * (counts[id] - expected) / expected;
    accounted += counts[id];
  }
  EXPECT_EQ(accounted, kDraws) << "an id outside the kept set was drawn";
  const auto freedom = static_cast<double>(kept.size() - 1);
  EXPECT_LT(chi_square, freedom + 5 * std::sqrt(2 * freedom) + 5);
}

const std::vector<float> kLogits = {0.5F, 2.0F, -1.0F, 1.5F, 0.0F, 2.5F, -3.0F, 1.0F};

TEST(Sampler, GreedyTakesTheLargestAndTheLowestOfEquals) {
  Sampler sampler(cpu::best_ops());
  EXPECT_EQ(sample(sampler, kLogits, params(0), 0)->token, 5);
  EXPECT_EQ(sample(sampler, std::vector<float>{1, 3, 3, 3}, params(0), 0)->token, 1);
  EXPECT_EQ(sample(sampler, std::vector<float>{-2}, params(0), 0)->token, 0);
}

TEST(Sampler, LogprobIsOfTheUnmodifiedDistribution) {
  Sampler sampler(cpu::best_ops());
  double total = 0;
  for (const float logit : kLogits) total += std::exp(static_cast<double>(logit));
  for (const SamplingParams& with : {params(0), params(2), params(0.5F, 3), params(1, 0, 0.6F, 0.1F)}) {
    const auto drawn = sample(sampler, kLogits, with, 3);
    EXPECT_NEAR(drawn->logprob, kLogits[static_cast<std::size_t>(drawn->token)] - std::log(total), 1e-6);
  }
}

TEST(Sampler, FrequenciesMatchTheDistribution) {
  expect_distribution(kLogits, params(1), {0, 1, 2, 3, 4, 5, 6, 7});
  expect_distribution(kLogits, params(0.5F), {0, 1, 2, 3, 4, 5, 6, 7});
  expect_distribution(kLogits, params(3), {0, 1, 2, 3, 4, 5, 6, 7});
  expect_distribution(kLogits, params(1, 3), {5, 1, 3});
  expect_distribution(kLogits, params(1, 0, 1, 0.3F), {5, 1, 3});         // weights 1, .607, .368, .223
  expect_distribution(kLogits, params(1, 0, 0.6F), {5, 1});               // masses .403, .245, .148
  expect_distribution(kLogits, params(1, 4, 0.9F, 0.25F), {5, 1, 3});     // of the four left by top-k, .458 + .278 + .168 >= .9
}

TEST(Sampler, SortsAsFarAsTopPNeeds) {
  // Flat enough that top-p reaches far past the first sorted piece.
  const std::vector<float> logits = test::random_floats(5000, 8, 0.1F);
  const std::vector<int> counts = count(logits, params(1, 0, 0.5F), 3000);
  float least_kept = kInfinity;
  for (std::size_t id = 0; id < logits.size(); ++id)
    if (counts[id] > 0) least_kept = std::min(least_kept, logits[id]);
  EXPECT_NEAR(least_kept, 0.0F, 0.01F);  // about the upper half of a symmetric distribution
}

TEST(Sampler, EdgesOfTheFilters) {
  for (const SamplingParams& with : {params(1, 0, 0.0F), params(1, 1), params(1, 0, 1, 1.0F), params(1e-30F), params(1, 0, -1.0F)})
    EXPECT_EQ(count(kLogits, with, 50)[5], 50);
  const std::vector<float> tie = {1, 1, 1};
  EXPECT_EQ(count(tie, params(1, 1), 20)[0], 20);
  EXPECT_EQ(count(kLogits, params(1, 1000), 500), count(kLogits, params(1), 500)) << "k beyond the vocabulary filters nothing";
}

TEST(Sampler, OnlyOnePossibleToken) {
  std::vector<float> logits(300, -1e9F);
  logits[123] = -50;
  for (const SamplingParams& with : {params(0), params(1), params(1, 5), params(1, 0, 0.9F), params(0.01F, 0, 1, 0.5F)}) {
    Sampler sampler(cpu::best_ops());
    const auto drawn = sample(sampler, logits, with, 9);
    ASSERT_TRUE(drawn);
    EXPECT_EQ(drawn->token, 123);
    EXPECT_NEAR(drawn->logprob, 0, 1e-6);
  }
}

TEST(Sampler, NoDistributionNoToken) {
  Sampler sampler(cpu::best_ops());
  for (const SamplingParams& with : {params(0), params(1), params(1, 2)}) {
    EXPECT_FALSE(sample(sampler, std::vector<float>{1, kNan, 2}, with, 0));
    EXPECT_FALSE(sample(sampler, std::vector<float>{kNan, 1, 2}, with, 0));
    EXPECT_FALSE(sample(sampler, std::vector<float>{1, kInfinity, 2}, with, 0));
    EXPECT_FALSE(sample(sampler, std::vector<float>{1, -kInfinity, 2}, with, 0));
    EXPECT_FALSE(sample(sampler, std::vector<float>(40, kNan), with, 0));
    std::vector<float> last_of_many(33, 1.0F);
    last_of_many.back() = kNan;
    EXPECT_FALSE(sample(sampler, last_of_many, with, 0));
    EXPECT_FALSE(sampler.score(last_of_many, 3, 0));
  }
}

TEST(Sampler, ADrawDependsOnSeedAndPositionOnly) {
  const std::vector<float> logits = test::random_floats(2000, 3, 4.0F);
  Sampler used(cpu::best_ops());
  for (std::uint64_t position = 0; position < 100; ++position) {
    Sampler fresh(cpu::scalar_ops());
    const auto a = sample(used, logits, params(0.9F, 50, 0.95F), position);
    const auto b = sample(fresh, logits, params(0.9F, 50, 0.95F), position);
    EXPECT_EQ(a->token, b->token);
    EXPECT_EQ(a->logprob, b->logprob);
  }
  int differ = 0;
  for (std::uint64_t position = 0; position < 100; ++position)
    differ += sample(used, logits, params(1), position)->token != sample(used, logits, params(1, 0, 1, 0, 43), position)->token;
  EXPECT_GT(differ, 80);
}

TEST(Sampler, DrawsAreThoseOfEveryCompiler) {
  const std::vector<float> logits = test::random_floats(1000, 5, 3.0F);
  Sampler sampler(cpu::best_ops());
  std::vector<TokenId> drawn;
  for (std::uint64_t position = 0; position < 8; ++position) drawn.push_back(sample(sampler, logits, params(0.8F, 0, 0.9F), position)->token);
  EXPECT_EQ(drawn, (std::vector<TokenId>{46, 776, 616, 359, 430, 939, 649, 659}));
}

}  // namespace
}  // namespace baton
