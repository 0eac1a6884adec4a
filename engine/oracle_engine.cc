// SPDX-License-Identifier: Apache-2.0
#include "engine/oracle_engine.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <thread>

#include "kvstore/digest.h"
#include "runtime/base/check.h"
#include "runtime/base/hash.h"
#include "runtime/base/random.h"

namespace baton {
namespace {

std::uint64_t row_value(std::uint64_t salt, std::uint32_t position, TokenId token, std::uint64_t plane) {
  return mix64(mix64(salt ^ plane, position), static_cast<std::uint64_t>(token) + 1);
}
// Position and plane enter again when a row is read, so that two rows exchanged do not cancel out.
std::uint64_t contribution(std::uint64_t row, std::uint32_t position, std::uint64_t plane) {
  return mix64(row, mix64(plane, position));
}
// `generated`: ids of the answer before the drawn one. While they are fewer than min_tokens, the next id that ends nothing is
// taken instead of one that does.
TokenId draw(std::uint64_t sum, const SamplingParams& sampling, std::uint32_t position, std::uint32_t generated, const EngineInfo& info) {
  const std::uint64_t key = sampling.temperature > 0 ? random_at(sampling.generator_key(), position) : 0;
  auto token = static_cast<TokenId>(mix64(sum, key) % info.vocab_size);
  for (std::uint32_t tried = 0; generated < sampling.min_tokens && sampling.stops_at(token, info.stop_tokens) && tried < info.vocab_size; ++tried)
    token = static_cast<TokenId>((static_cast<std::uint32_t>(token) + 1) % info.vocab_size);
  return token;
}
constexpr std::uint64_t plane_of(std::uint32_t head, std::uint32_t layer, bool value, std::uint32_t element) {
  return (std::uint64_t{head} << 48) | (std::uint64_t{layer} << 33) | (std::uint64_t{value} << 32) | element;
}

// All planes of one position, as both the engine and the recurrence go through them.
template <class Visit>
void for_each_plane(const KvGeometry& g, Visit visit) {
  for (std::uint32_t head = 0; head < g.kv_heads; ++head)
    for (std::uint32_t layer = 0; layer < g.layers; ++layer)
      for (const bool value : {false, true})
        for (std::uint32_t element = 0; element < g.head_dim; ++element) visit(head, layer, value, element);
}

class OracleEngine final : public Engine {
 public:
  OracleEngine(const OracleOptions& options, std::span<std::byte> pool)
      : options_(options), info_(oracle_info(options)), pool_(pool) {
    CHECK(pool_.size() % info_.geometry.block_bytes() == 0);
  }

  const EngineInfo& info() const override { return info_; }

  StepResult step(const BatchPlan& plan) override {
    StepResult result{plan.step, {}};
    Duration takes = options_.step_time;
    for (const SequencePlan& sequence : plan.sequences) {
      result.sequences.push_back(run(sequence));
      takes += static_cast<std::int64_t>(sequence.tokens.size()) * options_.token_time;
    }
    if (takes > Duration{0}) std::this_thread::sleep_for(takes);
    return result;
  }

 private:
  std::byte* row(const SequencePlan& sequence, std::uint32_t position, std::uint32_t head, std::uint32_t layer, bool value) const {
    const KvGeometry& g = info_.geometry;
    CHECK(position / g.block_tokens < sequence.blocks.size(), "a step beyond its block table");
    const std::size_t offset = sequence.blocks[position / g.block_tokens] * g.block_bytes() +
                               g.row_offset(head, layer, value, position % g.block_tokens);
    CHECK(offset + g.row_bytes() <= pool_.size(), "a block outside the pool");
    return pool_.data() + offset;
  }

  template <class Visit>
  void for_each_value(const SequencePlan& sequence, std::uint32_t position, Visit visit) const {
    for_each_plane(info_.geometry, [&](std::uint32_t head, std::uint32_t layer, bool value, std::uint32_t element) {
      visit(row(sequence, position, head, layer, value) + element * sizeof(std::uint64_t), plane_of(head, layer, value, element));
    });
  }

