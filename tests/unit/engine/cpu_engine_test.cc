// SPDX-License-Identifier: Apache-2.0
// The promise of section 7 of the design on a tiny random model: a sequence's tokens are its own, whatever runs beside
// it and however its prompt is cut.
#include "engine/cpu_engine.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <ostream>

#include "kvstore/digest.h"
#include "runtime/base/hash.h"
#include "runtime/base/random.h"
#include "tests/support/engine_pool.h"
#include "tests/support/tiny_llama.h"

namespace baton {
namespace {

constexpr std::uint32_t kBlocks = 64;
constexpr std::uint32_t kBlockTokens = 4;

std::vector<TokenId> prompt(std::uint64_t seed, std::size_t length) {
  std::vector<TokenId> tokens(length);
  for (std::size_t i = 0; i < length; ++i) tokens[i] = static_cast<TokenId>(random_at(seed, i) % test::kTinyVocabulary);
  return tokens;
}

class Fixture {
 public:
  explicit Fixture(const test::TinyLlama& model, CpuEngineOptions options = {}) : file_(test::build_tiny_llama(model)) {
    options.model_path = file_.path();
    options.block_tokens = kBlockTokens;
    auto made = make_cpu_engine(options);
    CHECK(made.has_value(), made ? "" : made.error().message);
    engine = std::move(*made);
    pool = std::make_unique<test::EnginePool>(engine->info().geometry, kBlocks);
    CHECK(engine->attach_pool(pool->bytes()).has_value());
  }

 private:
  test::TempFile file_;

