// SPDX-License-Identifier: Apache-2.0
#include "engine/cpu_engine.h"

#include <algorithm>
#include <atomic>
#include <limits>
#include <utility>

#include "kvstore/digest.h"
#include "models/registry.h"
#include "runtime/base/check.h"
#include "runtime/base/hash.h"

namespace baton {
namespace {

std::uint64_t numerics_fingerprint(Numerics numerics, DType kv_dtype) {
  std::uint64_t hash = mix64(0x6370752d656e67u, kCpuKernelVersion);
  hash = mix64(hash, static_cast<std::uint64_t>(numerics));
  return mix64(hash, static_cast<std::uint64_t>(kv_dtype));
}

constexpr std::uint32_t kScoredRows = 32;  // rows whose logits are held at a time for prompt_logprobs

Result<void> check_options(const CpuEngineOptions& options) {
  if (options.block_tokens < 1 || options.block_tokens > 1024)
    return fail(ErrorCode::kInvalidArgument, "block_tokens must be between 1 and 1024, not " + std::to_string(options.block_tokens));
  if (options.threads < 1 || options.threads > 1024)
    return fail(ErrorCode::kInvalidArgument, "threads must be between 1 and 1024, not " + std::to_string(options.threads));
  if (options.kv_dtype == DType::kU64)
    return fail(ErrorCode::kInvalidArgument, "the CPU engine keeps KV as float32, float16 or bfloat16");
  return {};
}

}  // namespace

Result<std::unique_ptr<CpuEngine>> make_cpu_engine(const CpuEngineOptions& options) {
  RETURN_IF_ERROR(check_options(options));
  auto file = GgufFile::open(options.model_path);
  if (!file) return tl::unexpected<Error>(file.error());
  auto engine = std::make_unique<CpuEngine>(options, options.kernels != nullptr ? *options.kernels : cpu::best_ops());
  auto arena = std::make_unique<WeightArena>(options.shared_weights);
  arena->on_progress(options.on_laid_out);
  auto model = load_model(std::move(*file), engine->backend_, std::move(arena));
  if (!model) return tl::unexpected<Error>(model.error());
  const std::uint32_t context = (*model)->info().context_length;
  if (options.max_model_len > context)
    return fail(ErrorCode::kInvalidArgument, "max_model_len " + std::to_string(options.max_model_len) +
                                                 " is more than the model's context length " + std::to_string(context));
  engine->adopt_model(options, std::move(*model));
  return engine;
}

CpuEngine::CpuEngine(const CpuEngineOptions& options, const cpu::Ops& ops)
    : threads_(options.threads, options.first_cpu),
      backend_(ops, threads_, options.numerics),
      samplers_(options.threads, Sampler(ops)) {}

void CpuEngine::adopt_model(const CpuEngineOptions& options, std::unique_ptr<Model> model) {
  model_ = std::move(model);
  const ModelInfo& model_info = model_->info();
  const DType dtype = options.kv_dtype.value_or(options.numerics == Numerics::kReference ? DType::kF32 : DType::kF16);
  info_ = EngineInfo{.model_name = options.model_name.empty() ? model_info.name : options.model_name,
                     .model_hash = model_info.hash,
                     .numerics_fingerprint = numerics_fingerprint(options.numerics, dtype),
                     .geometry = {.group = 0,
                                  .layers = model_info.layers,
                                  .kv_heads = model_info.kv_heads,
                                  .head_dim = model_info.head_dim,
                                  .block_tokens = options.block_tokens,
                                  .dtype = dtype},
                     .vocab_size = model_info.vocab_size,
                     .max_model_len = options.max_model_len == 0 ? model_info.context_length : options.max_model_len,
                     .stop_tokens = model_info.stop_tokens};
}

Result<void> CpuEngine::attach_pool(std::span<std::byte> pool) {
  CHECK(reinterpret_cast<std::uintptr_t>(pool.data()) % 64 == 0, "the KV pool must be aligned to 64 bytes");
  const std::size_t blocks = pool.size() / info_.geometry.block_bytes();
  if (blocks == 0)
    return fail(ErrorCode::kResourceExhausted, "a KV pool of " + std::to_string(pool.size()) + " bytes does not hold one block of " +
                                                   std::to_string(info_.geometry.block_bytes()));
  pool_ = pool;
  pool_blocks_ = static_cast<std::uint32_t>(std::min<std::size_t>(blocks, std::numeric_limits<BlockId>::max()));
  return {};
}

StepResult CpuEngine::step(const BatchPlan& plan) {
  CHECK(pool_blocks_ > 0, "attach_pool() comes before step()");
  StepResult result{.step = plan.step, .sequences = {}};
  for (const SequencePlan& sequence : plan.sequences)
    result.sequences.push_back({.sequence = sequence.sequence, .digests = {}, .error = {}});
  if (plan.sequences.empty()) return result;
  gather(plan);
  const cpu::PagedRows paged{.positions = positions_, .blocks = blocks_, .geometry = info_.geometry, .pool = pool_.data()};
  model_->forward({.tokens = tokens_, .paged = paged});
  sample(plan, model_->logits(logit_rows_), result);
  score_prompts(plan, result);
  digest(plan, result);
  return result;
}

void CpuEngine::gather(const BatchPlan& plan) {
  tokens_.clear();
  positions_.clear();
  blocks_.clear();
  logit_rows_.clear();
  sampled_.clear();
  for (std::uint32_t index = 0; index < plan.sequences.size(); ++index) {
    const SequencePlan& sequence = plan.sequences[index];
    const std::uint64_t end = std::uint64_t{sequence.first_position} + sequence.tokens.size();
    CHECK(!sequence.tokens.empty() && end <= info_.max_model_len);
    CHECK(info_.geometry.blocks_for(end) <= sequence.blocks.size(), "positions past the block table");
    for (const BlockId block : sequence.blocks) CHECK(block < pool_blocks_, "block outside the pool");
    for (std::uint32_t i = 0; i < sequence.tokens.size(); ++i) {
      const TokenId token = sequence.tokens[i];
      CHECK(token >= 0 && static_cast<std::uint32_t>(token) < info_.vocab_size, "token outside the vocabulary");
      tokens_.push_back(token);
      positions_.push_back(sequence.first_position + i);
      blocks_.emplace_back(sequence.blocks);
    }
    if (!sequence.sample) continue;
    logit_rows_.push_back(static_cast<std::uint32_t>(tokens_.size()) - 1);
    sampled_.push_back(index);
  }
}

void CpuEngine::sample(const BatchPlan& plan, const cpu::Rows& logits, StepResult& result) {
  const auto rows = static_cast<std::uint32_t>(sampled_.size());
  threads_.parallel_for(rows, 1, [&](std::uint32_t begin, std::uint32_t end, std::uint32_t thread) {
    for (std::uint32_t row = begin; row < end; ++row) {
      const SequencePlan& sequence = plan.sequences[sampled_[row]];
      SequenceResult& out = result.sequences[sampled_[row]];
      const std::span<const float> values(logits.row(row), info_.vocab_size);
      const std::uint64_t position = std::uint64_t{sequence.first_position} + sequence.tokens.size();
      auto drawn = samplers_[thread].sample(values, sequence.sampling, {position, sequence.generated, sequence.history, info_.stop_tokens});
      if (!drawn) {
        out.error = drawn.error().message + ", at position " + std::to_string(position - 1);
        out.code = drawn.error().code;
        continue;
      }
      out.sampled = true;
      out.token = drawn->token;
      out.logprob = drawn->logprob;
      out.top = std::move(drawn->top);
    }
  });
}

// In strips, so that memory does not grow with the prompt: a row of logits is as long as the vocabulary.
void CpuEngine::score_prompts(const BatchPlan& plan, StepResult& result) {
  std::uint32_t first_row = 0;
  std::vector<std::uint32_t> strip;
  for (std::size_t index = 0; index < plan.sequences.size(); ++index) {
    const SequencePlan& sequence = plan.sequences[index];
    SequenceResult& out = result.sequences[index];
    const auto rows = static_cast<std::uint32_t>(sequence.scored.size());
    CHECK(rows <= sequence.tokens.size(), "more scored tokens than inputs");
    out.prompt.resize(rows);
    for (std::uint32_t from = 0; from < rows && out.error.empty(); from += kScoredRows) {
      strip.clear();
      for (std::uint32_t row = from; row < std::min(rows, from + kScoredRows); ++row) strip.push_back(first_row + row);
      score_strip(sequence, from, model_->logits(strip), out);
    }
    first_row += static_cast<std::uint32_t>(sequence.tokens.size());
  }
}

void CpuEngine::score_strip(const SequencePlan& sequence, std::uint32_t from, const cpu::Rows& logits, SequenceResult& out) {
  const auto rows = std::min(kScoredRows, static_cast<std::uint32_t>(sequence.scored.size()) - from);
  std::atomic<bool> finite = true;
  threads_.parallel_for(rows, 1, [&](std::uint32_t begin, std::uint32_t end, std::uint32_t thread) {
    for (std::uint32_t row = begin; row < end; ++row) {
      const std::span<const float> values(logits.row(row), info_.vocab_size);
      auto scored = samplers_[thread].score(values, sequence.scored[from + row], sequence.sampling.prompt_logprobs.value_or(0));
      if (scored) out.prompt[from + row] = std::move(*scored);
      else finite = false;
    }
  });
  if (!finite) out.error = "the model's logits are not finite numbers in the prompt";
}

void CpuEngine::digest(const BatchPlan& plan, StepResult& result) {
  const KvGeometry& geometry = info_.geometry;
  for (std::size_t index = 0; index < plan.sequences.size(); ++index) {
    const SequencePlan& sequence = plan.sequences[index];
    const auto end = sequence.first_position + static_cast<std::uint32_t>(sequence.tokens.size());
    const std::uint32_t count = sequence.digest_end > sequence.digest_begin ? sequence.digest_end - sequence.digest_begin : 0;
    CHECK(count == 0 || sequence.digest_end <= geometry.blocks_for(end), "digest of a block not yet written");
    std::vector<std::uint64_t>& digests = result.sequences[index].digests;
    digests.resize(count);
    threads_.parallel_for(count, 1, [&](std::uint32_t from, std::uint32_t to, std::uint32_t) {
      for (std::uint32_t i = from; i < to; ++i) {
        const std::uint32_t block = sequence.digest_begin + i;
        const std::uint32_t first = block * geometry.block_tokens;
        const auto bytes = pool_.subspan(sequence.blocks[block] * geometry.block_bytes(), geometry.block_bytes());
        digests[i] = block_digest(geometry, bytes, first, std::min(geometry.block_tokens, end - first));
      }
    });
  }
}

}  // namespace baton
