// SPDX-License-Identifier: Apache-2.0
#include "tests/gpu/engine/engine_rig.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "runtime/base/random.h"

namespace baton::test {
namespace {

class Writer {
 public:
  explicit Writer(const SmallLlama& options) : options_(options) {
    gguf.add_string("general.architecture", "llama").add_string("general.name", "small");
    for (const auto& [name, value] : {std::pair{"block_count", options.layers}, {"context_length", options.context}, {"embedding_length", options.width},
                                      {"feed_forward_length", options.feed_forward}, {"attention.head_count", options.heads}, {"attention.head_count_kv", options.kv_heads},
                                      {"attention.key_length", options.head_dim}, {"attention.value_length", options.head_dim}, {"rope.dimension_count", options.head_dim}})
      gguf.add_uint(std::string("llama.") + name, value);
    gguf.add_float("llama.attention.layer_norm_rms_epsilon", 1e-5F).add_float("llama.rope.freq_base", 10000.0F).add_uint("tokenizer.ggml.eos_token_id", 7);
  }
  void matrix(const std::string& name, std::uint32_t rows, std::uint32_t columns, float magnitude) {
    RandomMatrix random = random_matrix(options_.type, rows, columns, ++count_, magnitude);
    if (options_.nan_token && name == "token_embd.weight") {
      const std::uint16_t nan = 0x7fff;
      std::memcpy(random.bytes.data() + *options_.nan_token * random.view.row_bytes(), &nan, sizeof nan);
    }
    gguf.add_tensor(name, {columns, rows}, options_.type, std::string(reinterpret_cast<const char*>(random.bytes.data()), random.bytes.size()));
  }
  void norm(const std::string& name) {
    std::vector<float> values = random_floats(options_.width, ++count_, 0.3F);
    for (float& value : values) value += 1;
    gguf.add_tensor_f32(name, {options_.width}, values);
  }
  GgufWriter gguf;

 private:
  const SmallLlama& options_;
  std::uint64_t count_ = 0;
};

struct Running {
  Request request;
  std::vector<TokenId> ids;  // prompt and answer
  std::vector<BlockId> blocks;
  std::uint32_t computed = 0;
  Answer answer;

  bool done() const { return !answer.error.empty() || answer.tokens.size() >= request.generate; }
  SequencePlan next(std::uint64_t handle, std::uint32_t block_tokens) const {
    SequencePlan plan;
    plan.sequence = handle;
    plan.first_position = computed;
    const auto end = std::min<std::size_t>(ids.size(), computed + request.chunk);
    plan.tokens.assign(ids.begin() + computed, ids.begin() + static_cast<std::ptrdiff_t>(end));
    plan.blocks = blocks;
    plan.sample = end == ids.size();
    plan.sampling = request.sampling;
    plan.generated = static_cast<std::uint32_t>(ids.size() - request.prompt.size());
    if (plan.sample && request.sampling.reads_history()) plan.history = ids;
    plan.digest_begin = computed / block_tokens;
    plan.digest_end = static_cast<std::uint32_t>(end) / block_tokens;
    return plan;
  }
  void take(const SequenceResult& result, std::uint32_t tokens) {
    computed += tokens;
    if (answer.tokens.empty()) answer.digests.insert(answer.digests.end(), result.digests.begin(), result.digests.end());
    answer.error = result.error;
    if (!result.sampled) return;
    const std::size_t at = answer.tokens.size();
    answer.tokens.push_back(result.token);
    answer.logprobs.push_back(result.logprob);
    answer.top.push_back(result.top);
    ids.push_back(at < request.forced.size() ? request.forced[at] : result.token);
  }
};

}  // namespace

std::string SmallLlama::build() const {
  Writer writer(*this);
  writer.matrix("token_embd.weight", vocabulary, width, 1.0F);
  for (std::uint32_t layer = 0; layer < layers; ++layer) {
    const std::string prefix = "blk." + std::to_string(layer) + ".";
    writer.norm(prefix + "attn_norm.weight");
    writer.matrix(prefix + "attn_q.weight", heads * head_dim, width, 0.1F);
    writer.matrix(prefix + "attn_k.weight", kv_heads * head_dim, width, 0.1F);
    writer.matrix(prefix + "attn_v.weight", kv_heads * head_dim, width, 0.25F);
    writer.matrix(prefix + "attn_output.weight", width, heads * head_dim, 0.2F);
    writer.norm(prefix + "ffn_norm.weight");
    writer.matrix(prefix + "ffn_gate.weight", feed_forward, width, 0.2F);
    writer.matrix(prefix + "ffn_up.weight", feed_forward, width, 0.2F);
    writer.matrix(prefix + "ffn_down.weight", width, feed_forward, 0.2F);
  }
  writer.norm("output_norm.weight");
  writer.matrix("output.weight", vocabulary, width, 0.25F);
  return writer.gguf.build();
}

std::vector<Answer> answer_all(Engine& engine, const std::vector<Request>& requests, std::uint32_t first_block) {
  const std::uint32_t block_tokens = engine.info().geometry.block_tokens;
  std::vector<Running> all;
  for (const Request& request : requests) all.push_back({.request = request, .ids = request.prompt, .blocks = {}, .computed = 0, .answer = {}});
  // In turn, so that no sequence has neighbouring blocks.
  bool missing = true;
  for (std::uint32_t block = first_block; missing;) {
    missing = false;
    for (Running& each : all) {
      if (each.blocks.size() >= engine.info().geometry.blocks_for(each.request.prompt.size() + each.request.generate)) continue;
      each.blocks.push_back(block++);
      missing = true;
    }
  }
  for (std::uint64_t step = 1;; ++step) {
    BatchPlan plan{.step = step, .sequences = {}};
    for (std::size_t i = 0; i < all.size(); ++i)
      if (!all[i].done()) plan.sequences.push_back(all[i].next(i, block_tokens));
    if (plan.sequences.empty()) break;
    const StepResult result = engine.step(plan);
    for (std::size_t i = 0; i < plan.sequences.size(); ++i)
      all[plan.sequences[i].sequence].take(result.sequences[i], static_cast<std::uint32_t>(plan.sequences[i].tokens.size()));
  }
  std::vector<Answer> answers;
  for (Running& each : all) answers.push_back(std::move(each.answer));
  return answers;
}

std::vector<TokenId> random_prompt(std::uint32_t length, std::uint32_t vocabulary, std::uint64_t seed) {
  std::vector<TokenId> prompt;
  for (std::uint32_t i = 0; i < length; ++i) prompt.push_back(static_cast<TokenId>(random_at(seed, i) % vocabulary));
  return prompt;
}

}  // namespace baton::test
