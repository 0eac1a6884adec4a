// SPDX-License-Identifier: Apache-2.0
// How far `fast` (and `invariant`) stray from `reference`: teacher-forced over the golden prompts and their greedy answers, every
// position's next-token distribution is compared. What is promised of `fast`: the likeliest token agrees at 97 % of positions
// or more, and the mean Kullback-Leibler divergence is at most 0.005 nats.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "kernels/cpu/layers.h"
#include "models/registry.h"
#include "tests/support/engine_pool.h"
#include "tests/support/golden_data.h"

namespace baton {
namespace {

// One model under one numerics, with a pool for one sequence.
class Rig {
 public:
  Rig(const std::string& path, Numerics numerics) : backend_(cpu::best_ops(), threads_, numerics) {
    auto file = GgufFile::open(path);
    EXPECT_TRUE(file) << file.error().message;
    auto model = load_model(std::move(*file), backend_, std::make_unique<WeightArena>());
    EXPECT_TRUE(model) << model.error().message;
    model_ = std::move(*model);
    const ModelInfo& info = model_->info();
    geometry_ = {.group = 0, .layers = info.layers, .kv_heads = info.kv_heads, .head_dim = info.head_dim, .block_tokens = 16,
                 .dtype = numerics == Numerics::kReference ? DType::kF32 : DType::kF16};
    pool_.emplace(geometry_, kBlocks);
    for (std::uint32_t i = 0; i < kBlocks; ++i) table_.push_back(i);
  }
  // Next-token logits of every position.
  const cpu::Rows& logits(const std::vector<TokenId>& tokens) {
    std::vector<std::uint32_t> rows(tokens.size());
    for (std::uint32_t i = 0; i < rows.size(); ++i) rows[i] = i;
    const std::vector<std::span<const std::uint32_t>> blocks(tokens.size(), table_);
    model_->forward({.tokens = tokens, .paged = {.positions = rows, .blocks = blocks, .geometry = geometry_, .pool = pool_->bytes().data()}});
    return model_->logits(rows);
  }
  std::uint32_t vocabulary() const { return model_->info().vocab_size; }

 private:
  static constexpr std::uint32_t kBlocks = 64;
  ThreadPool threads_{2};
  cpu::Backend backend_;
  std::unique_ptr<Model> model_;
  KvGeometry geometry_;
  std::optional<test::EnginePool> pool_;
  std::vector<std::uint32_t> table_;
};

std::vector<double> log_probabilities(const float* logits, std::uint32_t count) {
  const double largest = static_cast<double>(*std::max_element(logits, logits + count));
  double sum = 0;
  for (std::uint32_t i = 0; i < count; ++i) sum += std::exp(static_cast<double>(logits[i]) - largest);
  std::vector<double> result(count);
  for (std::uint32_t i = 0; i < count; ++i) result[i] = static_cast<double>(logits[i]) - largest - std::log(sum);
  return result;
}

struct Drift {
  std::size_t positions = 0;
  std::size_t agree = 0;
  double divergence = 0;
};

Drift drift_of(const std::string& path, Numerics numerics) {
  Rig reference(path, Numerics::kReference), tested(path, numerics);
  Drift drift;
  for (const test::GoldenGreedy& prompt : test::load_golden_greedy()) {
    std::vector<TokenId> tokens(prompt.prompt_ids.begin(), prompt.prompt_ids.end());
    tokens.insert(tokens.end(), prompt.ids.begin(), prompt.ids.end());
    const cpu::Rows& expected = reference.logits(tokens);
    const cpu::Rows& actual = tested.logits(tokens);
    for (std::uint32_t row = 0; row < tokens.size(); ++row) {
      const std::vector<double> p = log_probabilities(expected.row(row), reference.vocabulary());
      const std::vector<double> q = log_probabilities(actual.row(row), reference.vocabulary());
      ++drift.positions;
      drift.agree += std::max_element(p.begin(), p.end()) - p.begin() == std::max_element(q.begin(), q.end()) - q.begin();
      for (std::size_t i = 0; i < p.size(); ++i) drift.divergence += std::exp(p[i]) * (p[i] - q[i]);
    }
  }
  return drift;
}

class FastGolden : public ::testing::TestWithParam<Numerics> {};

TEST_P(FastGolden, DistributionsStayNearTheReference) {
  const auto path = test::golden_model_path();
  if (!path) GTEST_SKIP() << test::golden_model_missing();
  const Drift drift = drift_of(*path, GetParam());
  const double agreement = static_cast<double>(drift.agree) / static_cast<double>(drift.positions);
  const double divergence = drift.divergence / static_cast<double>(drift.positions);
  std::printf("%s: %zu positions, likeliest token as in reference %.2f %%, mean KL %.2e nats\n", std::string(to_string(GetParam())).c_str(),
              drift.positions, 100 * agreement, divergence);
  EXPECT_GE(drift.positions, 2000u);
  EXPECT_GE(agreement, GetParam() == Numerics::kFast ? 0.97 : 0.998);
  EXPECT_LE(divergence, GetParam() == Numerics::kFast ? 0.005 : 2e-5);
}

INSTANTIATE_TEST_SUITE_P(Numerics, FastGolden, testing::Values(Numerics::kInvariant, Numerics::kFast),
                         [](const auto& numerics) { return std::string(to_string(numerics.param)); });

}  // namespace
}  // namespace baton