  SequenceResult run(const SequencePlan& sequence) {
    CHECK(!sequence.tokens.empty());
    const auto count = static_cast<std::uint32_t>(sequence.tokens.size());
    for (std::uint32_t i = 0; i < count; ++i) {
      const std::uint32_t position = sequence.first_position + i;
      if (sequence.tokens[i] == options_.crash_on) std::abort();
      for_each_value(sequence, position, [&](std::byte* bytes, std::uint64_t plane) {
        const std::uint64_t value = row_value(options_.salt, position, sequence.tokens[i], plane);
        std::memcpy(bytes, &value, sizeof value);
      });
    }
    SequenceResult result;
    result.sequence = sequence.sequence;
    const std::uint32_t length = sequence.first_position + count;
    if (sequence.sample) {
      std::uint64_t sum = 0;
      for (std::uint32_t position = 0; position < length; ++position)
        for_each_value(sequence, position, [&](const std::byte* bytes, std::uint64_t plane) {
          std::uint64_t value = 0;
          std::memcpy(&value, bytes, sizeof value);
          sum += contribution(value, position, plane);
        });
      result.sampled = true;
      result.token = draw(sum, sequence.sampling, length, sequence.generated, info_);
      if (sequence.sampling.logprobs) {
        const ScoredToken scored = oracle_scores(length, result.token, *sequence.sampling.logprobs, info_.vocab_size);
        result.logprob = scored.logprob;
        result.top = scored.top;
      }
    }
    for (std::uint32_t i = 0; i < sequence.scored.size(); ++i)
      result.prompt.push_back(oracle_scores(sequence.first_position + i + 1, sequence.scored[i], sequence.sampling.prompt_logprobs.value_or(0), info_.vocab_size));
    add_digests(sequence, length, result);
    return result;
  }

  void add_digests(const SequencePlan& sequence, std::uint32_t length, SequenceResult& result) const {
    const KvGeometry& g = info_.geometry;
    for (std::uint32_t i = sequence.digest_begin; i < sequence.digest_end; ++i) {
      const std::uint32_t first = i * g.block_tokens;
      CHECK(first < length);
      const auto bytes = pool_.subspan(sequence.blocks[i] * g.block_bytes(), g.block_bytes());
      result.digests.push_back(block_digest(g, bytes, first, std::min(g.block_tokens, length - first)));
    }
  }

  const OracleOptions options_;
  const EngineInfo info_;
  const std::span<std::byte> pool_;
};

}  // namespace

EngineInfo oracle_info(const OracleOptions& options) {
  EngineInfo info;
  info.model_name = "oracle";
  info.model_hash = mix64(mix64(0x6f7261636c65, options.salt), options.vocab_size);
  info.numerics_fingerprint = 1;
  info.geometry = KvGeometry{0, options.layers, options.kv_heads, options.head_dim, options.block_tokens, DType::kU64};
  info.vocab_size = options.vocab_size;
  info.max_model_len = options.max_model_len;
  info.stop_tokens = {kOracleStopToken};
  return info;
}

ScoredToken oracle_scores(std::uint32_t position, TokenId token, std::uint32_t top, std::uint32_t vocab_size) {
  const auto logprob = [position](TokenId id) { return -static_cast<float>(mix64(position, static_cast<std::uint64_t>(id)) % 4096) / 256.0F; };
  ScoredToken scored{token, logprob(token), {}};
  for (std::uint32_t i = 0; i < top; ++i) {
    const auto other = static_cast<TokenId>((static_cast<std::uint32_t>(token) + i) % vocab_size);
    scored.top.push_back({other, logprob(other)});
  }
  return scored;
}

std::unique_ptr<Engine> make_oracle_engine(const OracleOptions& options, std::span<std::byte> pool) {
  return std::make_unique<OracleEngine>(options, pool);
}

std::vector<TokenId> oracle_stream(const OracleOptions& options, std::span<const TokenId> prompt, const SamplingParams& sampling) {
  const EngineInfo info = oracle_info(options);
  const KvGeometry& g = info.geometry;
  std::uint64_t sum = 0;
  std::uint32_t length = 0;
  const auto append = [&](TokenId token) {
    for_each_plane(g, [&](std::uint32_t head, std::uint32_t layer, bool value, std::uint32_t element) {
      const std::uint64_t plane = plane_of(head, layer, value, element);
      sum += contribution(row_value(options.salt, length, token, plane), length, plane);
    });
    ++length;
  };
  for (const TokenId token : prompt) append(token);
  std::vector<TokenId> stream;
  while (stream.size() < sampling.max_tokens) {
    stream.push_back(draw(sum, sampling, length, static_cast<std::uint32_t>(stream.size()), info));
    if (sampling.stops_at(stream.back(), info.stop_tokens)) break;
    append(stream.back());
  }
  return stream;
}

}  // namespace baton
