// SPDX-License-Identifier: Apache-2.0
// Sampler: one token from one row of logits. The draw is a pure function of the logits, the parameters and the sequence so
// far, with our own exponential and logarithm and sums in one fixed order, so that every worker, compiler and instruction set
// draws the same. docs/sampling.md has the order: bad words, min_tokens, logit bias, penalties, then temperature, top-k, top-p
// over what top-k left, min-p. Greedy (temperature 0) takes the largest after the penalties. Ties go to the lower id.
// One per thread (it owns scratch the size of the vocabulary). Cost: greedy one pass over the row, two with anything that
// changes logits; top-k one more that selects; without top-k the exponentials of the row; logprobs those of the row again.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "kernels/cpu/ops.h"
#include "protocol/sampling_params.h"
#include "runtime/base/result.h"
#include "scheduling/batch_plan.h"

namespace baton {

// What a draw depends on beside logits and parameters.
struct DrawContext {
  std::uint64_t position = 0;              // of the drawn token in its sequence
  std::uint32_t generated = 0;             // ids generated before it
  std::span<const TokenId> history = {};   // if params.reads_history(): all ids before it, the last `generated` of them generated
  std::span<const TokenId> eos = {};       // the model's end-of-sequence ids
};

class Sampler {
 public:
  explicit Sampler(const cpu::Ops& ops) : ops_(&ops) {}

  // kInternal: the logits are not all finite numbers. kInvalidArgument: the parameters forbid every token. Ids in parameters
  // and history are inside the vocabulary.
  Result<ScoredToken> sample(std::span<const float> logits, const SamplingParams& params, const DrawContext& context);

  // The log-probability of a given token, and the `top` likeliest. kInternal as above.
  Result<ScoredToken> score(std::span<const float> logits, TokenId token, std::uint32_t top);

 private:
  // The row with everything applied that comes before the temperature; the row itself if nothing does.
  std::span<const float> adjust(std::span<const float> logits, const SamplingParams& params, const DrawContext& context);
  float& logit_of(TokenId id);  // after adjustment
  void penalise(const SamplingParams& params, const DrawContext& context);
  std::uint32_t draw(std::span<const float> logits, float largest, const SamplingParams& params, std::uint64_t position);
  std::uint32_t draw_from_all(double total, double chance) const;
  // How many of the likeliest ids remain after top-k, top-p and min-p: kept_[0..that), by falling logit, with
  // their kept_weights_.
  std::size_t keep_likeliest(std::span<const float> logits, float largest, const SamplingParams& params);
  std::size_t count_reaching(double enough) const;
  // Fills kept_ with the `count` likeliest ids, by falling logit, then by id.
  void select(std::span<const float> logits, std::size_t count);
  double weigh_all(std::span<const float> logits, float largest, float temperature);
  void add_logprobs(std::span<const float> logits, float largest, std::uint32_t top, ScoredToken& scored);

  const cpu::Ops* ops_;
  std::vector<float> adjusted_;
  std::vector<float> weights_;         // e^((logit - largest) / temperature) of all ids; the largest has weight 1
  std::vector<float> kept_weights_;    // the same of kept_
  std::vector<double> piece_weights_;  // sums of weights_ over pieces of the vocabulary
  std::vector<std::uint64_t> keys_;    // scratch of select(): logit and id as one number that sorts
  std::vector<std::uint32_t> kept_;
  std::vector<std::uint32_t> counts_;  // of each id in the answer, and in the top bit whether in the prompt; all 0 between calls
};

}  // namespace baton
