// SPDX-License-Identifier: Apache-2.0
// Model: a decoder's weights and its forward pass on the CPU, without any notion of scheduling. One engine thread calls
// it. A model owns its weights file; the KV pool belongs to the caller.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "kernels/cpu/layers.h"
#include "kernels/kv_geometry.h"
#include "models/gguf.h"
#include "protocol/sampling_params.h"

namespace baton {

// What others must know of a model before it runs.
struct ModelInfo {
  std::string name;
  std::string architecture;
  std::uint64_t hash = 0;  // of the weights file's identity and the hyperparameters
  std::uint32_t layers = 0;
  std::uint32_t kv_heads = 0;
  std::uint32_t head_dim = 0;
  std::uint32_t vocab_size = 0;
  std::uint32_t context_length = 0;
  std::vector<TokenId> stop_tokens;
};

// The input tokens of one step, one row each, in any mix of sequences.
struct ForwardBatch {
  std::span<const TokenId> tokens;
  cpu::PagedRows paged;  // positions and block tables of the rows, and the pool
};

class Model {
 public:
  virtual ~Model() = default;
  virtual const ModelInfo& info() const = 0;
  // Writes the rows' K and V into the pool and keeps the rows' last hidden states for logits().
  virtual void forward(const ForwardBatch& batch) = 0;
  // The next-token logits of some rows of the last forward(), [rows][vocab], valid until the next call. May be called for
  // a few rows at a time: a row's logits do not depend on its company.
  virtual const cpu::Rows& logits(std::span<const std::uint32_t> rows) = 0;
};

// Ids that end a sequence, from the tokenizer's metadata: end of sequence, end of turn, end of message.
std::vector<TokenId> stop_tokens_of(const GgufFile& file, std::uint32_t vocab_size);

}  // namespace baton
