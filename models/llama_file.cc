// SPDX-License-Identifier: Apache-2.0
#include "models/llama_file.h"

#include <algorithm>
#include <bit>
#include <optional>
#include <set>
#include <utility>

#include "kernels/deterministic_math.h"
#include "runtime/base/hash.h"

namespace baton {
namespace {

// Reads metadata and tensors; the first thing that is missing or wrong becomes the error.
class Loader {
 public:
  Loader(const GgufFile& file, const cpu::Ops& ops) : file_(file), ops_(ops) {}

  Result<LlamaShape> hyperparameters() {
    LlamaShape h;
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

  Result<LlamaWeights> weights(const LlamaShape& h) {
    LlamaWeights weights;
    const auto embedding = file_.tensor("token_embd.weight");
    if (!embedding) return tl::unexpected<Error>(embedding.error());
    const std::uint32_t vocab = (*embedding)->view.rows;
    weights.embedding = matrix("token_embd.weight", vocab, h.width);
    if (file_.get_uint(key("vocab_size")).value_or(vocab) != vocab) refuse("the rows of token_embd.weight", "vocab_size");
    for (std::uint32_t i = 0; i < h.layers && !error_; ++i) weights.layers.push_back(layer("blk." + std::to_string(i) + ".", h));
    weights.output_norm = vector("output_norm.weight", h.width);
    weights.output = has("output.weight") ? matrix("output.weight", vocab, h.width) : weights.embedding;
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
  void rope_scaling(LlamaShape& h) {
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
  LlamaLayer layer(const std::string& prefix, const LlamaShape& h) {
    LlamaLayer layer;
    layer.attention_norm = vector(prefix + "attn_norm.weight", h.width);
    layer.query = matrix(prefix + "attn_q.weight", h.heads * h.head_dim, h.width);
    layer.key = matrix(prefix + "attn_k.weight", h.kv_heads * h.head_dim, h.width);
    layer.value = matrix(prefix + "attn_v.weight", h.kv_heads * h.head_dim, h.width);
    layer.output = matrix(prefix + "attn_output.weight", h.width, h.heads * h.head_dim);
    layer.feed_forward_norm = vector(prefix + "ffn_norm.weight", h.width);
    layer.gate = matrix(prefix + "ffn_gate.weight", h.feed_forward, h.width);
    layer.up = matrix(prefix + "ffn_up.weight", h.feed_forward, h.width);
    layer.down = matrix(prefix + "ffn_down.weight", h.width, h.feed_forward);
    return layer;
  }

  const GgufFile& file_;
  const cpu::Ops& ops_;
  std::set<std::string> used_;
  std::optional<Error> error_;
};

std::uint64_t model_hash(const GgufFile& file, const LlamaShape& h) {
  std::uint64_t hash = mix64(file.identity(), 0x6c6c616d61u);
  for (const std::uint32_t value : {h.layers, h.width, h.feed_forward, h.heads, h.kv_heads, h.head_dim, h.rotary, h.context_length,
                                    std::bit_cast<std::uint32_t>(h.norm_epsilon)})
    hash = mix64(hash, value);
  for (const double value : {h.rope_base, h.rope_factor}) hash = mix64(hash, std::bit_cast<std::uint64_t>(value));
  return hash;
}

}  // namespace

std::vector<double> rotary_frequencies(const LlamaShape& h, const std::vector<float>& factors) {
  std::vector<double> frequencies(h.rotary / 2);
  const double log_base = deterministic_log(h.rope_base);
  for (std::size_t i = 0; i < frequencies.size(); ++i) {
    frequencies[i] = deterministic_exp(-2.0 * static_cast<double>(i) / h.rotary * log_base) / h.rope_factor;
    if (!factors.empty()) frequencies[i] /= static_cast<double>(factors[i]);
  }
  return frequencies;
}

Result<LlamaDescription> describe_llama(const GgufFile& file, const cpu::Ops& ops) {
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
  return LlamaDescription{*shape, std::move(*weights), std::move(info)};
}

}  // namespace baton
