// SPDX-License-Identifier: Apache-2.0
#include "benchmarks/engine_rig.h"

#include <algorithm>
#include <cstring>

#include "models/gguf.h"

namespace baton {
namespace {

constexpr std::size_t kPoolAlignment = 64;
constexpr std::string_view kEmbedding = "token_embd.weight";
constexpr std::string_view kOutput = "output.weight";

}  // namespace

Result<std::unique_ptr<EngineRig>> EngineRig::open(const EngineRigOptions& options) {
  auto engine = make_cpu_engine({.model_path = options.model_path, .numerics = options.numerics, .threads = options.threads});
  if (!engine) return tl::unexpected<Error>(engine.error());
  std::unique_ptr<EngineRig> rig(new EngineRig(options, std::move(*engine)));
  RETURN_IF_ERROR(rig->attach());
  rig->fill_prompts();
  return rig;
}

Result<void> EngineRig::attach() {
  const KvGeometry& geometry = info().geometry;
  const std::uint32_t longest = std::max(options_.long_prompt, options_.batch_prompt) + options_.decode_most;
  if (longest > info().max_model_len)
    return fail(ErrorCode::kInvalidArgument, "the model takes " + std::to_string(info().max_model_len) + " tokens, the benchmark needs " + std::to_string(longest));
  long_blocks_ = geometry.blocks_for(options_.long_prompt + options_.decode_most);
  batch_blocks_ = geometry.blocks_for(options_.batch_prompt + options_.decode_most);
  const std::size_t bytes = (long_blocks_ + std::size_t{options_.batch_most} * batch_blocks_) * geometry.block_bytes();
  pool_.reset(static_cast<std::byte*>(std::aligned_alloc(kPoolAlignment, (bytes + kPoolAlignment - 1) / kPoolAlignment * kPoolAlignment)));
  if (pool_ == nullptr) return fail(ErrorCode::kResourceExhausted, "no memory for " + std::to_string(bytes >> 20) + " MiB of KV");
  std::memset(pool_.get(), 0, bytes);
  return engine_->attach_pool({pool_.get(), bytes});
}

// Sequence 0 is the long one. Its tokens differ from sequence to sequence and repeat nothing.
SequencePlan EngineRig::sequence(std::uint32_t index, std::uint32_t first_position, std::uint32_t tokens) const {
  SequencePlan plan;
  plan.sequence = index;
  plan.sample = true;
  plan.first_position = first_position;
  for (std::uint32_t i = 0; i < tokens; ++i)
    plan.tokens.push_back(static_cast<TokenId>(((first_position + i) * 7919u + index * 104729u) % info().vocab_size));
  const std::uint32_t first_block = index == 0 ? 0 : long_blocks_ + (index - 1) * batch_blocks_;
  for (std::uint32_t i = 0; i < (index == 0 ? long_blocks_ : batch_blocks_); ++i) plan.blocks.push_back(first_block + i);
  return plan;
}

void EngineRig::fill_prompts() {
  prefill();
  for (std::uint32_t i = 1; i <= options_.batch_most; ++i) engine_->step({.step = 0, .sequences = {sequence(i, 0, options_.batch_prompt)}});
}

Seconds EngineRig::prefill() {
  const BatchPlan plan{.step = 0, .sequences = {sequence(0, 0, options_.long_prompt)}};
  return seconds_of([&] { engine_->step(plan); });
}

// Positions behind the prompts are written again each time, the prompts' own stay.
Seconds EngineRig::run_steps(BatchPlan plan, std::uint32_t steps) {
  return seconds_of([&] {
    for (std::uint32_t step = 0; step < steps; ++step) {
      const StepResult result = engine_->step(plan);
      for (std::size_t i = 0; i < plan.sequences.size(); ++i) {
        ++plan.sequences[i].first_position;
        plan.sequences[i].tokens = {result.sequences[i].token};
      }
    }
  });
}

Seconds EngineRig::decode(std::uint32_t tokens, std::uint32_t depth) {
  if (depth == 0 && options_.batch_most > 0) {  // in a short sequence's place, whose prompt is put back
    const Seconds seconds = run_steps({.step = 0, .sequences = {sequence(1, 0, 1)}}, tokens);
    engine_->step({.step = 0, .sequences = {sequence(1, 0, options_.batch_prompt)}});
    return seconds;
  }
  return run_steps({.step = 0, .sequences = {sequence(0, depth, 1)}}, tokens);
}

Seconds EngineRig::decode_batch(std::uint32_t batch, std::uint32_t tokens) {
  BatchPlan plan;
  for (std::uint32_t i = 1; i <= batch; ++i) plan.sequences.push_back(sequence(i, options_.batch_prompt, 1));
  return run_steps(std::move(plan), tokens);
}

Result<ModelCost> model_cost(const std::string& model_path, const KvGeometry& geometry) {
  const auto file = GgufFile::open(model_path);
  if (!file) return tl::unexpected<Error>(file.error());
  const auto tensors = (*file)->tensors();
  const bool own_output = std::any_of(tensors.begin(), tensors.end(), [](const GgufTensor& each) { return each.name == kOutput; });
  ModelCost cost;
  for (const GgufTensor& tensor : tensors) {
    if (tensor.shape.size() < 2 || (own_output && tensor.name == kEmbedding)) continue;
    const std::uint64_t weights = std::uint64_t{tensor.view.rows} * tensor.view.columns;
    cost.weight_bytes += tensor.view.rows * tensor.view.row_bytes();
    cost.step_weights += weights;
    if (tensor.name != kOutput && tensor.name != kEmbedding) cost.prompt_weights += weights;
  }
  cost.kv_token_bytes = geometry.block_bytes() / geometry.block_tokens;
  return cost;
}

}  // namespace baton
