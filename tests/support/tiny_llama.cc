// SPDX-License-Identifier: Apache-2.0
#include "tests/support/tiny_llama.h"

#include <cstring>
#include <limits>

#include "tests/support/random_weights.h"

namespace baton::test {
namespace {

constexpr std::uint32_t kLayers = 2;
constexpr std::uint32_t kFeedForward = 96;
constexpr std::uint32_t kHeads = 4;
constexpr std::uint32_t kKvHeads = 2;
constexpr std::uint32_t kHeadDim = kTinyWidth / kHeads;

class TinyWriter {
 public:
  explicit TinyWriter(const TinyLlama& options) : options_(options) {}

  void keys() {
    writer.add_string("general.architecture", options_.architecture).add_string("general.name", "tiny");
    for (const auto& [name, value] : {std::pair{"block_count", kLayers},
                                      {"context_length", kTinyContext},
                                      {"embedding_length", kTinyWidth},
                                      {"feed_forward_length", kFeedForward},
                                      {"attention.head_count", kHeads},
                                      {"attention.head_count_kv", kKvHeads}})
      if (options_.without_key != name) writer.add_uint(std::string("llama.") + name, value);
    writer.add_float("llama.attention.layer_norm_rms_epsilon", 1e-5F).add_float("llama.rope.freq_base", 500.0F);
    writer.add_uint("tokenizer.ggml.eos_token_id", 7);
  }
  void tensors() {
    matrix("token_embd.weight", kTinyVocabulary, kTinyWidth, 1.0F);
    for (std::uint32_t layer = 0; layer < kLayers; ++layer) {
      const std::string prefix = "blk." + std::to_string(layer) + ".";
      norm(prefix + "attn_norm.weight", kTinyWidth);
      matrix(prefix + "attn_q.weight", kHeads * kHeadDim, kTinyWidth, 0.4F);
      matrix(prefix + "attn_k.weight", kKvHeads * kHeadDim, kTinyWidth, 0.4F);
      matrix(prefix + "attn_v.weight", kKvHeads * kHeadDim, kTinyWidth, 0.4F);
      matrix(prefix + "attn_output.weight", kTinyWidth, kHeads * kHeadDim, 0.4F);
      norm(prefix + "ffn_norm.weight", kTinyWidth);
      matrix(prefix + "ffn_gate.weight", kFeedForward, kTinyWidth, 0.4F);
      matrix(prefix + "ffn_up.weight", kFeedForward, kTinyWidth, 0.4F);
      matrix(prefix + "ffn_down.weight", kTinyWidth, kFeedForward, 0.4F);
    }
    norm("output_norm.weight", kTinyWidth);
    if (!options_.tied) matrix("output.weight", kTinyVocabulary, kTinyWidth, 0.5F);
    if (options_.frequency_factors) writer.add_tensor_f32("rope_freqs.weight", {kHeadDim / 2}, {1, 1, 1, 2, 3, 4, 8, 8});
  }

  GgufWriter writer;

 private:
  void matrix(const std::string& name, std::uint32_t rows, std::uint32_t columns, float magnitude) {
    if (name == options_.without_tensor) return;
    if (name == options_.wrong_shape) --rows;
    RandomMatrix random = random_matrix(options_.type, rows, columns, options_.seed * 1000 + ++count_, magnitude);
    if (options_.nan_token && name == "token_embd.weight") {
      const float nan = std::numeric_limits<float>::quiet_NaN();
      std::memcpy(random.bytes.data() + *options_.nan_token * random.view.row_bytes(), &nan, sizeof nan);
    }
    writer.add_tensor(name, {columns, rows}, options_.type, std::string(reinterpret_cast<const char*>(random.bytes.data()), random.bytes.size()));
  }
  void norm(const std::string& name, std::uint32_t length) {
    std::vector<float> values = random_floats(length, options_.seed * 1000 + ++count_, 0.5F);
    for (float& value : values) value += 1;
    writer.add_tensor_f32(name, {length}, values);
  }

  const TinyLlama& options_;
  std::uint64_t count_ = 0;
};

}  // namespace

std::string build_tiny_llama(const TinyLlama& options) {
  TinyWriter tiny(options);
  tiny.keys();
  tiny.tensors();
  if (options.more) options.more(tiny.writer);
  return tiny.writer.build();
}

}  // namespace baton::test
