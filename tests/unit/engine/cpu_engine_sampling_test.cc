// SPDX-License-Identifier: Apache-2.0
// Sampling in the engine: log-probabilities of a prompt however it is cut, and draws that depend on the sequence so far but not
// on who computed it.
#include <gtest/gtest.h>

#include <memory>

#include "engine/cpu_engine.h"
#include "runtime/base/random.h"
#include "tests/support/engine_pool.h"
#include "tests/support/tiny_llama.h"

namespace baton {
namespace {

constexpr std::uint32_t kBlocks = 64;

struct EngineSampling : ::testing::Test {
  EngineSampling() : file(test::build_tiny_llama({})) {
    CpuEngineOptions options;
    options.model_path = file.path();
    options.block_tokens = 4;
    options.threads = 2;
    auto made = make_cpu_engine(options);
    CHECK(made.has_value(), made ? "" : made.error().message);
    engine = std::move(*made);
    pool = std::make_unique<test::EnginePool>(engine->info().geometry, kBlocks);
    CHECK(engine->attach_pool(pool->bytes()).has_value());
    for (std::size_t i = 0; i < 41; ++i) prompt.push_back(static_cast<TokenId>(random_at(3, i) % test::kTinyVocabulary));
    for (BlockId block = 0; block < 20; ++block) blocks.push_back(block);
  }
  // The prompt in chunks of that many tokens; what follows each is scored.
  std::vector<ScoredToken> score(std::uint32_t chunk, std::uint32_t top) {
    std::vector<ScoredToken> all;
    for (std::uint32_t from = 0; from < prompt.size(); from += chunk) {
      SequencePlan plan;
      plan.first_position = from;
      const std::uint32_t end = std::min<std::uint32_t>(from + chunk, static_cast<std::uint32_t>(prompt.size()));
      plan.tokens.assign(prompt.begin() + from, prompt.begin() + end);
      plan.scored.assign(prompt.begin() + from + 1, prompt.begin() + std::min<std::uint32_t>(end + 1, static_cast<std::uint32_t>(prompt.size())));
      plan.blocks = blocks;
      plan.sample = end == prompt.size();
      plan.sampling.prompt_logprobs = top;
      SequencePlan other;  // beside it, so that its rows are not the step's first
      other.sequence = 1;
      other.tokens = {1, 2, 3};
      other.blocks = {40};
      other.sample = true;
      const StepResult result = engine->step({.step = from, .sequences = {other, plan}});
      EXPECT_EQ(result.sequences[1].error, "");
      EXPECT_TRUE(result.sequences[0].prompt.empty());
      all.insert(all.end(), result.sequences[1].prompt.begin(), result.sequences[1].prompt.end());
    }
    return all;
  }
  // Of `count` tokens behind the prompt, starting with `known` as if another had drawn them.
  std::vector<TokenId> answer(const SamplingParams& sampling, std::size_t count, std::vector<TokenId> known = {}) {
    std::uint32_t computed = 0;
    while (known.size() < count) {
      std::vector<TokenId> all = prompt;
      all.insert(all.end(), known.begin(), known.end());
      SequencePlan plan;
      plan.first_position = computed;
      plan.tokens.assign(all.begin() + computed, all.end());
      plan.blocks = blocks;
      plan.sample = true;
      plan.sampling = sampling;
      plan.generated = static_cast<std::uint32_t>(known.size());
      if (sampling.reads_history()) plan.history = all;
      computed = static_cast<std::uint32_t>(all.size());
      const StepResult result = engine->step({.step = 0, .sequences = {plan}});
      EXPECT_TRUE(result.sequences[0].sampled) << result.sequences[0].error;
      known.push_back(result.sequences[0].token);
    }
    return known;
  }

