// SPDX-License-Identifier: Apache-2.0
#include "engine/oracle_engine.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "runtime/base/random.h"

namespace baton {
namespace {

struct Fixture {
  OracleOptions options;
  std::vector<std::byte> pool = std::vector<std::byte>(64 * oracle_info(options).geometry.block_bytes());
  std::unique_ptr<Engine> engine = make_oracle_engine(options, pool);

  // Runs a job to its end with the given chunk size and block table; `before_step` may spoil the pool.
  std::vector<TokenId> run(const std::vector<TokenId>& prompt, const SamplingParams& sampling, std::uint32_t chunk,
                           std::vector<BlockId> blocks, const std::function<void(std::size_t)>& before_step = {}) {
    std::vector<TokenId> inputs = prompt;
    std::vector<TokenId> stream;
    std::uint32_t computed = 0;
    while (stream.size() < sampling.max_tokens) {
      const auto take = std::min<std::uint32_t>(chunk, static_cast<std::uint32_t>(inputs.size()) - computed);
      SequencePlan plan;
      plan.first_position = computed;
      plan.tokens.assign(inputs.begin() + computed, inputs.begin() + computed + take);
      plan.blocks = blocks;
      plan.sample = computed + take == inputs.size();
      plan.sampling = sampling;
      if (before_step) before_step(stream.size());
      const StepResult result = engine->step({0, {plan}});
      computed += take;
      if (!result.sequences[0].sampled) continue;
      stream.push_back(result.sequences[0].token);
      if (stream.back() == kOracleStopToken && !sampling.ignore_eos) break;
      inputs.push_back(stream.back());
    }
    return stream;
  }
};

TEST(OracleEngine, AgreesWithTheIndependentRecurrenceWhateverChunkAndBlocks) {
  Fixture f;
  Random random(5);
  for (int i = 0; i < 200; ++i) {
    std::vector<TokenId> prompt(1 + random.below(60));
    for (TokenId& token : prompt) token = static_cast<TokenId>(random.below(kOracleVocabulary));
    SamplingParams sampling;
    sampling.max_tokens = static_cast<std::uint32_t>(1 + random.below(30));
    sampling.temperature = random.chance(1, 2) ? 1.0F : 0.0F;
    sampling.seed = random.next();
    sampling.ignore_eos = random.chance(1, 2);
    std::vector<BlockId> blocks(6);
    for (BlockId& block : blocks) block = static_cast<BlockId>(random.below(10) + 10 * (&block - blocks.data()));
    EXPECT_EQ(f.run(prompt, sampling, static_cast<std::uint32_t>(1 + random.below(40)), blocks), oracle_stream(f.options, prompt, sampling));
  }
}

TEST(OracleEngine, OneFlippedBitInAnyRowChangesTheStream) {
  Fixture f;
  const std::vector<TokenId> prompt{1, 2, 3, 4, 5};
  SamplingParams sampling;
  sampling.max_tokens = 8;
  sampling.ignore_eos = true;
  const auto right = oracle_stream(f.options, prompt, sampling);
  const KvGeometry g = f.engine->info().geometry;
  for (std::uint32_t slot = 0; slot < 5; ++slot)
    for (const bool value : {false, true}) {
      const auto wrong = f.run(prompt, sampling, 64, {0, 1}, [&](std::size_t done) {
        if (done == 3) f.pool[g.row_offset(1, 0, value, slot)] ^= std::byte{4};
      });
      EXPECT_NE(wrong, right);
      EXPECT_TRUE(std::equal(right.begin(), right.begin() + 3, wrong.begin()));
    }
}

TEST(OracleEngine, TwoExchangedBlocksChangeTheStream) {
  Fixture f;
  std::vector<TokenId> prompt(32);
  for (std::size_t i = 0; i < prompt.size(); ++i) prompt[i] = static_cast<TokenId>(i + 1);
  SamplingParams sampling;
  sampling.max_tokens = 4;
  sampling.ignore_eos = true;
  const std::size_t bytes = f.engine->info().geometry.block_bytes();
  const auto wrong = f.run(prompt, sampling, 64, {0, 1, 2}, [&](std::size_t done) {
    if (done == 1) std::swap_ranges(f.pool.begin(), f.pool.begin() + static_cast<std::ptrdiff_t>(bytes), f.pool.begin() + static_cast<std::ptrdiff_t>(bytes));
  });
  EXPECT_NE(wrong, oracle_stream(f.options, prompt, sampling));
}

}  // namespace
}  // namespace baton
