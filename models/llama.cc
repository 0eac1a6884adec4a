// SPDX-License-Identifier: Apache-2.0
#include "models/llama.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <optional>
#include <set>
#include <utility>

#include "kernels/deterministic_math.h"
#include "models/pack_weights.h"
#include "runtime/base/check.h"
#include "runtime/base/hash.h"

namespace baton {
namespace {

struct Hyperparameters {
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

class LlamaModel final : public Model {
 public:
  LlamaModel(std::unique_ptr<GgufFile> file, cpu::Backend& backend, const Hyperparameters& shape, Weights weights, ModelInfo info,
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
  const Hyperparameters shape_;
  const Weights weights_;
  const ModelInfo info_;
  cpu::RotaryTable rotary_;
  std::vector<Workspace> workspaces_;  // one per thread
  std::vector<Strip> strips_;
  std::vector<cpu::AttentionTile> tiles_;
  cpu::Rows x_, q_;  // the residual stream and the queries of the step
  cpu::Rows last_, logits_;
};

// Reads metadata and tensors; the first thing that is missing or wrong becomes the error.
class Loader {
 public:
  Loader(const GgufFile& file, const cpu::Ops& ops) : file_(file), ops_(ops) {}

  Result<Hyperparameters> hyperparameters() {
    Hyperparameters h;
    h.layers = require("block_count", 1, 1024);
    h.width = require("embedding_length", 16, 1u << 20);
    h.feed_forward = require("feed_forward_length", 1, 1u << 24);
    h.heads = require("attention.head_count", 1, 1024);
    h.kv_heads = optional("attention.head_count_kv", h.heads, 1, 1024);
    h.context_length = require("context_length", 1, 1u << 23);
    if (error_) return tl::unexpected<Error>(*error_);
    h.head_dim = optional("attention.key_length", h.width / h.heads, 16, 1024);
    if (optional("attention.value_length", h.head_dim, 16, 1024) != h.head_dim)
      refuse("values as long as keys", "attention.value_length");
    h.rotary = optional("rope.dimension_count", h.head_dim, 8, h.head_dim);
    h.norm_epsilon = static_cast<float>(file_.get_float(key("attention.layer_norm_rms_epsilon")).value_or(0));
    h.rope_base = file_.get_float(key("rope.freq_base")).value_or(10000);
    if (!(h.norm_epsilon > 0 && h.norm_epsilon < 1)) refuse("a value between 0 and 1", "attention.layer_norm_rms_epsilon");
    if (!(h.rope_base > 1 && h.rope_base < 1e15)) refuse("a base above 1", "rope.freq_base");
    if (h.heads % h.kv_heads != 0) refuse("a divisor of attention.head_count", "attention.head_count_kv");
    if (h.head_dim % 16 != 0) refuse("a multiple of 16", "attention.key_length");
    if (h.rotary % 8 != 0) refuse("a multiple of 8", "rope.dimension_count");
    if (file_.get_uint(key("expert_count")).value_or(0) != 0) refuse("no experts", "expert_count");
    rope_scaling(h);
    if (error_) return tl::unexpected<Error>(*error_);
    return h;
  }

  Result<Weights> weights(const Hyperparameters& h) {
    Weights weights;
    const auto embedding = file_.tensor("token_embd.weight");
    if (!embedding) return tl::unexpected<Error>(embedding.error());
    const std::uint32_t vocab = (*embedding)->view.rows;
    weights.embedding = matrix("token_embd.weight", vocab, h.width);
    if (file_.get_uint(key("vocab_size")).value_or(vocab) != vocab) refuse("the rows of token_embd.weight", "vocab_size");
    for (std::uint32_t i = 0; i < h.layers && !error_; ++i) weights.layers.push_back(layer("blk." + std::to_string(i) + ".", h));
    weights.output_norm = vector("output_norm.weight", h.width);
    weights.output.view = has("output.weight") ? matrix("output.weight", vocab, h.width) : weights.embedding;
    if (has("rope_freqs.weight")) weights.frequency_factors = vector("rope_freqs.weight", h.rotary / 2);
    for (const float factor : weights.frequency_factors)
      if (!(factor > 0)) refuse_tensor("rope_freqs.weight", "factors must be positive");
    for (const GgufTensor& tensor : file_.tensors())
      if (!used_.contains(tensor.name)) refuse_tensor(tensor.name, "is not part of the llama decoder; refusing to ignore it");
    if (error_) return tl::unexpected<Error>(*error_);
    return weights;
  }

