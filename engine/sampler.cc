// SPDX-License-Identifier: Apache-2.0
#include "engine/sampler.h"

#include <algorithm>
#include <array>
#include <bit>
#include <limits>
#include <utility>

#include "kernels/deterministic_math.h"
#include "runtime/base/check.h"
#include "runtime/base/random.h"

namespace baton {
namespace {

constexpr float kForbidden = -std::numeric_limits<float>::infinity();
constexpr float kFloatMax = std::numeric_limits<float>::max();
constexpr std::size_t kPiece = 1024;  // ids whose weights are summed together; a piece stays in the first-level cache

// Four floats that the compiler keeps in one register on every CPU.
using Four = float __attribute__((vector_size(16)));
using Two = double __attribute__((vector_size(16)));
using FourIntegers = std::int32_t __attribute__((vector_size(16)));

Four load_four(const float* from) {
  Four four;
  __builtin_memcpy(&four, from, sizeof four);
  return four;
}

struct Extremes {
  float largest = kForbidden;
  bool finite = true;
};

// One pass. x times 0 is 0 unless x is no finite number.
Extremes extremes_of(std::span<const float> row) {
  Four largest[4], zero[4];
  for (int lane = 0; lane < 4; ++lane) largest[lane] = Four{kForbidden, kForbidden, kForbidden, kForbidden}, zero[lane] = Four{};
  std::size_t i = 0;
  for (; i + 16 <= row.size(); i += 16)
    for (int lane = 0; lane < 4; ++lane) {
      const Four x = load_four(row.data() + i + 4 * lane);
      largest[lane] = x > largest[lane] ? x : largest[lane];
      zero[lane] += x * 0.0F;
    }
  Extremes all;
  float sum = 0;
  for (int lane = 0; lane < 4; ++lane)
    for (int element = 0; element < 4; ++element) {
      all.largest = std::max(all.largest, largest[lane][element]);
      sum += zero[lane][element];
    }
  for (; i < row.size(); ++i) {
    all.largest = std::max(all.largest, row[i]);
    sum += row[i] * 0.0F;
  }
  all.finite = sum == 0.0F;
  return all;
}

// The first id with that value, which the row has.
std::uint32_t first_of(std::span<const float> row, float value) {
  return static_cast<std::uint32_t>(std::find(row.begin(), row.end(), value) - row.begin());
}

// Sorts by falling logit, then by rising id, as plain numbers do. -0 counts as 0.
std::uint64_t key_of(float logit, std::uint32_t id) {
  const auto bits = std::bit_cast<std::uint32_t>(logit + 0.0F);
  const std::uint32_t rising = (bits & 0x80000000u) != 0 ? ~bits : bits | 0x80000000u;
  return (std::uint64_t{~rising} << 32) | id;
}

bool any_above(const float* sixteen, float threshold) {
  const Four limit = {threshold, threshold, threshold, threshold};
  FourIntegers above = {};
  for (int lane = 0; lane < 4; ++lane) above |= load_four(sixteen + 4 * lane) > limit;
  return (above[0] | above[1] | above[2] | above[3]) != 0;
}

// Uniform in [0, 1), 53 bits.
double uniform(std::uint64_t key, std::uint64_t position) { return static_cast<double>(random_at(key, position) >> 11) * 0x1p-53; }

// out = (row - largest) / temperature
void scale(std::span<const float> row, float largest, float temperature, float* out) {
  const Four top = {largest, largest, largest, largest};
  const Four divisor = {temperature, temperature, temperature, temperature};
  std::size_t i = 0;
  for (; i + 4 <= row.size(); i += 4) {
    const Four scaled = (load_four(row.data() + i) - top) / divisor;
    __builtin_memcpy(out + i, &scaled, sizeof scaled);
  }
  for (; i < row.size(); ++i) out[i] = (row[i] - largest) / temperature;
}

// In eight lanes, folded in one order.
double sum_of(std::span<const float> values) {
  Two lanes[4] = {};
  std::size_t i = 0;
  for (; i + 8 <= values.size(); i += 8)
    for (std::size_t lane = 0; lane < 4; ++lane) {
      const float* from = values.data() + i + 2 * lane;
      lanes[lane] += Two{static_cast<double>(from[0]), static_cast<double>(from[1])};
    }
  for (; i < values.size(); ++i) lanes[0][0] += static_cast<double>(values[i]);
  const Two folded = (lanes[0] + lanes[1]) + (lanes[2] + lanes[3]);
  return folded[0] + folded[1];
}

tl::unexpected<Error> not_finite() { return fail(ErrorCode::kInternal, "the model's logits are not finite numbers"); }

}  // namespace

Result<ScoredToken> Sampler::sample(std::span<const float> logits, const SamplingParams& params, const DrawContext& context) {
  CHECK(!logits.empty());
  const Extremes raw = extremes_of(logits);
  if (!raw.finite) return not_finite();
  const std::span<const float> adjusted = adjust(logits, params, context);
  const float largest = adjusted.data() == logits.data() ? raw.largest : extremes_of(adjusted).largest;
  if (largest == kForbidden)
    return fail(ErrorCode::kInvalidArgument, "logit_bias, bad_words and min_tokens together forbid every token");
  ScoredToken drawn;
  drawn.token = static_cast<TokenId>(params.temperature > 0 ? draw(adjusted, largest, params, context.position) : first_of(adjusted, largest));
  if (params.logprobs) add_logprobs(logits, raw.largest, *params.logprobs, drawn);
  return drawn;
}

Result<ScoredToken> Sampler::score(std::span<const float> logits, TokenId token, std::uint32_t top) {
  const Extremes raw = extremes_of(logits);
  if (!raw.finite) return not_finite();
  ScoredToken scored;
  scored.token = token;
  add_logprobs(logits, raw.largest, top, scored);
  return scored;
}

void Sampler::add_logprobs(std::span<const float> logits, float largest, std::uint32_t top, ScoredToken& scored) {
  weights_.assign(logits.begin(), logits.end());
  const float total = ops_->exponential_sum(weights_.data(), static_cast<std::uint32_t>(weights_.size()), largest);
  const double log_total = deterministic_log(total);
  const auto logprob_of = [&](std::uint32_t id) { return static_cast<float>(static_cast<double>(logits[id]) - largest - log_total); };
  scored.logprob = logprob_of(static_cast<std::uint32_t>(scored.token));
  if (top == 0) return;
  select(logits, std::min<std::size_t>(top, logits.size()));
  scored.top.reserve(kept_.size());
  for (const std::uint32_t id : kept_) scored.top.push_back({static_cast<TokenId>(id), logprob_of(id)});
}

// ---- before the temperature ----------------------------------------------------------------------------------------

float& Sampler::logit_of(TokenId id) {
  CHECK(id >= 0 && static_cast<std::size_t>(id) < adjusted_.size(), "a sampling parameter names a token outside the vocabulary");
  return adjusted_[static_cast<std::size_t>(id)];
}

std::span<const float> Sampler::adjust(std::span<const float> logits, const SamplingParams& params, const DrawContext& context) {
  const bool too_short = context.generated < params.min_tokens;
  if (!params.reads_history() && params.logit_bias().empty() && !too_short) return logits;
  CHECK(!params.reads_history() || context.generated <= context.history.size(), "a draw without the ids it depends on");
  adjusted_.assign(logits.begin(), logits.end());
  const auto answer = context.history.last(std::min<std::size_t>(context.generated, context.history.size()));
  for (const auto& word : params.bad_words()) {
    const std::size_t before = word.size() - 1;
    if (before <= answer.size() && std::equal(word.begin(), word.end() - 1, answer.end() - static_cast<std::ptrdiff_t>(before)))
      logit_of(word.back()) = kForbidden;
  }
  if (too_short) {
    for (const TokenId id : params.stop_token_ids()) logit_of(id) = kForbidden;
    if (!params.ignore_eos)
      for (const TokenId id : context.eos) logit_of(id) = kForbidden;
  }
  for (const TokenBias& each : params.logit_bias()) logit_of(each.token) += each.bias;
  penalise(params, context);
  return adjusted_;
}

void Sampler::penalise(const SamplingParams& params, const DrawContext& context) {
  constexpr std::uint32_t kInPrompt = 0x80000000u;
  const bool of_answer = params.presence_penalty != 0 || params.frequency_penalty != 0;
  if (!of_answer && params.repetition_penalty == 1.0F) return;
  counts_.resize(adjusted_.size());
  const auto prompt = context.history.first(context.history.size() - context.generated);
  const auto answer = context.history.last(context.generated);
  for (const TokenId id : answer) ++counts_[static_cast<std::size_t>(id)];
  if (params.repetition_penalty != 1.0F)
    for (const TokenId id : prompt) counts_[static_cast<std::size_t>(id)] |= kInPrompt;
  const auto apply = [&](TokenId id) {
    std::uint32_t& seen = counts_[static_cast<std::size_t>(id)];
    if (seen == 0) return;  // done with
    float& logit = logit_of(id);
    const std::uint32_t count = std::exchange(seen, 0) & ~kInPrompt;
    logit = logit > 0 ? std::min(logit / params.repetition_penalty, kFloatMax) : logit * params.repetition_penalty;
    if (count == 0) return;
    logit -= params.frequency_penalty * static_cast<float>(count);
    logit -= params.presence_penalty;
  };
  for (const TokenId id : answer) apply(id);
  if (params.repetition_penalty == 1.0F) return;
  for (const TokenId id : prompt) apply(id);
}

// ---- from the temperature on ---------------------------------------------------------------------------------------

std::uint32_t Sampler::draw(std::span<const float> logits, float largest, const SamplingParams& params, std::uint64_t position) {
  const double chance = uniform(params.generator_key(), position);
  const bool all = (params.top_k == 0 || params.top_k >= logits.size()) && !(params.top_p < 1) && !(params.min_p > 0);
  if (all) return draw_from_all(weigh_all(logits, largest, params.temperature), chance);
  const std::size_t kept = keep_likeliest(logits, largest, params);
  double total = 0;
  for (std::size_t i = 0; i < kept; ++i) total += static_cast<double>(kept_weights_[i]);
  const double target = chance * total;
  double passed = 0;
  std::uint32_t drawn = kept_[0];
  for (std::size_t i = 0; i < kept; ++i) {
    if (!(kept_weights_[i] > 0)) continue;
    drawn = kept_[i];
    passed += static_cast<double>(kept_weights_[i]);
    if (passed > target) break;
  }
  return drawn;
}

// Weights of all ids, piece by piece; returns their sum.
double Sampler::weigh_all(std::span<const float> logits, float largest, float temperature) {
  weights_.resize(logits.size());
  piece_weights_.clear();
  double total = 0;
  for (std::size_t begin = 0; begin < logits.size(); begin += kPiece) {
    const std::size_t count = std::min(kPiece, logits.size() - begin);
    scale(logits.subspan(begin, count), largest, temperature, weights_.data() + begin);
    ops_->exponential_sum(weights_.data() + begin, static_cast<std::uint32_t>(count), 0);
    piece_weights_.push_back(sum_of(std::span(weights_).subspan(begin, count)));
    total += piece_weights_.back();
  }
  return total;
}

// In order of ids: the piece first, then the id in it.
std::uint32_t Sampler::draw_from_all(double total, double chance) const {
  double target = chance * total;
  std::size_t piece = 0;
  while (piece + 1 < piece_weights_.size() && target >= piece_weights_[piece]) target -= piece_weights_[piece++];
  // A target at the very end may be rounded past the last weights; the last id that has any stands for them.
  std::size_t end = std::min(weights_.size(), (piece + 1) * kPiece);
  std::size_t id = piece * kPiece;
  for (double passed = 0; id < end; ++id) {
    passed += static_cast<double>(weights_[id]);
    if (weights_[id] > 0 && passed > target) return static_cast<std::uint32_t>(id);
  }
  while (end > 1 && !(weights_[end - 1] > 0)) --end;
  return static_cast<std::uint32_t>(end - 1);
}

std::size_t Sampler::keep_likeliest(std::span<const float> logits, float largest, const SamplingParams& params) {
  const std::size_t vocabulary = logits.size();
  const std::size_t at_most = params.top_k == 0 ? vocabulary : std::min<std::size_t>(params.top_k, vocabulary);
  const bool by_mass = params.top_p < 1;
  double enough = std::numeric_limits<double>::infinity();  // weight at which top-p is reached
  if (by_mass && at_most == vocabulary) enough = static_cast<double>(params.top_p) * weigh_all(logits, largest, params.temperature);
  // Without top-k a few hundred mostly suffice. Where the distribution is flatter, its weights tell how many do.
  for (std::size_t count = at_most < vocabulary ? at_most : std::min<std::size_t>(256, vocabulary);;) {
    select(logits, count);
    kept_weights_.resize(count);
    for (std::size_t i = 0; i < count; ++i) kept_weights_[i] = (logits[kept_[i]] - largest) / params.temperature;
    ops_->exponential_sum(kept_weights_.data(), static_cast<std::uint32_t>(count), 0);
    if (by_mass && at_most < vocabulary) {
      double total = 0;
      for (std::size_t i = 0; i < count; ++i) total += static_cast<double>(kept_weights_[i]);
      enough = static_cast<double>(params.top_p) * total;
    }
    double mass = 0;
    for (std::size_t i = 0; i < count; ++i) {
      if (i > 0 && (mass >= enough || (params.min_p > 0 && kept_weights_[i] < params.min_p))) return i;  // the likeliest always stays
      mass += static_cast<double>(kept_weights_[i]);
    }
    if (count == at_most) return count;
    count = std::min(vocabulary, std::max(8 * count, by_mass ? count_reaching(enough) : 0));
  }
}

// How many of the likeliest ids reach that weight together, rounded up to all ids within a factor of two. weights_ are of all ids.
std::size_t Sampler::count_reaching(double enough) const {
  std::array<double, 256> mass = {};  // by binary exponent; weights are at most 1
  std::array<std::size_t, 256> number = {};
  for (const float weight : weights_) {
    const std::uint32_t exponent = std::bit_cast<std::uint32_t>(weight) >> 23;
    mass[exponent] += static_cast<double>(weight);
    ++number[exponent];
  }
  std::size_t count = 0;
  double reached = 0;
  for (std::size_t exponent = 256; exponent-- > 0 && reached < enough;) {
    reached += mass[exponent];
    count += number[exponent];
  }
  return count;
}

// A pass that looks only at what exceeds the count-th largest so far; those seen are cut back to `count` whenever they double.
void Sampler::select(std::span<const float> logits, std::size_t count) {
  keys_.clear();
  const auto cut = [&] {
    if (keys_.size() <= count) return;
    std::nth_element(keys_.begin(), keys_.begin() + static_cast<std::ptrdiff_t>(count) - 1, keys_.end());
    keys_.resize(count);
  };
  float threshold = kForbidden;
  bool full = false;  // what equals the threshold is then no better: it has a higher id
  std::size_t room = std::max<std::size_t>(2 * count, 64);
  for (std::size_t begin = 0; begin < logits.size(); begin += 16) {
    const std::size_t end = std::min(begin + 16, logits.size());
    if (full && end - begin == 16 && !any_above(logits.data() + begin, threshold)) continue;
    for (std::size_t id = begin; id < end; ++id)
      if (!full || logits[id] > threshold) keys_.push_back(key_of(logits[id], static_cast<std::uint32_t>(id)));
    if (keys_.size() < room) continue;
    cut();
    full = true;
    threshold = logits[static_cast<std::uint32_t>(keys_.back())];
  }
  cut();
  std::sort(keys_.begin(), keys_.end());
  kept_.resize(keys_.size());
  for (std::size_t i = 0; i < keys_.size(); ++i) kept_[i] = static_cast<std::uint32_t>(keys_[i]);
}

}  // namespace baton
