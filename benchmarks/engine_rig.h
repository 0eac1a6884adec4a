// SPDX-License-Identifier: Apache-2.0
// EngineRig: one CPU engine with a pool of its own and prompts already in it, so that a benchmark can time single pieces of
// work again and again: a prompt from an empty context, or some decode steps behind a prompt. Used from one thread;
// owns engine and pool. Memory: weights as the engine holds them, and KV of batch_most x batch_context + long_context tokens.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "benchmarks/measure.h"
#include "engine/cpu_engine.h"

namespace baton {

struct EngineRigOptions {
  std::string model_path;
  Numerics numerics = Numerics::kInvariant;
  std::uint32_t threads = 1;
  std::uint32_t long_prompt = 512;   // tokens of the one long sequence
  std::uint32_t batch_most = 32;     // short sequences
  std::uint32_t batch_prompt = 128;  // tokens of each
  std::uint32_t decode_most = 128;   // tokens that are ever decoded behind a prompt
};

// What one token costs at least: for the limits. Counts matrices only; norms and attention's own arithmetic are left out.
struct ModelCost {
  std::uint64_t weight_bytes = 0;      // of all matrices that a step reads, as stored in the file
  std::uint64_t step_weights = 0;      // weights (multiplications) of a token that gets logits
  std::uint64_t prompt_weights = 0;    // of a token that does not
  std::uint64_t kv_token_bytes = 0;    // K and V of one token, all layers
};

class EngineRig {
 public:
  static Result<std::unique_ptr<EngineRig>> open(const EngineRigOptions& options);

  const EngineInfo& info() const { return engine_->info(); }
  // Each returns the time of `tokens` tokens (of each sequence), sampled greedily.
  Seconds prefill();                                              // long_prompt tokens in one step, one logit row
  Seconds decode(std::uint32_t tokens, std::uint32_t depth);      // one sequence; depth 0 or long_prompt
  Seconds decode_batch(std::uint32_t batch, std::uint32_t tokens);  // behind batch_prompt tokens each

 private:
  struct Free {
    void operator()(std::byte* memory) const { std::free(memory); }
  };
  EngineRig(const EngineRigOptions& options, std::unique_ptr<CpuEngine> engine) : options_(options), engine_(std::move(engine)) {}
  Result<void> attach();
  void fill_prompts();
  SequencePlan sequence(std::uint32_t index, std::uint32_t first_position, std::uint32_t tokens) const;
  Seconds run_steps(BatchPlan plan, std::uint32_t steps);

  const EngineRigOptions options_;
  std::unique_ptr<CpuEngine> engine_;
  std::unique_ptr<std::byte, Free> pool_;
  std::uint32_t long_blocks_ = 0;   // the long sequence has blocks [0, long_blocks_)
  std::uint32_t batch_blocks_ = 0;  // of each short one, behind them
};

// Of a llama-like GGUF: every matrix is read once a step, the embedding table only where it is the output matrix too.
Result<ModelCost> model_cost(const std::string& model_path, const KvGeometry& geometry);

}  // namespace baton
