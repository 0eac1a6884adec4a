// SPDX-License-Identifier: Apache-2.0
// Sampler: one token from one row of logits. The draw is a pure function of the logits, the parameters and the position of
// the drawn token, with our own exponential and logarithm and sums in one fixed order, so that every worker, compiler and
// instruction set draws the same. Order of the filters: temperature, then top-k, then top-p over what top-k left, then
// min-p. Greedy (temperature 0) ignores them. Ties go to the lower id.
// One per thread (it owns scratch the size of the vocabulary).
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "kernels/cpu/ops.h"
#include "protocol/sampling_params.h"

namespace baton {

struct Sample {
  TokenId token = 0;
  float logprob = 0;  // natural log, under the unmodified softmax of all logits
};

class Sampler {
 public:
  explicit Sampler(const cpu::Ops& ops) : ops_(&ops) {}

  // nullopt: no distribution to draw from (a NaN, +infinity, or nothing above -infinity). Single -infinities are tokens
  // that cannot be drawn. `position`: of the drawn token in its sequence.
  std::optional<Sample> sample(std::span<const float> logits, const SamplingParams& params, std::uint64_t position);

 private:
  std::uint32_t draw(std::span<const float> logits, float largest, const SamplingParams& params, std::uint64_t position);
  // How many of the most likely ids remain after top-k, top-p and min-p; order_[0..that) is sorted then.
  std::size_t keep_likeliest(std::span<const float> logits, const SamplingParams& params);
  void sort_first(std::span<const float> logits, std::size_t count);

  const cpu::Ops* ops_;
  std::vector<float> weights_;        // e^((logit - largest) / temperature); the largest has weight 1
  std::vector<std::uint32_t> order_;  // ids, the first sorted_ of them by falling logit
  std::size_t sorted_ = 0;
};

}  // namespace baton