  test::TempFile file;
  std::unique_ptr<CpuEngine> engine;
  std::unique_ptr<test::EnginePool> pool;
  std::vector<TokenId> prompt;
  std::vector<BlockId> blocks;
};

TEST_F(EngineSampling, APromptIsScoredAlikeHoweverItIsCut) {
  const std::vector<ScoredToken> whole = score(100, 3);  // more rows than are held at a time
  ASSERT_EQ(whole.size(), prompt.size() - 1);
  for (const std::uint32_t chunk : {1u, 7u, 33u}) {
    const std::vector<ScoredToken> cut = score(chunk, 3);
    ASSERT_EQ(cut.size(), whole.size());
    for (std::size_t i = 0; i < whole.size(); ++i) {
      EXPECT_EQ(cut[i].token, prompt[i + 1]);
      EXPECT_EQ(cut[i].logprob, whole[i].logprob);
      EXPECT_EQ(cut[i].top, whole[i].top);
      EXPECT_EQ(cut[i].top.size(), 3u);
    }
  }
}

// The score of a prompt token is the log-probability that the token would have had, had it been drawn there.
TEST_F(EngineSampling, AScoreIsTheLogprobOfADrawAtThatPlace) {
  const std::vector<ScoredToken> scored = score(100, 20);
  for (std::size_t length = 1; length < prompt.size(); length += 9) {
    SequencePlan plan;
    plan.tokens.assign(prompt.begin(), prompt.begin() + static_cast<std::ptrdiff_t>(length));
    plan.blocks = blocks;
    plan.sample = true;
    plan.sampling.logprobs = 20;
    const SequenceResult drawn = engine->step({.step = 0, .sequences = {plan}}).sequences[0];
    EXPECT_EQ(drawn.top, scored[length - 1].top);
    EXPECT_EQ(drawn.token, drawn.top[0].token) << "greedy is the likeliest";
    EXPECT_EQ(drawn.logprob, drawn.top[0].logprob);
  }
}

TEST_F(EngineSampling, AnotherWorkerGoesOnWithTheSameTokensWhateverTheParameters) {
  auto lists = std::make_shared<SamplingLists>();
  lists->logit_bias = {{5, 1.5F}, {6, -3.0F}};
  lists->bad_words = {{9}, {1, 2}};
  const SamplingParams cases[] = {
      {.repetition_penalty = 1.3F},
      {.temperature = 1, .seed = 7, .presence_penalty = 1, .frequency_penalty = 0.7F},
      {.temperature = 0.8F, .top_k = 30, .seed = 8, .repetition_penalty = 1.2F, .presence_penalty = -0.5F, .min_tokens = 10, .choice = 2, .lists = lists},
  };
  for (const SamplingParams& sampling : cases) {
    const std::vector<TokenId> whole = answer(sampling, 24);
    EXPECT_NE(whole, answer({}, 24)) << "the parameters change something";
    for (const std::size_t known : {1u, 11u, 23u})
      EXPECT_EQ(answer(sampling, 24, {whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(known)}), whole);
    for (const TokenId token : whole) EXPECT_TRUE(!sampling.lists || token != 9);
  }
}

TEST_F(EngineSampling, ParametersThatForbidEverythingFailTheirSequenceAlone) {
  auto lists = std::make_shared<SamplingLists>();
  for (std::uint32_t id = 0; id < engine->info().vocab_size; ++id) lists->bad_words.push_back({static_cast<TokenId>(id)});
  SequencePlan plan;
  plan.tokens = {1};
  plan.blocks = {0};
  plan.sample = true;
  SequencePlan forbidden = plan;
  forbidden.blocks = {1};
  forbidden.sampling.lists = lists;
  forbidden.history = {1};
  const StepResult result = engine->step({.step = 0, .sequences = {forbidden, plan}});
  EXPECT_FALSE(result.sequences[0].sampled);
  EXPECT_NE(result.sequences[0].error.find("forbid every token"), std::string::npos);
  EXPECT_EQ(result.sequences[0].code, ErrorCode::kInvalidArgument) << "the parameters are to blame";
  EXPECT_TRUE(result.sequences[1].sampled);
}

}  // namespace
}  // namespace baton
