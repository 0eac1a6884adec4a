// SPDX-License-Identifier: Apache-2.0
// Engine: a model on a device with a KV pool. step() runs one ragged batch to the end; it is called from one thread at a
// time (the engine thread, or the simulator). The pool's bytes are owned by whoever made them (the data plane registers
// them); the engine reads and writes blocks named by plans only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "kernels/kv_geometry.h"
#include "protocol/sampling_params.h"
#include "scheduling/batch_plan.h"

namespace baton {

// Facts that both ends of a KV transfer must agree on, and that admission needs.
struct EngineInfo {
  std::string model_name;
  std::uint64_t model_hash = 0;             // of the weights file's identity (header, tensor table, sizes) and hyperparameters
  std::uint64_t numerics_fingerprint = 0;   // equal fingerprints promise equal tokens
  KvGeometry geometry;
  std::uint32_t vocab_size = 0;
  std::uint32_t max_model_len = 0;
  std::vector<TokenId> stop_tokens;         // end-of-sequence ids
};

class Engine {
 public:
  virtual ~Engine() = default;
  virtual const EngineInfo& info() const = 0;
  // Preconditions (CHECKed): block ids inside the pool, positions covered by the block table, tokens inside the vocabulary.
  virtual StepResult step(const BatchPlan& plan) = 0;
};

}  // namespace baton
