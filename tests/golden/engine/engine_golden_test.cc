// SPDX-License-Identifier: Apache-2.0
// The engine against an independent implementation (tests/golden/README.md): logits within a bound, greedy tokens equal.
// Fast enough only in the release preset.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <ostream>

#include "engine/cpu_engine.h"
#include "models/registry.h"
#include "tests/support/engine_pool.h"
#include "tests/support/golden_data.h"
#include "tests/support/slow_build.h"

namespace baton {
namespace {

struct Mode {
  const char* name;
  Numerics numerics;
  DType kv;
  double bound;  // of max|difference| / max|reference|
  friend std::ostream& operator<<(std::ostream& out, const Mode& mode) { return out << mode.name << ", KV " << to_string(mode.kv); }
};
constexpr Mode kReferenceMode{"reference", Numerics::kReference, DType::kF32, 1e-3};
constexpr Mode kInvariantMode{"invariant", Numerics::kInvariant, DType::kF16, 2e-3};

class EngineGolden : public testing::TestWithParam<Mode> {
 protected:
  void SetUp() override {
    if (test::kSlowBuild) GTEST_SKIP() << "runs in the release preset";
    path_ = test::golden_model_path();
    if (!path_) GTEST_SKIP() << test::golden_model_missing();
  }
  std::optional<std::string> path_;
};

// Largest relative differences of one prompt's stored logits.
std::vector<double> differences(const test::GoldenLogitsPrompt& prompt, Model& model, cpu::PagedRows paged) {
  std::vector<TokenId> tokens(prompt.tokens.begin(), prompt.tokens.end());
  std::vector<std::uint32_t> positions(tokens.size());
  std::vector<std::span<const std::uint32_t>> blocks(tokens.size(), paged.blocks[0]);
  for (std::uint32_t i = 0; i < positions.size(); ++i) positions[i] = i;
  paged.positions = positions;
  paged.blocks = blocks;
  std::vector<std::uint32_t> rows;
  for (const test::GoldenLogits& golden : prompt.positions) rows.push_back(golden.position);
  model.forward({.tokens = tokens, .paged = paged});
  const cpu::Rows& logits = model.logits(rows);
  std::vector<double> result;
  for (std::uint32_t row = 0; row < rows.size(); ++row) {
    const test::GoldenLogits& golden = prompt.positions[row];
    double worst = 0;
    for (std::size_t i = 0; i < golden.ids.size(); ++i)
      worst = std::max(worst, std::fabs(static_cast<double>(logits.row(row)[golden.ids[i]]) - golden.values[i]) / golden.max_abs);
    result.push_back(worst);
  }
  return result;
}

TEST_P(EngineGolden, LogitsMatchTheReferenceImplementation) {
  ThreadPool threads(2);
  cpu::Backend backend(cpu::best_ops(), threads, GetParam().numerics);
  auto file = GgufFile::open(*path_);
  ASSERT_TRUE(file) << file.error().message;
  auto model = load_model(std::move(*file), backend, std::make_unique<WeightArena>());
  ASSERT_TRUE(model) << model.error().message;
  const ModelInfo& info = (*model)->info();
  const KvGeometry geometry{
      .group = 0, .layers = info.layers, .kv_heads = info.kv_heads, .head_dim = info.head_dim, .block_tokens = 16, .dtype = GetParam().kv};
  test::EnginePool pool(geometry, 64);
  std::vector<std::uint32_t> table(64);
  for (std::uint32_t i = 0; i < table.size(); ++i) table[i] = i;
  const std::span<const std::uint32_t> blocks[] = {table};
  std::size_t positions = 0;
  double worst = 0;
  double sum = 0;
  for (const test::GoldenLogitsPrompt& prompt : test::load_golden_logits()) {
    for (const double difference : differences(prompt, **model, {.positions = {}, .blocks = blocks, .geometry = geometry, .pool = pool.bytes().data()})) {
      worst = std::max(worst, difference);
      sum += difference;
      ++positions;
    }
  }
  std::printf("%s, KV %s: %zu positions, max|d|/max|ref|: worst %.3g, mean %.3g\n", GetParam().name,
              std::string(to_string(GetParam().kv)).c_str(), positions, worst, sum / static_cast<double>(positions));
  EXPECT_GE(positions, 50u);
  EXPECT_LE(worst, GetParam().bound);
}

struct Stream {
  SequencePlan plan;
  std::vector<TokenId> emitted;
};

// All prompts as one batch: one prefill step, then decode steps, greedy.
std::vector<std::vector<TokenId>> generate(CpuEngine& engine, const std::vector<test::GoldenGreedy>& prompts) {
  std::vector<Stream> streams;
  std::uint32_t next_block = 0;
  for (const test::GoldenGreedy& prompt : prompts) {
    Stream stream;
    stream.plan.sequence = streams.size();
    stream.plan.tokens.assign(prompt.prompt_ids.begin(), prompt.prompt_ids.end());
    stream.plan.sample = true;
    for (std::uint32_t i = 0; i < engine.info().geometry.blocks_for(prompt.prompt_ids.size() + prompt.ids.size()); ++i)
      stream.plan.blocks.push_back(next_block++);
    streams.push_back(std::move(stream));
  }
  CHECK(next_block <= engine.pool_blocks());
  std::vector<std::vector<TokenId>> emitted(prompts.size());
  for (std::size_t step = 0; step < prompts.front().ids.size(); ++step) {
    BatchPlan plan;
    for (const Stream& stream : streams) plan.sequences.push_back(stream.plan);
    const StepResult result = engine.step(plan);
    for (std::size_t i = 0; i < streams.size(); ++i) {
      CHECK(result.sequences[i].sampled);
      emitted[i].push_back(result.sequences[i].token);
      streams[i].plan.first_position += static_cast<std::uint32_t>(streams[i].plan.tokens.size());
      streams[i].plan.tokens = {result.sequences[i].token};
    }
  }
  return emitted;
}

TEST_P(EngineGolden, GreedyTokensMatchTheReferenceImplementation) {
  const std::vector<test::GoldenGreedy> prompts = test::load_golden_greedy();
  auto engine = make_cpu_engine({.model_path = *path_, .numerics = GetParam().numerics, .kv_dtype = GetParam().kv, .threads = 2});
  ASSERT_TRUE(engine) << engine.error().message;
  test::EnginePool pool((*engine)->info().geometry, 1024);
  ASSERT_TRUE((*engine)->attach_pool(pool.bytes()));
  const auto emitted = generate(**engine, prompts);
  std::size_t identical = 0;
  for (std::size_t i = 0; i < prompts.size(); ++i) {
    const auto differ = std::mismatch(emitted[i].begin(), emitted[i].end(), prompts[i].ids.begin(), prompts[i].ids.end());
    const auto at = static_cast<std::size_t>(differ.first - emitted[i].begin());
    identical += at == emitted[i].size();
    if (at < emitted[i].size())
      std::printf("%s: prompt %zu differs from token %zu on: %d, expected %d, whose lead there is %.6f nats\n", GetParam().name, i, at,
                  *differ.first, *differ.second, static_cast<double>(prompts[i].gaps[at]));
  }
  std::printf("%s, KV %s: %zu of %zu prompts give the same %zu greedy tokens\n", GetParam().name,
              std::string(to_string(GetParam().kv)).c_str(), identical, prompts.size(), prompts.front().ids.size());
  EXPECT_GE(prompts.size(), 40u);
  EXPECT_GE(static_cast<double>(identical), 0.95 * static_cast<double>(prompts.size()));
}

INSTANTIATE_TEST_SUITE_P(Modes, EngineGolden,
                         testing::Values(kReferenceMode, kInvariantMode, Mode{"invariant", Numerics::kInvariant, DType::kF32, 2e-3}),
                         [](const testing::TestParamInfo<Mode>& mode) {
                           return std::string(mode.param.name) + "_" + std::string(to_string(mode.param.kv));
                         });

}  // namespace
}  // namespace baton
