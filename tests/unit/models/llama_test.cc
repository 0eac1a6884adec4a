// SPDX-License-Identifier: Apache-2.0
// What the llama loader accepts and how it refuses the rest: by name, with what was expected and found.
#include "models/llama.h"

#include <gtest/gtest.h>

#include "models/registry.h"
#include "tests/support/tiny_llama.h"

namespace baton {
namespace {

using test::TinyLlama;

Result<ModelInfo> load(const TinyLlama& options) {
  const test::TempFile file(test::build_tiny_llama(options));
  auto gguf = GgufFile::open(file.path());
  if (!gguf) return tl::unexpected<Error>(gguf.error());
  ThreadPool threads(1);
  cpu::Backend backend(cpu::best_ops(), threads, Numerics::kInvariant);
  auto model = load_model(std::move(*gguf), backend, std::make_unique<WeightArena>());
  if (!model) return tl::unexpected<Error>(model.error());
  return (*model)->info();
}

void expect_refused(const TinyLlama& options, const std::vector<std::string>& words) {
  const auto info = load(options);
  ASSERT_FALSE(info);
  for (const std::string& word : words) EXPECT_NE(info.error().message.find(word), std::string::npos) << info.error().message;
}

TEST(LlamaLoader, ReadsShapeAndStopTokens) {
  const auto info = load({});
  ASSERT_TRUE(info) << info.error().message;
  EXPECT_EQ(info->name, "tiny");
  EXPECT_EQ(info->layers, 2u);
  EXPECT_EQ(info->kv_heads, 2u);
  EXPECT_EQ(info->head_dim, 16u);
  EXPECT_EQ(info->vocab_size, test::kTinyVocabulary);
  EXPECT_EQ(info->context_length, test::kTinyContext);
  EXPECT_EQ(info->stop_tokens, std::vector<TokenId>{7});
}

TEST(LlamaLoader, TheHashTellsModelsApart) {
  const auto one = load({}), again = load({}), other = load({.seed = 2});
  const auto slower = load({.more = [](test::GgufWriter& writer) {
    writer.add_string("llama.rope.scaling.type", "linear").add_float("llama.rope.scaling.factor", 2.0F);
  }});
  ASSERT_TRUE(one && again && other && slower);
  EXPECT_EQ(one->hash, again->hash);
  EXPECT_NE(one->hash, other->hash);
  EXPECT_NE(one->hash, slower->hash);
}

TEST(LlamaLoader, AcceptsUntiedOutputAndFrequencyFactors) {
  EXPECT_TRUE(load({.tied = false}));
  EXPECT_TRUE(load({.frequency_factors = true}));
}

TEST(LlamaLoader, RefusesAnotherArchitectureAndListsTheKnown) { expect_refused({.architecture = "mamba"}, {"'mamba'", "supported: llama"}); }

TEST(LlamaLoader, NamesAMissingTensorAndAWrongShape) {
  expect_refused({.without_tensor = "blk.1.ffn_up.weight"}, {"blk.1.ffn_up.weight"});
  expect_refused({.wrong_shape = "blk.0.attn_k.weight"}, {"blk.0.attn_k.weight", "expected 32 rows of 64", "found 31 of 64"});
}

TEST(LlamaLoader, NamesAMissingKey) { expect_refused({.without_key = "block_count"}, {"llama.block_count", "found none"}); }

TEST(LlamaLoader, RefusesWhatItWouldOtherwiseIgnore) {
  expect_refused({.more = [](test::GgufWriter& writer) { writer.add_tensor_f32("blk.0.attn_q.bias", {64}, std::vector<float>(64)); }},
                 {"blk.0.attn_q.bias", "not part of the llama decoder"});
  expect_refused({.more = [](test::GgufWriter& writer) { writer.add_string("llama.rope.scaling.type", "yarn"); }}, {"rope.scaling.type", "'yarn'"});
  expect_refused({.more = [](test::GgufWriter& writer) { writer.add_uint("llama.expert_count", 8); }}, {"expert_count"});
  expect_refused({.more = [](test::GgufWriter& writer) { writer.add_uint("llama.vocab_size", 95); }}, {"vocab_size"});
}

}  // namespace
}  // namespace baton
