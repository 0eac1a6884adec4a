// SPDX-License-Identifier: Apache-2.0
#include "models/cuda/device_llama.h"

#include <algorithm>
#include <string>
#include <utility>

#include "models/cuda/weight_upload.h"
#include "runtime/base/check.h"

namespace baton {
namespace {

using cuda::Bf16;
using cuda::MatmulOut;
using cuda::Stream;

// Up to so many rows the products of few rows are as fast as cuBLASLt's, or faster (benchmarks/results, "cuda").
constexpr std::uint32_t kFewRows = 16;
constexpr float kRandomMagnitude = 1e-3F;

// Hands out aligned pieces of an allocation, or counts them.
class Places {
 public:
  explicit Places(std::byte* base) : base_(base) {}
  template <class T>
  void take(T*& pointer, std::size_t count) {
    pointer = base_ == nullptr ? nullptr : reinterpret_cast<T*>(base_ + used_);
    used_ += (count * sizeof(T) + 255) / 256 * 256;
  }
  std::size_t used() const { return used_; }

 private:
  std::byte* base_;
  std::size_t used_ = 0;
};

Result<void> check_shape(const LlamaShape& shape, std::uint32_t vocabulary) {
  const auto unfit = [](const std::string& what) { return fail(ErrorCode::kIncompatible, "the CUDA engine does not take this model: " + what + "; it runs on CPUs (nodes[].devices: cpu:1)"); };
  if (shape.head_dim != 64 && shape.head_dim != 128) return unfit("heads of " + std::to_string(shape.head_dim) + ", not 64 or 128");
  if (shape.heads / shape.kv_heads > 16) return unfit(std::to_string(shape.heads / shape.kv_heads) + " query heads share a KV head, more than 16");
  if (shape.width % 64 != 0 || shape.feed_forward % 64 != 0) return unfit("a width that is no multiple of 64");
  if (vocabulary % 16 != 0) return unfit("a vocabulary of " + std::to_string(vocabulary) + ", no multiple of 16");
  return {};
}

}  // namespace

Result<std::unique_ptr<DeviceLlama>> DeviceLlama::create(const LlamaShape& shape, std::uint32_t vocabulary, const DeviceLlamaOptions& options) {
  RETURN_IF_ERROR(check_shape(shape, vocabulary));
  std::unique_ptr<DeviceLlama> model(new DeviceLlama(shape, vocabulary, options));
  auto library = cuda::MatmulLibrary::open();
  if (!library) return tl::unexpected<Error>(library.error());
  model->library_ = std::move(*library);
  auto workspace = cuda::Memory::on_device(model->place_workspace(nullptr));
  if (!workspace) return tl::unexpected<Error>(workspace.error());
  model->workspace_ = std::move(*workspace);
  model->place_workspace(model->workspace_.data());
  return model;
}

std::size_t DeviceLlama::place_weights(std::byte* base) {
  Places places(base);
  const std::size_t width = shape_.width, feed_forward = shape_.feed_forward;
  layers_.assign(shape_.layers, {});
  for (Layer& layer : layers_) {
    places.take(layer.attention_norm, width);
    places.take(layer.qkv, qkv_columns() * width);
    places.take(layer.output, width * inner());
    places.take(layer.feed_forward_norm, width);
    places.take(layer.gate_up, 2 * feed_forward * width);
    places.take(layer.down, width * feed_forward);
  }
  places.take(embedding_, vocabulary_ * width);
  if (tied_) output_ = embedding_;
  else places.take(output_, vocabulary_ * width);
  places.take(output_norm_, width);
  places.take(frequencies_, shape_.rotary / 2);
  places.take(rotary_, std::size_t{options_.positions} * shape_.rotary);
  return places.used();
}

std::size_t DeviceLlama::place_workspace(std::byte* base) {
  Places places(base);
  const std::size_t rows = options_.rows_most;
  places.take(x_, rows * shape_.width);
  places.take(normed_, rows * shape_.width);
  places.take(qkv_, rows * qkv_columns());
  places.take(attended_, rows * inner());
  places.take(gate_up_, options_.invariant ? 0 : rows * 2 * shape_.feed_forward);
  places.take(gated_, rows * shape_.feed_forward);
  plan_.rows_most = options_.rows_most;
  plan_.pieces_most = options_.pieces_most;
  places.take(plan_.memory, cuda::attention_plan_words(plan_.rows_most, plan_.pieces_most, shape_.kv_heads));
  places.take(plan_.partial, cuda::attention_partial_floats(plan_.pieces_most, shape_.heads, shape_.head_dim));
  return places.used();
}

Result<void> DeviceLlama::prepare(Stream stream, const std::vector<float>& frequency_factors) {
  auto memory = cuda::Memory::on_device(place_weights(nullptr));
  if (!memory) return tl::unexpected<Error>(memory.error());
  weights_ = std::move(*memory);
  place_weights(weights_.data());
  const std::vector<double> frequencies = rotary_frequencies(shape_, frequency_factors);
  cuda::copy(stream, frequencies_, frequencies.data(), frequencies.size() * sizeof(double));
  cuda::rotary_table(stream, frequencies_, shape_.rotary / 2, options_.positions, rotary_);
  cuda::fill(stream, plan_.memory, 0, cuda::attention_plan_words(plan_.rows_most, plan_.pieces_most, shape_.kv_heads) * sizeof(std::uint32_t));
  return {};
}

Result<void> DeviceLlama::load(Stream stream, const LlamaWeights& weights, std::uint32_t threads) {
  tied_ = weights.output.data == weights.embedding.data;
  RETURN_IF_ERROR(prepare(stream, weights.frequency_factors));
  WeightUpload upload(stream, threads);
  RETURN_IF_ERROR(upload.begin());
  const std::size_t width = shape_.width, queries = inner() * width, keys = std::size_t{shape_.kv_heads} * shape_.head_dim * width;
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    const LlamaLayer& from = weights.layers[i];
    const Layer& to = layers_[i];
    upload.put(to.attention_norm, from.attention_norm);
    upload.put(to.qkv, from.query);
    upload.put(to.qkv + queries, from.key);
    upload.put(to.qkv + queries + keys, from.value);
    upload.put(to.output, from.output);
    upload.put(to.feed_forward_norm, from.feed_forward_norm);
    upload.put(to.gate_up, from.gate);
    upload.put(to.gate_up + shape_.feed_forward * width, from.up);
    upload.put(to.down, from.down);
  }
  upload.put(embedding_, weights.embedding);
  if (!tied_) upload.put(output_, weights.output);
  upload.put(output_norm_, weights.output_norm);
  return {};
}

