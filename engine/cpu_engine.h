// SPDX-License-Identifier: Apache-2.0
// CpuEngine: a GGUF model on this machine's CPU. Made in two phases, because the KV pool is made by the data plane from the
// geometry that only the loaded model knows: make_cpu_engine() maps the file and gives info(); attach_pool() hands over
// the pool's bytes; then step() may run. Memory: the weights stay as they lie in the mapped file; workspace grows to the
// largest step and stays.
// Under one numerics fingerprint a token depends on its sequence alone: not on the batch, the chunking, the threads, the
// instruction set or which blocks hold its KV.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/engine.h"
#include "engine/sampler.h"
#include "kernels/cpu/layers.h"
#include "kernels/numerics.h"
#include "models/model.h"
#include "runtime/base/result.h"

namespace baton {

struct CpuEngineOptions {
  std::string model_path = {};             // a GGUF file
  std::string model_name = {};             // empty: as the file says
  Numerics numerics = Numerics::kInvariant;
  std::uint32_t block_tokens = 16;         // 1..1024
  std::uint32_t max_model_len = 0;         // 0: the model's context length; never more than that
  std::optional<DType> kv_dtype = {};      // nullopt: float16 (kInvariant, kFast) or float32 (kReference)
  std::uint32_t threads = 1;               // including the caller of step()
  std::optional<std::uint32_t> first_cpu = {};  // pin worker i to CPU first_cpu + i; nullopt: not pinned
  const cpu::Ops* kernels = nullptr;       // nullptr: the best of this CPU; all give the same tokens
  std::function<void(std::size_t done, std::size_t all)> on_laid_out = {};  // bytes of weights, while this process lays them out
  std::optional<int> shared_weights = {};  // a memory file that holds the weights for all workers of a machine (WeightArena)
};

class CpuEngine final : public Engine {
 public:
  CpuEngine(const CpuEngineOptions& options, const cpu::Ops& ops);

  // The pool: geometry.block_bytes() per block, block ids from 0; aligned to 64 bytes; outlives the engine's last step.
  Result<void> attach_pool(std::span<std::byte> pool);
  std::uint32_t pool_blocks() const { return pool_blocks_; }

  const EngineInfo& info() const override { return info_; }
  StepResult step(const BatchPlan& plan) override;

 private:
  friend Result<std::unique_ptr<CpuEngine>> make_cpu_engine(const CpuEngineOptions& options);

  void adopt_model(const CpuEngineOptions& options, std::unique_ptr<Model> model);
  // The plan's tokens as rows, one after the other.
  void gather(const BatchPlan& plan);
  void sample(const BatchPlan& plan, const cpu::Rows& logits, StepResult& result);
  void score_prompts(const BatchPlan& plan, StepResult& result);
  void score_strip(const SequencePlan& sequence, std::uint32_t from, const cpu::Rows& logits, SequenceResult& out);
  void digest(const BatchPlan& plan, StepResult& result);

  ThreadPool threads_;
  cpu::Backend backend_;
  std::unique_ptr<Model> model_;
  std::vector<Sampler> samplers_;  // one per thread
  EngineInfo info_;
  std::span<std::byte> pool_;
  std::uint32_t pool_blocks_ = 0;

  // Rows of the current step.
  std::vector<TokenId> tokens_;
  std::vector<std::uint32_t> positions_;
  std::vector<std::span<const std::uint32_t>> blocks_;
  std::vector<std::uint32_t> logit_rows_;
  std::vector<std::uint32_t> sampled_;  // index of the sequence of each logit row
};

// Maps and checks the file. Errors name the key or tensor that does not fit.
Result<std::unique_ptr<CpuEngine>> make_cpu_engine(const CpuEngineOptions& options);

}  // namespace baton
