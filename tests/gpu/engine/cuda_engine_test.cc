// SPDX-License-Identifier: Apache-2.0
// The CUDA engine beside the CPU's reference engine on the same file, and beside itself: alone, in company, in chunks.
// With BATON_GPU_MODEL the same for a real model.
#include "engine/cuda_engine.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <thread>

#include "engine/cpu_engine.h"
#include "tests/gpu/engine/engine_rig.h"
#include "tests/support/engine_pool.h"

namespace baton::test {
namespace {

std::unique_ptr<CudaEngine> open_cuda(const std::string& path, Numerics numerics, std::uint32_t block_tokens = 16, bool graphs = true) {
  auto engine = make_cuda_engine({.model_path = path, .numerics = numerics, .block_tokens = block_tokens, .kv_bytes = 256u << 20, .max_batched_tokens = 8192, .max_sequences = 80, .threads = 4, .graphs = graphs});
  EXPECT_TRUE(engine) << engine.error().message;
  return engine ? std::move(*engine) : nullptr;
}

// A reference engine with its pool.
struct Reference {
  explicit Reference(const std::string& path) {
    auto made = make_cpu_engine({.model_path = path, .numerics = Numerics::kReference, .threads = std::min(8u, std::thread::hardware_concurrency())});
    EXPECT_TRUE(made) << made.error().message;
    engine = std::move(*made);
    pool = std::make_unique<EnginePool>(engine->info().geometry, 512);
    EXPECT_TRUE(engine->attach_pool(pool->bytes()));
  }
  std::unique_ptr<CpuEngine> engine;
  std::unique_ptr<EnginePool> pool;
};

SamplingParams with_logprobs(std::uint32_t top) {
  SamplingParams p;
  p.logprobs = top;
  return p;
}

struct Agreement {
  std::size_t tokens = 0, equal = 0, near_ties = 0;
  double largest = 0;   // difference of a log-probability
  double squares = 0;
  std::size_t compared = 0;
  double root_mean_square() const { return std::sqrt(squares / static_cast<double>(std::max<std::size_t>(compared, 1))); }
};

// `theirs` was made with what the reference drew: position by position, the likeliest tokens' log-probabilities.
Agreement compare(const std::vector<Answer>& reference, const std::vector<Answer>& theirs, double tie) {
  Agreement all;
  for (std::size_t i = 0; i < reference.size(); ++i)
    for (std::size_t t = 0; t < reference[i].tokens.size(); ++t) {
      ++all.tokens;
      const auto& top = reference[i].top[t];
      if (reference[i].tokens[t] == theirs[i].tokens[t]) ++all.equal;
      else if (static_cast<double>(top[0].logprob - top[1].logprob) < tie) ++all.near_ties;
      for (const TokenLogprob& a : top)
        for (const TokenLogprob& b : theirs[i].top[t]) {
          if (a.token != b.token) continue;
          const double difference = std::abs(static_cast<double>(a.logprob) - static_cast<double>(b.logprob));
          all.largest = std::max(all.largest, difference);
          all.squares += difference * difference;
          ++all.compared;
        }
    }
  return all;
}

Agreement against_reference(Engine& reference, Engine& engine, std::vector<Request> requests, double tie) {
  for (Request& request : requests) request.sampling = with_logprobs(20);
  const std::vector<Answer> expected = answer_all(reference, requests);
  for (std::size_t i = 0; i < requests.size(); ++i) requests[i].forced = expected[i].tokens;
  return compare(expected, answer_all(engine, requests), tie);
}

class Small : public testing::Test {
 protected:
  const SmallLlama shape_;
  const TempFile file_{shape_.build()};
  std::vector<Request> requests() const {
    std::vector<Request> all;
    for (const std::uint32_t length : {1u, 5u, 16u, 17u, 100u, 333u, 600u}) all.push_back({.prompt = random_prompt(length, shape_.vocabulary, length), .generate = 12});
    return all;
  }
};

TEST_F(Small, LogitsAreTheReferencesWithinBfloat16) {
  Reference reference(file_.path());
  for (const Numerics numerics : {Numerics::kInvariant, Numerics::kFast})
    for (const std::uint32_t block_tokens : {16u, 64u}) {
      const auto engine = open_cuda(file_.path(), numerics, block_tokens);
      ASSERT_TRUE(engine);
      const Agreement found = against_reference(*reference.engine, *engine, requests(), 0.1);
      std::printf("%s: %zu of %zu tokens equal, %zu near-ties, log-probabilities within %.4f, root mean square %.5f\n", std::string(to_string(numerics)).c_str(), found.equal, found.tokens,
                  found.near_ties, found.largest, found.root_mean_square());
      EXPECT_EQ(found.equal + found.near_ties, found.tokens);
      EXPECT_GT(found.compared, 1000u);
      EXPECT_LT(found.root_mean_square(), 0.03);
    }
}

void expect_same(const std::vector<Answer>& a, const std::vector<Answer>& b, const char* what) {
  SCOPED_TRACE(what);
  ASSERT_EQ(a.size(), b.size());
  for (std::size_t i = 0; i < a.size(); ++i) {
    EXPECT_EQ(a[i].tokens, b[i].tokens) << i;
    EXPECT_EQ(a[i].logprobs, b[i].logprobs) << i;
    EXPECT_EQ(a[i].digests, b[i].digests) << i;
  }
}

TEST_F(Small, UnderInvariantTokensDependOnTheirSequenceAlone) {
  const auto engine = open_cuda(file_.path(), Numerics::kInvariant);
  ASSERT_TRUE(engine);
  std::vector<Request> all = requests();
  for (std::uint32_t i = 0; i < 60; ++i) all.push_back({.prompt = random_prompt(3 + i, shape_.vocabulary, 1000 + i), .generate = 12});
  for (Request& request : all) request.sampling = with_logprobs(0);
  const std::vector<Answer> together = answer_all(*engine, all);
  std::vector<Answer> alone, resumed;
  for (std::size_t i = 0; i < all.size(); i += i < 7 ? 1 : 13) {
    expect_same({together[i]}, answer_all(*engine, {all[i]}, 40), "alone");
    // As after a preemption: what was prompt and answer is computed as one prompt.
    Request again = all[i];
    again.prompt.insert(again.prompt.end(), together[i].tokens.begin(), together[i].tokens.begin() + 6);
    again.generate -= 6;
    const Answer rest = answer_all(*engine, {again}, 3)[0];
    EXPECT_EQ(rest.tokens, std::vector<TokenId>(together[i].tokens.begin() + 6, together[i].tokens.end()));
    EXPECT_EQ(rest.logprobs, std::vector<float>(together[i].logprobs.begin() + 6, together[i].logprobs.end()));
  }
  std::vector<Request> chunked = all;
  for (std::size_t i = 0; i < all.size(); ++i) chunked[i].chunk = 7 + 16 * static_cast<std::uint32_t>(i % 5);
  expect_same(together, answer_all(*engine, chunked), "in chunks");
  const auto without_graphs = open_cuda(file_.path(), Numerics::kInvariant, 16, false);
  ASSERT_TRUE(without_graphs);
  expect_same(together, answer_all(*without_graphs, all), "without graphs");
}

TEST_F(Small, DrawsWithEveryParameter) {
  Reference reference(file_.path());
  const auto engine = open_cuda(file_.path(), Numerics::kInvariant);
  ASSERT_TRUE(engine);
  SamplingLists lists;
  lists.logit_bias = {{5, 3.0F}};
  lists.bad_words = {{9}, {5, 5}};
  Request request{.prompt = random_prompt(40, shape_.vocabulary, 3), .generate = 40};
  SamplingParams& p = request.sampling;
  p.temperature = 0.3F, p.top_k = 50, p.top_p = 0.9F, p.repetition_penalty = 1.2F, p.presence_penalty = 0.5F, p.frequency_penalty = 0.5F, p.seed = 9, p.min_tokens = 40, p.logprobs = 2;
  p.lists = std::make_shared<const SamplingLists>(lists);
  const Answer expected = answer_all(*reference.engine, {request})[0];
  request.forced = expected.tokens;
  const Answer found = answer_all(*engine, {request})[0];
  std::size_t equal = 0;
  for (std::size_t i = 0; i < expected.tokens.size(); ++i) {
    equal += expected.tokens[i] == found.tokens[i];
    EXPECT_NE(found.tokens[i], 9);
    EXPECT_EQ(found.top[i].size(), 2u);
  }
  EXPECT_GE(equal, 30u);  // logits differ by bfloat16's rounding, and so may the order of near-ties and a draw near its limit
}

TEST_F(Small, ScoresPrompts) {
  Reference reference(file_.path());
  const auto engine = open_cuda(file_.path(), Numerics::kFast);
  ASSERT_TRUE(engine);
  const std::vector<TokenId> prompt = random_prompt(700, shape_.vocabulary, 8);
  const auto score = [&](Engine& with) {
    SequencePlan plan;
    plan.tokens = prompt;
    for (BlockId block = 0; block < 44; ++block) plan.blocks.push_back(block);
    plan.sample = true;
    plan.sampling.prompt_logprobs = 1;
    plan.scored.assign(prompt.begin() + 1, prompt.end());
    return with.step({.step = 1, .sequences = {plan}}).sequences[0].prompt;
  };
  const auto expected = score(*reference.engine), found = score(*engine);
  ASSERT_EQ(found.size(), expected.size());
  for (std::size_t i = 0; i < found.size(); ++i) {
    EXPECT_EQ(found[i].token, prompt[i + 1]);
    EXPECT_NEAR(found[i].logprob, expected[i].logprob, 0.25);
    ASSERT_EQ(found[i].top.size(), 1u);
  }
}

TEST(CudaEngine, ASequenceWithoutNumbersFailsAlone) {
  SmallLlama shape;
  shape.nan_token = 11;
  const TempFile file(shape.build());
  const auto engine = open_cuda(file.path(), Numerics::kFast);
  ASSERT_TRUE(engine);
  const auto answers = answer_all(*engine, {{.prompt = {11, 1, 2}}, {.prompt = {1, 2, 3}}});
  EXPECT_NE(answers[0].error.find("not finite numbers, at position 2"), std::string::npos) << answers[0].error;
  EXPECT_TRUE(answers[1].error.empty());
  EXPECT_EQ(answers[1].tokens.size(), 8u);
}

TEST(CudaEngine, SaysWhatItCannotDo) {
  const TempFile file(SmallLlama{}.build());
  const auto error_of = [&](CudaEngineOptions options) {
    if (options.model_path.empty()) options.model_path = file.path();
    const auto made = make_cuda_engine(options);
    return made ? std::string() : made.error().message;
  };
  EXPECT_NE(error_of({.device = 99}).find("there is no CUDA device 99"), std::string::npos);
  EXPECT_NE(error_of({.numerics = Numerics::kReference}).find("use 'invariant' or 'fast'"), std::string::npos);
  EXPECT_NE(error_of({.block_tokens = 24}).find("multiple of 16"), std::string::npos);
  EXPECT_NE(error_of({.kv_bytes = std::uint64_t{1} << 50}).find("lower kv_cache.memory"), std::string::npos);
  EXPECT_NE(error_of({.kv_bytes = 1000}).find("no block of KV"), std::string::npos);
  const TempFile narrow(SmallLlama{.heads = 8, .head_dim = 32}.build());
  EXPECT_NE(error_of({.model_path = narrow.path()}).find("heads of 32"), std::string::npos);
}

TEST(CudaEngine, RealModelAgainstTheReference) {
  const char* path = std::getenv("BATON_GPU_MODEL");
  if (path == nullptr) GTEST_SKIP() << "BATON_GPU_MODEL names no GGUF file";
  Reference reference(path);
  const std::uint32_t vocabulary = reference.engine->info().vocab_size;
  std::vector<Request> requests;
  for (std::uint32_t i = 0; i < 12; ++i) requests.push_back({.prompt = random_prompt(8 + 20 * i, vocabulary, i), .generate = 48});
  for (const Numerics numerics : {Numerics::kInvariant, Numerics::kFast}) {
    const auto engine = open_cuda(path, numerics);
    ASSERT_TRUE(engine);
    std::printf("%s\n", engine->plan().c_str());
    const Agreement found = against_reference(*reference.engine, *engine, requests, 0.15);
    std::printf("%s: %zu of %zu tokens equal, %zu near-ties, log-probabilities within %.4f, root mean square %.5f\n", std::string(to_string(numerics)).c_str(), found.equal, found.tokens,
                found.near_ties, found.largest, found.root_mean_square());
    EXPECT_EQ(found.equal + found.near_ties, found.tokens);
    EXPECT_LT(found.root_mean_square(), 0.05);
  }
}

}  // namespace
}  // namespace baton::test
