// SPDX-License-Identifier: Apache-2.0
// Draws on the device beside engine/sampler.h's on the same logits: the same tokens, log-probabilities and refusals.
#include <gtest/gtest.h>

#include <limits>

#include "engine/sampler.h"
#include "kernels/cuda/ops.h"
#include "runtime/base/random.h"
#include "tests/gpu/device_data.h"
#include "tests/support/random_weights.h"

namespace baton::test {
namespace {

struct Draw {
  std::vector<float> logits;
  SamplingParams params = {};
  std::vector<TokenId> history = {};
  std::uint32_t generated = 0;
  std::uint64_t position = 0;
};

cuda::SampleRow row_of(const Draw& draw) {
  const SamplingParams& p = draw.params;
  return {.generator_key = p.generator_key(), .position = draw.position, .temperature = p.temperature, .top_p = p.top_p, .min_p = p.min_p, .top_k = p.top_k,
          .repetition_penalty = p.repetition_penalty, .presence_penalty = p.presence_penalty, .frequency_penalty = p.frequency_penalty,
          .top = p.logprobs ? static_cast<std::int32_t>(*p.logprobs) : -1};
}

std::vector<cuda::SampledRow> on_device(const std::vector<Draw>& draws, const std::vector<std::vector<cuda::LogitChange>>& changes = {}) {
  std::vector<float> logits;
  std::vector<cuda::SampleRow> rows;
  std::vector<cuda::LogitChange> all;
  for (std::size_t i = 0; i < draws.size(); ++i) {
    logits.insert(logits.end(), draws[i].logits.begin(), draws[i].logits.end());
    rows.push_back(row_of(draws[i]));
    rows.back().first_change = static_cast<std::uint32_t>(all.size());
    if (changes.empty()) continue;
    rows.back().changes = static_cast<std::uint32_t>(changes[i].size());
    all.insert(all.end(), changes[i].begin(), changes[i].end());
  }
  const OnDevice<float> dlogits(logits);
  const OnDevice<cuda::SampleRow> drows(rows);
  const OnDevice<cuda::LogitChange> dchanges(all);
  const OnDevice<cuda::SampledRow> out(draws.size());
  const auto vocabulary = static_cast<std::uint32_t>(draws[0].logits.size());
  cuda::sample(test_stream(), {dlogits.data(), static_cast<std::uint32_t>(draws.size()), vocabulary, drows.data(), dchanges.data(), out.data()});
  const std::vector<float> after = dlogits.values();
  EXPECT_TRUE(same_bits(std::span<const float>(after), std::span<const float>(logits))) << "the logits are not as they were";
  return out.values();
}

Result<ScoredToken> on_cpu(const Draw& draw) {
  Sampler sampler(cpu::best_ops());
  return sampler.sample(draw.logits, draw.params, {draw.position, draw.generated, draw.history, {}});
}

void expect_equal(const std::vector<Draw>& draws, const std::vector<cuda::SampledRow>& got) {
  for (std::size_t i = 0; i < draws.size(); ++i) {
    const SamplingParams& p = draws[i].params;
    SCOPED_TRACE(testing::Message() << "draw " << i << ": temperature " << p.temperature << ", top_k " << p.top_k << ", top_p " << p.top_p << ", min_p " << p.min_p);
    const auto expected = on_cpu(draws[i]);
    ASSERT_TRUE(expected) << expected.error().message;
    EXPECT_EQ(got[i].status, cuda::SampleStatus::kDrawn);
    EXPECT_EQ(got[i].token, expected->token);
    if (!p.logprobs) continue;
    EXPECT_NEAR(got[i].logprob, expected->logprob, 1e-4);
    for (std::size_t k = 0; k < expected->top.size(); ++k) {
      EXPECT_EQ(got[i].top_tokens[k], expected->top[k].token);
      EXPECT_NEAR(got[i].top_logprobs[k], expected->top[k].logprob, 1e-4);
    }
  }
}

// Peaked, flat, with ties, and with all ids alike.
std::vector<float> logits_of(std::uint32_t kind, std::uint32_t vocabulary, std::uint64_t seed) {
  std::vector<float> logits = random_floats(vocabulary, seed, kind == 0 ? 12.0F : kind == 1 ? 0.5F : 4.0F);
  if (kind == 2)
    for (float& logit : logits) logit = std::floor(logit);
  if (kind == 3) std::fill(logits.begin(), logits.end(), 1.0F);
  return logits;
}

TEST(Sample, DrawsWhatTheCpuDraws) {
  const struct { float temperature; std::uint32_t top_k; float top_p, min_p; } cuts[] = {
      {0, 0, 1, 0}, {1, 0, 1, 0}, {0.7F, 0, 1, 0}, {1, 1, 1, 0}, {1, 40, 1, 0}, {0.8F, 0, 0.9F, 0}, {1.3F, 50, 0.95F, 0}, {1, 0, 1, 0.05F}, {2, 0, 0.999F, 0.0001F}, {1, 5000, 0.5F, 0.01F}, {1, 3, 0.01F, 0.9F}};
  for (const std::uint32_t vocabulary : {97u, 49152u, 128256u})
    for (std::uint32_t kind = 0; kind < 4; ++kind) {
      std::vector<Draw> draws;
      for (const auto& cut : cuts)
        for (std::uint64_t seed = 0; seed < (vocabulary == 97 ? 40 : 3); ++seed) {
          Draw draw{.logits = logits_of(kind, vocabulary, seed + 10 * kind), .params = {}, .position = 5 + seed};
          draw.params.temperature = cut.temperature, draw.params.top_k = cut.top_k, draw.params.top_p = cut.top_p, draw.params.min_p = cut.min_p;
          draw.params.seed = 77 * seed + 1;
          draw.params.choice = static_cast<std::uint32_t>(seed % 2);
          if (seed % 3 == 0) draw.params.logprobs = static_cast<std::uint32_t>(seed % 2 * 20);
          draws.push_back(std::move(draw));
        }
      SCOPED_TRACE(testing::Message() << "vocabulary " << vocabulary << ", kind " << kind);
      expect_equal(draws, on_device(draws));
    }
}

TEST(Sample, PenaltiesAndBiasesComeBeforeTheTemperature) {
  std::vector<Draw> draws;
  std::vector<std::vector<cuda::LogitChange>> changes;
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    Draw draw{.logits = random_floats(200, seed, 2), .params = {}, .history = {3, 4, 3, 9, 9, 9, 150}, .generated = 4, .position = 7};
    SamplingParams& p = draw.params;
    p.temperature = seed % 2 == 0 ? 0.0F : 0.5F;
    p.repetition_penalty = 1.7F, p.presence_penalty = 0.3F, p.frequency_penalty = 0.4F, p.seed = seed, p.logprobs = 5;
    SamplingLists lists;
    lists.logit_bias = {{9, 1.5F}, {10, 2.0F}};
    lists.bad_words = {{150, 11}, {12}};
    p.lists = std::make_shared<const SamplingLists>(lists);
    // The answer is 9, 9, 9, 150, so that 11 and 12 are forbidden.
    changes.push_back({{.token = 3, .in_prompt = 1}, {.token = 4, .in_prompt = 1}, {.token = 9, .bias = 1.5F, .count = 3}, {.token = 150, .count = 1}, {.token = 10, .bias = 2.0F},
                       {.token = 11, .forbidden = 1}, {.token = 12, .forbidden = 1}});
    draws.push_back(std::move(draw));
  }
  expect_equal(draws, on_device(draws, changes));
}

TEST(Sample, SaysWhatCannotBeDrawn) {
  std::vector<Draw> draws(2, Draw{.logits = std::vector<float>(100, 1.0F)});
  draws[0].logits[57] = std::numeric_limits<float>::quiet_NaN();
  draws[1].logits[3] = std::numeric_limits<float>::infinity();
  for (const cuda::SampledRow& row : on_device(draws)) EXPECT_EQ(row.status, cuda::SampleStatus::kNotFinite);
  const std::vector<Draw> small(1, Draw{.logits = {1, 2}});
  EXPECT_EQ(on_device(small, {{{.token = 0, .forbidden = 1}, {.token = 1, .forbidden = 1}}})[0].status, cuda::SampleStatus::kAllForbidden);
}

}  // namespace
}  // namespace baton::test
