// SPDX-License-Identifier: Apache-2.0
// What a Llama decoder's GGUF file says, checked: its shape, where its matrices lie, and what others must know of it. Which
// device computes with it is not its business. Plain data; views are of the file's mapping.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/cpu/ops.h"
#include "kernels/weight_view.h"
#include "models/gguf.h"
#include "models/model.h"
#include "runtime/base/result.h"

namespace baton {

struct LlamaShape {
  std::uint32_t layers = 0;
  std::uint32_t width = 0;         // of the residual stream
  std::uint32_t feed_forward = 0;  // inner width
  std::uint32_t heads = 0;
  std::uint32_t kv_heads = 0;
  std::uint32_t head_dim = 0;
  std::uint32_t rotary = 0;        // elements of a head that rotate
  std::uint32_t context_length = 0;
  double rope_base = 10000;
  double rope_factor = 1;          // linear scaling: positions are divided by it
  float norm_epsilon = 0;
};

struct LlamaLayer {
  std::vector<float> attention_norm;
  WeightView query, key, value, output;
  std::vector<float> feed_forward_norm;
  WeightView gate, up, down;
};

struct LlamaWeights {
  WeightView embedding;
  std::vector<LlamaLayer> layers;
  std::vector<float> output_norm;
  WeightView output;                     // the embedding where the file ties them
  std::vector<float> frequency_factors;  // divides the rotary frequencies (Llama 3.1 scaling); empty: none
};

struct LlamaDescription {
  LlamaShape shape;
  LlamaWeights weights;
  ModelInfo info;
};

// Everything the file says is checked against the shapes of its tensors; errors name the key or tensor. `ops` read the small ones.
Result<LlamaDescription> describe_llama(const GgufFile& file, const cpu::Ops& ops);

// Radians per position of each rotating pair: base^(-2i / rotary), over the file's factors.
std::vector<double> rotary_frequencies(const LlamaShape& shape, const std::vector<float>& factors);

}  // namespace baton
