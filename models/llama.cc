// SPDX-License-Identifier: Apache-2.0
#include "models/llama.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "models/llama_file.h"
#include "models/pack_weights.h"

namespace baton {
namespace {

struct Layer {
  std::vector<float> attention_norm;
  cpu::Matrix query, key, value, output;
  std::vector<float> feed_forward_norm;
  cpu::Matrix gate, up, down;
};

struct Weights {
  WeightView embedding;
  std::vector<Layer> layers;
  std::vector<float> output_norm;
  cpu::Matrix output;                    // the embedding's transpose where the file ties them
  std::vector<float> frequency_factors;  // divides the rotary frequencies (Llama 3.1 scaling); empty: none

  std::vector<cpu::Matrix*> matrices() {
    std::vector<cpu::Matrix*> all{&output};
    for (Layer& layer : layers)
      for (cpu::Matrix* matrix : {&layer.query, &layer.key, &layer.value, &layer.output, &layer.gate, &layer.up, &layer.down}) all.push_back(matrix);
    return all;
  }
};

Weights matrices_of(LlamaWeights tensors) {
  Weights weights{.embedding = tensors.embedding,
                  .layers = {},
                  .output_norm = std::move(tensors.output_norm),
                  .output = {.view = tensors.output},
                  .frequency_factors = std::move(tensors.frequency_factors)};
  for (LlamaLayer& from : tensors.layers)
    weights.layers.push_back({.attention_norm = std::move(from.attention_norm),
                              .query = {.view = from.query},
                              .key = {.view = from.key},
                              .value = {.view = from.value},
                              .output = {.view = from.output},
                              .feed_forward_norm = std::move(from.feed_forward_norm),
                              .gate = {.view = from.gate},
                              .up = {.view = from.up},
                              .down = {.view = from.down}});
  return weights;
}

class LlamaModel final : public Model {
 public:
  LlamaModel(std::unique_ptr<GgufFile> file, cpu::Backend& backend, const LlamaShape& shape, Weights weights, ModelInfo info,
             std::vector<double> frequencies, std::unique_ptr<WeightArena> arena)
      : file_(std::move(file)),
        arena_(std::move(arena)),
        backend_(backend),
        shape_(shape),
        weights_(std::move(weights)),
        info_(std::move(info)),
        rotary_(std::move(frequencies)),
        workspaces_(backend.threads.threads()) {}

  const ModelInfo& info() const override { return info_; }

  // Many rows: each thread takes strips of them through a whole layer and only attention, which reads what other rows wrote,
  // needs the others to be there: one meeting a layer. Few rows: all threads share each stage by output features.
  void forward(const ForwardBatch& batch) override {
    const auto rows = static_cast<std::uint32_t>(batch.tokens.size());
    x_.reshape(rows, shape_.width);
    q_.reshape(rows, shape_.heads * shape_.head_dim);
    rotary_.reshape(rows);
    const std::uint32_t threads = backend_.threads.threads();
    const bool by_rows = threads == 1 || rows >= threads * kRowsPerThread;
    const std::uint32_t balanced = threads == 1 ? kStripRows : rows / (threads * 4) / 8 * 8;
    const std::uint32_t strip = by_rows ? std::clamp(balanced, 16u, kStripRows) : rows;
    cut_strips(batch.paged, rows, strip);
    for (std::uint32_t layer = 0; layer <= shape_.layers; ++layer) {
      if (!by_rows) {
        stages(cpu::Share(backend_), batch, strips_[0], layer, workspaces_[0]);
        continue;
      }
      backend_.threads.parallel_for(static_cast<std::uint32_t>(strips_.size()), 1, [&](std::uint32_t begin, std::uint32_t end, std::uint32_t thread) {
        for (std::uint32_t i = begin; i < end; ++i) stages(cpu::Share(backend_, thread), batch, strips_[i], layer, workspaces_[thread]);
      });
    }
  }

  const cpu::Rows& logits(std::span<const std::uint32_t> rows) override {
    const auto count = static_cast<std::uint32_t>(rows.size());
    logits_.reshape(count, info_.vocab_size);
    if (rows.empty()) return logits_;
    last_.reshape(count, shape_.width);
    for (std::uint32_t i = 0; i < count; ++i) std::memcpy(last_.row(i), x_.row(rows[i]), shape_.width * sizeof(float));
    const cpu::Share share(backend_);
    const cpu::Matrix* const reader[] = {&weights_.output};
    cpu::Input& normed = workspaces_[0].normed;
    normed.reshape(backend_, count, shape_.width, reader);
    cpu::rms_norm(share, last_, {0, count}, weights_.output_norm, shape_.norm_epsilon, normed);
    const cpu::Projection projection[] = {{&weights_.output, logits_.row(0), logits_.columns()}};
    cpu::project(share, normed, projection);
    return logits_;
  }

 private:
  static constexpr std::uint32_t kRowsPerThread = 16;
  static constexpr std::uint32_t kStripRows = 64;  // what a strip needs of a layer stays in a second-level cache

  struct Strip {
    cpu::RowRange rows;
    std::uint32_t first_tile = 0;
    std::uint32_t tiles = 0;
  };
  // What one strip needs between the stages of a layer.
  struct Workspace {
    cpu::Input normed, heads, gated;
    cpu::Rows k, v, attended;
  };