Result<void> DeviceLlama::load_random(Stream stream, std::uint64_t seed) {
  RETURN_IF_ERROR(prepare(stream, {}));
  const auto matrices = static_cast<std::size_t>(reinterpret_cast<std::byte*>(output_norm_) - weights_.data());
  cuda::fill_random(stream, reinterpret_cast<Bf16*>(weights_.data()), matrices / sizeof(Bf16), seed, kRandomMagnitude);
  const std::vector<float> ones(shape_.width, 1.0F);
  for (const Layer& layer : layers_)
    for (float* norm : {layer.attention_norm, layer.feed_forward_norm}) cuda::copy(stream, norm, ones.data(), ones.size() * sizeof(float));
  cuda::copy(stream, output_norm_, ones.data(), ones.size() * sizeof(float));
  return {};
}

bool DeviceLlama::by_rows(std::uint32_t rows) const { return options_.invariant || rows <= kFewRows; }

void DeviceLlama::multiply(Stream stream, const Bf16* x, const Bf16* weights, std::uint32_t rows, std::uint32_t outputs, std::uint32_t columns, MatmulOut kind, void* out) {
  if (by_rows(rows)) cuda::row_matmul(stream, {x, weights, rows, outputs, columns, cuda::row_matmul_splits(outputs, columns, kind), kind, out});
  else library_->multiply(stream, {x, weights, rows, outputs, columns, kind, out});
}