 public:
  std::unique_ptr<CpuEngine> engine;
  std::unique_ptr<test::EnginePool> pool;
};

struct Job {
  std::vector<TokenId> prompt = {};
  SamplingParams sampling = {};
  std::vector<BlockId> blocks = {};  // empty: from `first_block` on
  std::size_t chunk = 1000;     // prompt tokens a step
  std::size_t start = 0;        // step at which it joins
};
struct Output {
  std::vector<TokenId> tokens;
  std::vector<float> logprobs;
  friend bool operator==(const Output&, const Output&) = default;
  friend std::ostream& operator<<(std::ostream& out, const Output& output) {
    return out << testing::PrintToString(output.tokens) << testing::PrintToString(output.logprobs);
  }
};

// Runs all jobs together until each has `count` tokens.
std::vector<Output> run(CpuEngine& engine, std::vector<Job> jobs, std::size_t count) {
  std::vector<Output> outputs(jobs.size());
  std::vector<std::size_t> done(jobs.size());
  BlockId next = 0;
  for (Job& job : jobs)
    for (std::uint32_t i = 0; job.blocks.size() < engine.info().geometry.blocks_for(job.prompt.size() + count); ++i) job.blocks.push_back(next++);
  for (std::size_t step = 0; std::any_of(outputs.begin(), outputs.end(), [&](const Output& out) { return out.tokens.size() < count; }); ++step) {
    BatchPlan plan{.step = step, .sequences = {}};
    for (std::size_t i = 0; i < jobs.size(); ++i) {
      if (step < jobs[i].start || outputs[i].tokens.size() == count) continue;
      std::vector<TokenId> all = jobs[i].prompt;
      all.insert(all.end(), outputs[i].tokens.begin(), outputs[i].tokens.end());
      const std::size_t end = std::min(all.size(), done[i] + jobs[i].chunk);
      SequencePlan sequence;
      sequence.sequence = i;
      sequence.first_position = static_cast<std::uint32_t>(done[i]);
      sequence.tokens.assign(all.begin() + static_cast<std::ptrdiff_t>(done[i]), all.begin() + static_cast<std::ptrdiff_t>(end));
      sequence.blocks = jobs[i].blocks;
      sequence.sample = end == all.size();
      sequence.sampling = jobs[i].sampling;
      sequence.sampling.logprobs = 0;
      plan.sequences.push_back(sequence);
      done[i] = end;
    }
    const StepResult result = engine.step(plan);
    EXPECT_EQ(result.step, step);
    for (std::size_t i = 0; i < plan.sequences.size(); ++i) {
      const SequenceResult& out = result.sequences[i];
      EXPECT_EQ(out.sequence, plan.sequences[i].sequence);
      EXPECT_EQ(out.error, "");
      EXPECT_EQ(out.sampled, plan.sequences[i].sample);
      if (!out.sampled) continue;
      outputs[out.sequence].tokens.push_back(out.token);
      outputs[out.sequence].logprobs.push_back(out.logprob);
    }
  }
  return outputs;
}

std::vector<Job> three_jobs() {
  return {{.prompt = prompt(1, 13), .sampling = {}, .blocks = {}},
          {.prompt = prompt(2, 22), .sampling = {.temperature = 0.8F, .top_k = 20, .seed = 5}, .blocks = {}},
          {.prompt = prompt(3, 5), .sampling = {.temperature = 1.5F, .top_p = 0.9F, .seed = 6}, .blocks = {}}};
}

class EngineInvariance : public testing::TestWithParam<std::tuple<Numerics, WeightType>> {
 protected:
  Fixture make(CpuEngineOptions options = {}) const {
    options.numerics = std::get<0>(GetParam());
    return Fixture({.type = std::get<1>(GetParam())}, options);
  }
  // Each job on its own, whole prompt in one step, one thread.
  std::vector<Output> alone() const {
    std::vector<Output> outputs;
    for (const Job& job : three_jobs()) {
      const Fixture fixture = make();
      outputs.push_back(run(*fixture.engine, {job}, 12).front());
    }
    return outputs;
  }
};

TEST_P(EngineInvariance, TokensDoNotDependOnTheBatch) {
  const Fixture fixture = make();
  std::vector<Job> jobs = three_jobs();
  EXPECT_EQ(run(*fixture.engine, jobs, 12), alone());
  jobs[1].start = 3;
  jobs[2].start = 7;
  EXPECT_EQ(run(*fixture.engine, jobs, 12), alone());
}

TEST_P(EngineInvariance, TokensDoNotDependOnTheChunks) {
  const Fixture fixture = make();
  const std::vector<Output> expected = alone();
  for (const std::size_t chunk : {1u, 2u, 3u, 5u, 8u, 13u, 21u}) {
    std::vector<Job> jobs = three_jobs();
    for (Job& job : jobs) job.chunk = chunk;
    EXPECT_EQ(run(*fixture.engine, jobs, 12), expected) << "chunk " << chunk;
  }
}

TEST_P(EngineInvariance, TokensDoNotDependOnTheThreads) {
  const std::vector<Output> expected = alone();
  for (const std::uint32_t threads : {2u, 3u, 7u}) {
    const Fixture fixture = make({.threads = threads});
    EXPECT_EQ(run(*fixture.engine, three_jobs(), 12), expected) << threads << " threads";
  }
}

TEST_P(EngineInvariance, TokensDoNotDependOnTheInstructionSet) {
  for (const cpu::Ops* ops : {&cpu::scalar_ops(), cpu::avx2_ops(), cpu::avx512_ops()}) {
    if (ops == nullptr) continue;
    const Fixture fixture = make({.threads = 2, .kernels = ops});
    EXPECT_EQ(run(*fixture.engine, three_jobs(), 12), alone()) << ops->name;
  }
}

TEST_P(EngineInvariance, TokensDoNotDependOnTheBlocks) {
  const Fixture fixture = make();
  std::vector<Job> jobs = three_jobs();
  for (std::size_t i = 0; i < jobs.size(); ++i)
    for (std::uint32_t block = 0; block < 9; ++block) jobs[i].blocks.push_back(((static_cast<std::uint32_t>(i) * 9 + block) * 29 + 5) % kBlocks);
  EXPECT_EQ(run(*fixture.engine, jobs, 12), alone());
}

INSTANTIATE_TEST_SUITE_P(All, EngineInvariance,
                         testing::Combine(testing::Values(Numerics::kReference, Numerics::kInvariant, Numerics::kFast),
                                          testing::Values(WeightType::kF32, WeightType::kF16, WeightType::kBF16, WeightType::kQ8_0, WeightType::kQ4_0, WeightType::kQ4_1)),
                         [](const auto& tested) {
                           return std::string(to_string(std::get<0>(tested.param))) + "_" + std::string(to_string(std::get<1>(tested.param)));
                         });

TEST(CpuEngine, InfoSaysWhatTheOthersMustKnow) {
  const Fixture fixture({}, {.model_name = "small", .max_model_len = 100});
  const EngineInfo& info = fixture.engine->info();
  EXPECT_EQ(info.model_name, "small");
  EXPECT_EQ(info.max_model_len, 100u);
  EXPECT_EQ(info.vocab_size, test::kTinyVocabulary);
  EXPECT_EQ(info.stop_tokens, std::vector<TokenId>{7});
  EXPECT_EQ(info.geometry, (KvGeometry{.group = 0, .layers = 2, .kv_heads = 2, .head_dim = 16, .block_tokens = kBlockTokens, .dtype = DType::kF16}));
  EXPECT_EQ(Fixture({}, {.numerics = Numerics::kReference}).engine->info().geometry.dtype, DType::kF32);
}

TEST(CpuEngine, FingerprintsDifferExactlyWhereBitsMay) {
  const auto fingerprint = [](CpuEngineOptions options) { return Fixture({}, std::move(options)).engine->info().numerics_fingerprint; };
  const std::uint64_t base = fingerprint({});
  EXPECT_EQ(base, fingerprint({.threads = 3}));
  EXPECT_EQ(base, fingerprint({.kernels = &cpu::scalar_ops()}));
  EXPECT_NE(base, fingerprint({.numerics = Numerics::kReference}));
  EXPECT_NE(base, fingerprint({.numerics = Numerics::kFast}));
  EXPECT_NE(base, fingerprint({.kv_dtype = DType::kF32}));
  EXPECT_NE(base, fingerprint({.kv_dtype = DType::kBF16}));
}

TEST(CpuEngine, ABrokenSequenceFailsAloneAndOthersKeepTheirTokens) {
  for (const Numerics numerics : {Numerics::kReference, Numerics::kInvariant}) {
    const Fixture fixture({.type = WeightType::kF32, .tied = false, .nan_token = 17}, {.numerics = numerics});
    const auto plan_of = [](std::uint64_t id, std::vector<TokenId> tokens, BlockId first) {
      SequencePlan plan;
      plan.sequence = id;
      plan.tokens = std::move(tokens);
      plan.blocks = {first, first + 1};
      plan.sample = true;
      return plan;
    };
    const StepResult healthy = fixture.engine->step({.step = 1, .sequences = {plan_of(1, {1, 2, 3}, 0), plan_of(3, {4, 5}, 4)}});
    const StepResult mixed = fixture.engine->step({.step = 2, .sequences = {plan_of(1, {1, 2, 3}, 0), plan_of(2, {9, 17, 9}, 2), plan_of(3, {4, 5}, 4)}});
    EXPECT_FALSE(mixed.sequences[1].sampled);
    EXPECT_NE(mixed.sequences[1].error.find("not finite"), std::string::npos);
    for (const auto& [before, after] : {std::pair{0, 0}, {1, 2}}) {
      EXPECT_EQ(mixed.sequences[after].error, "");
      EXPECT_EQ(mixed.sequences[after].token, healthy.sequences[before].token);
      EXPECT_EQ(mixed.sequences[after].logprob, healthy.sequences[before].logprob);
    }
  }
}

TEST(CpuEngine, DigestsNameTheBytesOfFinishedBlocks) {
  const Fixture fixture({});
  const KvGeometry& geometry = fixture.engine->info().geometry;
  SequencePlan sequence;
  sequence.tokens = prompt(4, 10);
  sequence.blocks = {7, 3, 5};
  sequence.digest_end = 3;
  const StepResult whole = fixture.engine->step({.step = 0, .sequences = {sequence}});
  ASSERT_EQ(whole.sequences[0].digests.size(), 3u);
  for (std::uint32_t i = 0; i < 3; ++i)
    EXPECT_EQ(whole.sequences[0].digests[i], block_digest(geometry, fixture.pool->bytes().subspan(sequence.blocks[i] * geometry.block_bytes(), geometry.block_bytes()),
                                                          i * kBlockTokens, i == 2 ? 2 : kBlockTokens));
  // The same prompt in two chunks and other blocks: the same digests, for the bytes are the same.
  SequencePlan first = sequence, second = sequence;
  first.blocks = second.blocks = {20, 21, 22};
  first.tokens.resize(6);
  first.digest_end = 1;
  second.tokens.erase(second.tokens.begin(), second.tokens.begin() + 6);
  second.first_position = 6;
  second.digest_begin = 1;
  std::vector<std::uint64_t> digests = fixture.engine->step({.step = 1, .sequences = {first}}).sequences[0].digests;
  const StepResult rest = fixture.engine->step({.step = 2, .sequences = {second}});
  digests.insert(digests.end(), rest.sequences[0].digests.begin(), rest.sequences[0].digests.end());
  EXPECT_EQ(digests, whole.sequences[0].digests);
}

TEST(CpuEngine, KvCopiedToAnotherEngineContinuesWithTheSameTokens) {
  const Fixture from({}), to({});
  const std::vector<Output> expected = run(*from.engine, {{.prompt = prompt(9, 11), .sampling = {}, .blocks = {2, 9, 4, 1, 0, 6}}}, 8);
  // Prefill on one engine, decode on the other through other blocks.
  SequencePlan plan;
  plan.tokens = prompt(9, 11);
  plan.blocks = {2, 9, 4};
  plan.sample = true;
  TokenId token = from.engine->step({.step = 0, .sequences = {plan}}).sequences[0].token;
  const std::vector<BlockId> target = {30, 31, 32, 33, 34, 35};
  const std::size_t bytes = from.engine->info().geometry.block_bytes();
  for (std::size_t i = 0; i < 3; ++i) std::memcpy(to.pool->bytes().data() + target[i] * bytes, from.pool->bytes().data() + plan.blocks[i] * bytes, bytes);
  std::vector<TokenId> tokens = {token};
  plan.blocks = target;
  for (std::uint32_t position = 11; tokens.size() < 8; ++position) {
    plan.first_position = position;
    plan.tokens = {tokens.back()};
    tokens.push_back(to.engine->step({.step = position, .sequences = {plan}}).sequences[0].token);
  }
  EXPECT_EQ(tokens, expected[0].tokens);
}

TEST(CpuEngine, BitsAreThoseOfEveryCompiler) {
  // Frozen: a change here means that old and new workers would disagree, so kCpuKernelVersion must rise with it.
  const auto bits_of_run = [](Numerics numerics, WeightType type) {
    const Fixture fixture({.type = type, .frequency_factors = true}, {.numerics = numerics});
    std::uint64_t hash = 0;
    for (const Output& output : run(*fixture.engine, three_jobs(), 12)) {
      hash = hash_bytes(output.tokens.data(), output.tokens.size() * sizeof(TokenId), hash);
      hash = hash_bytes(output.logprobs.data(), output.logprobs.size() * sizeof(float), hash);
    }
    return hash;
  };
  EXPECT_EQ(kCpuKernelVersion, 2u);
  EXPECT_EQ(bits_of_run(Numerics::kInvariant, WeightType::kQ4_1), 4826692241588823489u);
  EXPECT_EQ(bits_of_run(Numerics::kInvariant, WeightType::kQ8_0), 15332851647299251604u);
  EXPECT_EQ(bits_of_run(Numerics::kFast, WeightType::kQ4_1), 10775703944845304590u);
  EXPECT_EQ(bits_of_run(Numerics::kInvariant, WeightType::kF16), 7567300240997653412u);
  EXPECT_EQ(bits_of_run(Numerics::kReference, WeightType::kQ4_0), 297262526705385291u);
}

TEST(CpuEngine, RefusesWhatItCannotDo) {
  const test::TempFile file(test::build_tiny_llama({}));
  EXPECT_FALSE(make_cpu_engine({.model_path = "/nowhere/model.gguf"}));
  EXPECT_FALSE(make_cpu_engine({.model_path = file.path(), .block_tokens = 0}));
  EXPECT_FALSE(make_cpu_engine({.model_path = file.path(), .max_model_len = 257}));
  EXPECT_FALSE(make_cpu_engine({.model_path = file.path(), .kv_dtype = DType::kU64}));
  EXPECT_FALSE(make_cpu_engine({.model_path = file.path(), .threads = 0}));
  auto engine = make_cpu_engine({.model_path = file.path()});
  ASSERT_TRUE(engine);
  EXPECT_FALSE((*engine)->attach_pool({}));
}

}  // namespace
}  // namespace baton
