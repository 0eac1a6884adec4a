// SPDX-License-Identifier: Apache-2.0
// DeviceLlama: a Llama decoder's weights on a CUDA device and its forward pass. One engine thread. Owns one allocation of weights
// (bfloat16, norms float32) and one of workspace for `rows_most` rows; batches and the KV pool belong to the caller. forward() and logits()
// only enqueue work: they may be captured.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "kernels/cuda/device.h"
#include "kernels/cuda/matmul_library.h"
#include "models/llama_file.h"
#include "runtime/base/result.h"

namespace baton {

struct DeviceLlamaOptions {
  std::uint32_t rows_most = 0;
  std::uint32_t positions = 0;    // that sequences may reach
  std::uint32_t pieces_most = 0;  // of row attention, see AttentionPlan
  bool invariant = true;
};

// Rows of one step. All arrays are on the device. The first `alone` rows attend on their own, in runs that each fit the attention's
// plan; the others are in tiles.
struct DeviceBatch {
  const std::int32_t* tokens = nullptr;
  cuda::PagedRows paged = {};
  std::uint32_t rows = 0;
  std::uint32_t alone = 0;
  std::span<const std::uint32_t> runs = {};  // ends of runs of `alone`, on the host
  const cuda::PromptTile* tiles = nullptr;
  std::uint32_t tile_count = 0;
};

class DeviceLlama {
 public:
  static Result<std::unique_ptr<DeviceLlama>> create(const LlamaShape& shape, std::uint32_t vocabulary, const DeviceLlamaOptions& options);

  // One of them comes before forward().
  Result<void> load(cuda::Stream stream, const LlamaWeights& weights, std::uint32_t threads);
  Result<void> load_random(cuda::Stream stream, std::uint64_t seed);

  // Writes the rows' K and V and keeps their last hidden states for logits().
  void forward(cuda::Stream stream, const DeviceBatch& batch);
  // out[i] = the logits of row picked[i].
  void logits(cuda::Stream stream, const std::uint32_t* picked, std::uint32_t rows, float* out);

  std::size_t weight_bytes() const { return weights_.bytes(); }
  std::size_t workspace_bytes() const { return workspace_.bytes(); }

 private:
  struct Layer {
    float *attention_norm = nullptr, *feed_forward_norm = nullptr;
    cuda::Bf16 *qkv = nullptr, *output = nullptr, *gate_up = nullptr, *down = nullptr;
  };
  DeviceLlama(const LlamaShape& shape, std::uint32_t vocabulary, const DeviceLlamaOptions& options) : shape_(shape), vocabulary_(vocabulary), options_(options) {}

  // Places everything behind `base`; with null, only counts. Returns the bytes.
  std::size_t place_weights(std::byte* base);
  std::size_t place_workspace(std::byte* base);
  Result<void> prepare(cuda::Stream stream, const std::vector<float>& frequency_factors);
  void plan_run(cuda::Stream stream, const DeviceBatch& batch, std::uint32_t begin, std::uint32_t end);
  void attend(cuda::Stream stream, const DeviceBatch& batch, std::uint32_t layer);
  void attend_alone(cuda::Stream stream, const DeviceBatch& batch, std::uint32_t layer, std::uint32_t begin);
  void feed_forward(cuda::Stream stream, const Layer& layer, std::uint32_t rows);
  void multiply(cuda::Stream stream, const cuda::Bf16* x, const cuda::Bf16* weights, std::uint32_t rows, std::uint32_t outputs, std::uint32_t columns, cuda::MatmulOut kind, void* out);
  bool by_rows(std::uint32_t rows) const;
  std::uint32_t inner() const { return shape_.heads * shape_.head_dim; }
  std::uint32_t qkv_columns() const { return inner() + 2 * shape_.kv_heads * shape_.head_dim; }

  const LlamaShape shape_;
  const std::uint32_t vocabulary_;
  const DeviceLlamaOptions options_;
  bool tied_ = false;
  std::unique_ptr<cuda::MatmulLibrary> library_;
  cuda::Memory weights_, workspace_;

  std::vector<Layer> layers_;
  cuda::Bf16 *embedding_ = nullptr, *output_ = nullptr;
  float* output_norm_ = nullptr;
  double* frequencies_ = nullptr;
  float* rotary_ = nullptr;

  float* x_ = nullptr;
  cuda::Bf16 *normed_ = nullptr, *qkv_ = nullptr, *attended_ = nullptr, *gate_up_ = nullptr, *gated_ = nullptr;
  cuda::AttentionPlan plan_;
};

}  // namespace baton