 private:
  std::string key(const char* name) const { return std::string("llama.") + name; }

  void refuse(const std::string& expected, const char* name) {
    if (!error_) error_ = Error{ErrorCode::kIncompatible, file_.path() + ": metadata '" + key(name) + "': expected " + expected};
  }
  void refuse_tensor(const std::string& name, const std::string& why) {
    if (!error_) error_ = Error{ErrorCode::kIncompatible, file_.path() + ": tensor '" + name + "': " + why};
  }
  std::uint32_t require(const char* name, std::uint64_t least, std::uint64_t most) {
    const auto value = file_.get_uint(key(name));
    if (!value || *value < least || *value > most) {
      const std::string range = "an integer between " + std::to_string(least) + " and " + std::to_string(most);
      refuse(range + (value ? ", found " + std::to_string(*value) : ", found none"), name);
      return static_cast<std::uint32_t>(least);
    }
    return static_cast<std::uint32_t>(*value);
  }
  std::uint32_t optional(const char* name, std::uint32_t otherwise, std::uint64_t least, std::uint64_t most) {
    if (file_.get_uint(key(name))) return require(name, least, most);
    if (otherwise < least || otherwise > most) refuse("a value of at least " + std::to_string(least), name);
    return otherwise;
  }
  void rope_scaling(Hyperparameters& h) {
    const std::string type = file_.get_string(key("rope.scaling.type")).value_or("none");
    if (type == "linear") {
      h.rope_factor = file_.get_float(key("rope.scaling.factor")).value_or(1);
      if (!(h.rope_factor >= 1)) refuse("a factor of at least 1", "rope.scaling.factor");
    } else if (type != "none") {
      refuse("'none' or 'linear' (llama3 scaling comes as the tensor rope_freqs.weight), found '" + type + "'", "rope.scaling.type");
    }
  }

  bool has(const std::string& name) const {
    const auto tensors = file_.tensors();
    return std::any_of(tensors.begin(), tensors.end(), [&](const GgufTensor& tensor) { return tensor.name == name; });
  }
  WeightView matrix(const std::string& name, std::uint32_t rows, std::uint32_t columns) {
    if (error_) return {};
    used_.insert(name);
    const auto tensor = file_.tensor(name);
    if (!tensor) {
      error_ = tensor.error();
      return {};
    }
    const WeightView& view = (*tensor)->view;
    if (view.type == WeightType::kF32 && reinterpret_cast<std::uintptr_t>(view.data) % alignof(float) != 0) {
      refuse_tensor(name, "float32 data at an odd address");
      return {};
    }
    if (view.rows == rows && view.columns == columns) return view;
    refuse_tensor(name, "expected " + std::to_string(rows) + " rows of " + std::to_string(columns) + ", found " +
                            std::to_string(view.rows) + " of " + std::to_string(view.columns));
    return {};
  }
  std::vector<float> vector(const std::string& name, std::uint32_t length) {
    const WeightView view = matrix(name, 1, length);
    std::vector<float> values(error_ ? 0 : length);
    if (!error_) ops_.dequantize_row(view.data, view.type, length, values.data());
    return values;
  }
  Layer layer(const std::string& prefix, const Hyperparameters& h) {
    Layer layer;
    layer.attention_norm = vector(prefix + "attn_norm.weight", h.width);
    layer.query.view = matrix(prefix + "attn_q.weight", h.heads * h.head_dim, h.width);
    layer.key.view = matrix(prefix + "attn_k.weight", h.kv_heads * h.head_dim, h.width);
    layer.value.view = matrix(prefix + "attn_v.weight", h.kv_heads * h.head_dim, h.width);
    layer.output.view = matrix(prefix + "attn_output.weight", h.width, h.heads * h.head_dim);
    layer.feed_forward_norm = vector(prefix + "ffn_norm.weight", h.width);
    layer.gate.view = matrix(prefix + "ffn_gate.weight", h.feed_forward, h.width);
    layer.up.view = matrix(prefix + "ffn_up.weight", h.feed_forward, h.width);
    layer.down.view = matrix(prefix + "ffn_down.weight", h.width, h.feed_forward);
    return layer;
  }

