// SPDX-License-Identifier: Apache-2.0
// The engine of a CUDA device: a Llama-family GGUF model in bfloat16, with its KV in bfloat16 in a pool on the device. Weights
// are one allocation, the KV pool is one, the workspace is one; what they take is in plan(). Used from one thread
// at a time. A program that was built without CUDA has make_cuda_engine(), too; it says so.
// `invariant`: a token depends on its sequence alone; all products take one path whose sums are cut the same way for any number of rows,
// and every row attends on its own. `fast`: products of more than 16 rows by cuBLASLt, prompt chunks by flash attention, sequences cut so
// that the device is full: tokens of a near-tie may differ with the batch.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "engine/engine.h"
#include "kernels/numerics.h"
#include "models/llama_file.h"
#include "runtime/base/result.h"

namespace baton {

struct CudaEngineOptions {
  std::uint32_t device = 0;
  std::string model_path = {};             // a GGUF file
  std::string model_name = {};             // empty: as the file says
  std::optional<LlamaShape> random_shape = {};  // instead of a file: this shape with weights within +-1e-3, for benchmarks
  std::uint32_t random_vocabulary = 0;
  Numerics numerics = Numerics::kInvariant;  // not kReference
  std::uint32_t block_tokens = 16;         // a multiple of 16, at most 1024
  std::uint32_t max_model_len = 0;         // 0: the model's context length; never more than that
  std::uint64_t kv_bytes = 0;              // of the pool; 0: by `utilization`
  double utilization = 0.9;                // share of the device's memory that all of this may take
  std::uint32_t max_batched_tokens = 2048; // rows of a step, at most
  std::uint32_t max_sequences = 256;       // that are drawn for in a step, at most
  std::uint32_t threads = 1;               // that read and convert the file
  bool graphs = true;                      // steps that only decode are launched as one graph
};

class CudaEngine : public Engine {
 public:
  virtual std::uint32_t pool_blocks() const = 0;
  virtual std::string plan() const = 0;  // one line: the device, and what takes how much of its memory
};

// Errors say what to do: no device, no cuBLASLt, a model that does not fit, a program without CUDA.
Result<std::unique_ptr<CudaEngine>> make_cuda_engine(const CudaEngineOptions& options);

}  // namespace baton