void DeviceLlama::forward(Stream stream, const DeviceBatch& batch) {
  CHECK(batch.rows <= options_.rows_most && batch.alone <= batch.rows);
  cuda::embed(stream, {batch.tokens, embedding_, batch.rows, shape_.width, x_});
  if (batch.runs.size() == 1) plan_run(stream, batch, 0, batch.alone);
  for (std::uint32_t i = 0; i < shape_.layers; ++i) {
    const Layer& layer = layers_[i];
    cuda::rms_norm(stream, {x_, layer.attention_norm, nullptr, batch.rows, shape_.width, shape_.norm_epsilon, normed_});
    multiply(stream, normed_, layer.qkv, batch.rows, qkv_columns(), shape_.width, MatmulOut::kBf16, qkv_);
    cuda::rope_and_store(stream, {qkv_, nullptr, rotary_, shape_.rotary / 2, batch.rows, shape_.heads, i, batch.paged});
    attend(stream, batch, i);
    multiply(stream, attended_, layer.output, batch.rows, shape_.width, inner(), MatmulOut::kAddFloat, x_);
    feed_forward(stream, layer, batch.rows);
  }
}

void DeviceLlama::plan_run(Stream stream, const DeviceBatch& batch, std::uint32_t begin, std::uint32_t end) {
  cuda::plan_attention(stream, plan_, batch.paged.positions + begin, end - begin, shape_.heads, batch.paged.geometry, options_.invariant);
}

// One run is planned once for all layers; several take turns with the plan's memory.
void DeviceLlama::attend(Stream stream, const DeviceBatch& batch, std::uint32_t layer) {
  std::uint32_t begin = 0;
  for (const std::uint32_t end : batch.runs) {
    if (batch.runs.size() > 1) plan_run(stream, batch, begin, end);
    attend_alone(stream, batch, layer, begin);
    begin = end;
  }
  cuda::prompt_attention(stream, {batch.tiles, batch.tile_count, qkv_, qkv_columns(), attended_, shape_.heads, layer, batch.paged});
}

void DeviceLlama::attend_alone(Stream stream, const DeviceBatch& batch, std::uint32_t layer, std::uint32_t begin) {
  cuda::PagedRows paged = batch.paged;
  paged.positions += begin;
  paged.sequences += begin;
  cuda::row_attention(stream, {qkv_ + std::size_t{begin} * qkv_columns(), qkv_columns(), attended_ + std::size_t{begin} * inner(), shape_.heads, layer, paged, plan_});
}

void DeviceLlama::feed_forward(Stream stream, const Layer& layer, std::uint32_t rows) {
  cuda::rms_norm(stream, {x_, layer.feed_forward_norm, nullptr, rows, shape_.width, shape_.norm_epsilon, normed_});
  if (by_rows(rows)) {
    multiply(stream, normed_, layer.gate_up, rows, shape_.feed_forward, shape_.width, MatmulOut::kGated, gated_);
  } else {
    multiply(stream, normed_, layer.gate_up, rows, 2 * shape_.feed_forward, shape_.width, MatmulOut::kBf16, gate_up_);
    cuda::silu_multiply(stream, {gate_up_, gated_, rows, shape_.feed_forward});
  }
  multiply(stream, gated_, layer.down, rows, shape_.width, shape_.feed_forward, MatmulOut::kAddFloat, x_);
}

void DeviceLlama::logits(Stream stream, const std::uint32_t* picked, std::uint32_t rows, float* out) {
  cuda::rms_norm(stream, {x_, output_norm_, picked, rows, shape_.width, shape_.norm_epsilon, normed_});
  multiply(stream, normed_, output_, rows, vocabulary_, shape_.width, MatmulOut::kFloat, out);
}

}  // namespace baton