  void cut_strips(const cpu::PagedRows& paged, std::uint32_t rows, std::uint32_t strip) {
    strips_.clear();
    tiles_.clear();
    for (std::uint32_t begin = 0; begin < rows; begin += strip) {
      const auto first = static_cast<std::uint32_t>(tiles_.size());
      const cpu::RowRange range{begin, std::min(begin + strip, rows)};
      cpu::cut_attention_tiles(paged, range, shape_.heads / shape_.kv_heads, tiles_);
      strips_.push_back({range, first, static_cast<std::uint32_t>(tiles_.size()) - first});
    }
  }

  // From the stored K and V of layer - 1 to those of `layer`.
  void stages(const cpu::Share& share, const ForwardBatch& batch, const Strip& strip, std::uint32_t layer, Workspace& work) {
    if (layer == 0) {
      cpu::embed(backend_.ops, weights_.embedding, batch.tokens, strip.rows, x_);
      rotary_.prepare(strip.rows, batch.paged.positions);
    } else {
      attend(share, batch.paged, strip, layer - 1, work);
      feed_forward(share, strip.rows, weights_.layers[layer - 1], work);
    }
    if (layer < shape_.layers) store_kv(share, batch.paged, strip.rows, layer, work);
  }

  void store_kv(const cpu::Share& share, const cpu::PagedRows& paged, cpu::RowRange rows, std::uint32_t index, Workspace& work) {
    const Layer& layer = weights_.layers[index];
    normalize(share, rows, layer.attention_norm, std::array{&layer.query, &layer.key, &layer.value}, work);
    const std::uint32_t kv_columns = shape_.kv_heads * shape_.head_dim;
    work.k.reshape(rows.count(), kv_columns);
    work.v.reshape(rows.count(), kv_columns);
    const cpu::Projection projections[] = {{&layer.query, q_.row(rows.begin), q_.columns()},
                                           {&layer.key, work.k.row(0), kv_columns},
                                           {&layer.value, work.v.row(0), kv_columns}};
    cpu::project(share, work.normed, projections);
    cpu::rope_and_store(share, paged, rows, index, rotary_, q_, work.k, work.v);
  }

  void attend(const cpu::Share& share, const cpu::PagedRows& paged, const Strip& strip, std::uint32_t index, Workspace& work) {
    const Layer& layer = weights_.layers[index];
    const cpu::Matrix* const reader[] = {&layer.output};
    work.heads.reshape(backend_, strip.rows.count(), q_.columns(), reader);
    const std::span<const cpu::AttentionTile> tiles(tiles_.data() + strip.first_tile, strip.tiles);
    cpu::attention(share, paged, tiles, strip.rows, index, q_, work.attended, work.heads);
    add_to_stream(share, strip.rows, layer.output, work.heads);
  }

  void feed_forward(const cpu::Share& share, cpu::RowRange rows, const Layer& layer, Workspace& work) {
    normalize(share, rows, layer.feed_forward_norm, std::array{&layer.gate, &layer.up}, work);
    const cpu::Matrix* const reader[] = {&layer.down};
    work.gated.reshape(backend_, rows.count(), shape_.feed_forward, reader);
    cpu::gated_unit(share, work.normed, layer.gate, layer.up, work.gated);
    add_to_stream(share, rows, layer.down, work.gated);
  }

  template <std::size_t kReaders>
  void normalize(const cpu::Share& share, cpu::RowRange rows, const std::vector<float>& gain,
                 const std::array<const cpu::Matrix*, kReaders>& readers, Workspace& work) {
    work.normed.reshape(backend_, rows.count(), shape_.width, readers);
    cpu::rms_norm(share, x_, rows, gain, shape_.norm_epsilon, work.normed);
  }
  void add_to_stream(const cpu::Share& share, cpu::RowRange rows, const cpu::Matrix& weights, const cpu::Input& input) {
    const cpu::Projection projection[] = {{&weights, x_.row(rows.begin), x_.columns(), true}};
    cpu::project(share, input, projection);
  }

  std::unique_ptr<GgufFile> file_;  // the memory of weights as they lie in the file
  std::unique_ptr<WeightArena> arena_;  // of those in panels
  cpu::Backend& backend_;
  const LlamaShape shape_;
  const Weights weights_;
  const ModelInfo info_;
  cpu::RotaryTable rotary_;
  std::vector<Workspace> workspaces_;  // one per thread
  std::vector<Strip> strips_;
  std::vector<cpu::AttentionTile> tiles_;
  cpu::Rows x_, q_;  // the residual stream and the queries of the step
  cpu::Rows last_, logits_;
};

}  // namespace

Result<ModelInfo> examine_llama(const GgufFile& file) {
  auto described = describe_llama(file, cpu::best_ops());
  if (!described) return tl::unexpected<Error>(described.error());
  return std::move(described->info);
}

Result<std::unique_ptr<Model>> load_llama(std::unique_ptr<GgufFile> file, cpu::Backend& backend, std::unique_ptr<WeightArena> arena) {
  auto described = describe_llama(*file, backend.ops);
  if (!described) return tl::unexpected<Error>(described.error());
  auto& [shape, tensors, info] = *described;
  Weights weights = matrices_of(std::move(tensors));
  std::vector<double> frequencies = rotary_frequencies(shape, weights.frequency_factors);
  RETURN_IF_ERROR(pack_weights(*file, info.hash, backend, weights.matrices(), *arena));
  return std::make_unique<LlamaModel>(std::move(file), backend, shape, std::move(weights), std::move(info), std::move(frequencies),
                                      std::move(arena));
}

}  // namespace baton
