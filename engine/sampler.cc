// SPDX-License-Identifier: Apache-2.0
#include "engine/sampler.h"

#include <algorithm>
#include <limits>
#include <numeric>

#include "kernels/deterministic_math.h"
#include "runtime/base/check.h"
#include "runtime/base/random.h"

namespace baton {
namespace {

// The lowest id among the largest logits; nullopt where there is no distribution.
std::optional<std::uint32_t> likeliest(std::span<const float> logits) {
  std::uint32_t best = 0;
  bool usable = true;
  for (std::uint32_t id = 0; id < logits.size(); ++id) {
    usable &= logits[id] <= std::numeric_limits<float>::max();  // false for NaN and +infinity
    if (logits[id] > logits[best]) best = id;
  }
  if (!usable || logits[best] == -std::numeric_limits<float>::infinity()) return std::nullopt;
  return best;
}

// Uniform in [0, 1), 53 bits.
double uniform(std::uint64_t seed, std::uint64_t position) { return static_cast<double>(random_at(seed, position) >> 11) * 0x1p-53; }

}  // namespace

std::optional<Sample> Sampler::sample(std::span<const float> logits, const SamplingParams& params, std::uint64_t position) {
  CHECK(!logits.empty());
  const auto best = likeliest(logits);
  if (!best) return std::nullopt;
  const float largest = logits[*best];
  const std::uint32_t token = params.temperature > 0 ? draw(logits, largest, params, position) : *best;
  weights_.assign(logits.begin(), logits.end());
  const float total = ops_->exponential_sum(weights_.data(), static_cast<std::uint32_t>(weights_.size()), largest);
  const double logprob = static_cast<double>(logits[token]) - largest - deterministic_log(total);
  return Sample{static_cast<TokenId>(token), static_cast<float>(logprob)};
}

std::uint32_t Sampler::draw(std::span<const float> logits, float largest, const SamplingParams& params, std::uint64_t position) {
  weights_.resize(logits.size());
  for (std::size_t id = 0; id < logits.size(); ++id) weights_[id] = (logits[id] - largest) / params.temperature;
  ops_->exponential_sum(weights_.data(), static_cast<std::uint32_t>(weights_.size()), 0);
  order_.resize(logits.size());
  std::iota(order_.begin(), order_.end(), 0u);
  sorted_ = 0;
  const std::size_t kept = keep_likeliest(logits, params);
  double total = 0;
  for (std::size_t i = 0; i < kept; ++i) total += static_cast<double>(weights_[order_[i]]);
  const double target = uniform(params.seed, position) * total;
  double passed = 0;
  std::uint32_t drawn = order_[0];
  for (std::size_t i = 0; i < kept; ++i) {
    if (!(weights_[order_[i]] > 0)) continue;
    drawn = order_[i];
    passed += static_cast<double>(weights_[drawn]);
    if (passed > target) break;
  }
  return drawn;
}

std::size_t Sampler::keep_likeliest(std::span<const float> logits, const SamplingParams& params) {
  const std::size_t vocabulary = logits.size();
  const std::size_t at_most = params.top_k == 0 ? vocabulary : std::min<std::size_t>(params.top_k, vocabulary);
  const bool by_mass = params.top_p < 1;
  const bool by_ratio = params.min_p > 0;
  if (at_most == vocabulary && !by_mass && !by_ratio) return vocabulary;
  double enough = std::numeric_limits<double>::infinity();  // weight at which top-p is reached
  if (at_most < vocabulary) sort_first(logits, at_most);
  if (by_mass) {
    double total = 0;
    for (std::size_t i = 0; i < at_most; ++i) total += static_cast<double>(weights_[order_[i]]);
    enough = static_cast<double>(params.top_p) * total;
  }
  double mass = 0;
  for (std::size_t i = 0; i < at_most; ++i) {
    if (i >= sorted_) sort_first(logits, std::min(at_most, std::max<std::size_t>(256, i * 4)));
    const float weight = weights_[order_[i]];
    if (i > 0 && (mass >= enough || (by_ratio && weight < params.min_p))) return i;  // the likeliest always stays
    mass += static_cast<double>(weight);
  }
  return at_most;
}

void Sampler::sort_first(std::span<const float> logits, std::size_t count) {
  const auto likelier = [&](std::uint32_t a, std::uint32_t b) { return logits[a] != logits[b] ? logits[a] > logits[b] : a < b; };
  std::partial_sort(order_.begin() + static_cast<std::ptrdiff_t>(sorted_), order_.begin() + static_cast<std::ptrdiff_t>(count),
                    order_.end(), likelier);
  sorted_ = count;
}

}  // namespace baton