  const GgufFile& file_;
  const cpu::Ops& ops_;
  std::set<std::string> used_;
  std::optional<Error> error_;
};

// Radians per position of each rotating pair: base^(-2i / rotary), over the file's factors.
std::vector<double> rotary_frequencies(const Hyperparameters& h, const std::vector<float>& factors) {
  std::vector<double> frequencies(h.rotary / 2);
  const double log_base = deterministic_log(h.rope_base);
  for (std::size_t i = 0; i < frequencies.size(); ++i) {
    frequencies[i] = deterministic_exp(-2.0 * static_cast<double>(i) / h.rotary * log_base) / h.rope_factor;
    if (!factors.empty()) frequencies[i] /= static_cast<double>(factors[i]);
  }
  return frequencies;
}

std::uint64_t model_hash(const GgufFile& file, const Hyperparameters& h) {
  std::uint64_t hash = mix64(file.identity(), 0x6c6c616d61u);
  for (const std::uint32_t value : {h.layers, h.width, h.feed_forward, h.heads, h.kv_heads, h.head_dim, h.rotary, h.context_length,
                                    std::bit_cast<std::uint32_t>(h.norm_epsilon)})
    hash = mix64(hash, value);
  for (const double value : {h.rope_base, h.rope_factor}) hash = mix64(hash, std::bit_cast<std::uint64_t>(value));
  return hash;
}

struct Description {
  Hyperparameters shape;
  Weights weights;
  ModelInfo info;
};

Result<Description> describe(const GgufFile& file, const cpu::Ops& ops) {
  Loader loader(file, ops);
  const auto shape = loader.hyperparameters();
  if (!shape) return tl::unexpected<Error>(shape.error());
  auto weights = loader.weights(*shape);
  if (!weights) return tl::unexpected<Error>(weights.error());
  ModelInfo info{.name = file.get_string("general.name").value_or("llama"),
                 .architecture = "llama",
                 .hash = model_hash(file, *shape),
                 .layers = shape->layers,
                 .kv_heads = shape->kv_heads,
                 .head_dim = shape->head_dim,
                 .vocab_size = weights->embedding.rows,
                 .context_length = shape->context_length,
                 .stop_tokens = stop_tokens_of(file, weights->embedding.rows)};
  return Description{*shape, std::move(*weights), std::move(info)};
}

}  // namespace

Result<ModelInfo> examine_llama(const GgufFile& file) {
  auto described = describe(file, cpu::best_ops());
  if (!described) return tl::unexpected<Error>(described.error());
  return std::move(described->info);
}

Result<std::unique_ptr<Model>> load_llama(std::unique_ptr<GgufFile> file, cpu::Backend& backend, std::unique_ptr<WeightArena> arena) {
  auto described = describe(*file, backend.ops);
  if (!described) return tl::unexpected<Error>(described.error());
  auto& [shape, weights, info] = *described;
  std::vector<double> frequencies = rotary_frequencies(shape, weights.frequency_factors);
  RETURN_IF_ERROR(pack_weights(*file, info.hash, backend, weights.matrices(), *arena));
  return std::make_unique<LlamaModel>(std::move(file), backend, shape, std::move(weights), std::move(info), std::move(frequencies),
                                      std::move(arena));
}

}  // namespace baton
