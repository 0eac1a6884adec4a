// SPDX-License-Identifier: Apache-2.0
// How a job's tokens are drawn. With the prompt and the emitted ids these are everything a token depends on, so they
// travel with the job and any worker can continue it. docs/sampling.md says in which order they apply; validate.h has
// their ranges.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "runtime/base/hash.h"

namespace baton {

using TokenId = std::int32_t;

struct TokenBias {
  TokenId token = 0;
  float bias = 0.0F;  // added to the token's logit
  friend bool operator==(const TokenBias&, const TokenBias&) = default;
};

// The parameters that are lists. Immutable and shared: one copy serves a job's record, its sequences and every step's plan.
struct SamplingLists {
  std::vector<TokenBias> logit_bias;            // each token once
  std::vector<TokenId> stop_token_ids;          // drawing one ends the job, also with ignore_eos
  std::vector<std::vector<TokenId>> bad_words;  // the last id of each cannot follow the ones before it
  friend bool operator==(const SamplingLists&, const SamplingLists&) = default;
};

struct SamplingParams {
  float temperature = 0.0F;     // 0: greedy. Divides the logits otherwise
  std::uint32_t top_k = 0;      // 0: off. Keep the k most likely
  float top_p = 1.0F;           // 1: off. Keep the smallest set whose probability reaches top_p
  float min_p = 0.0F;           // 0: off. Keep tokens with p >= min_p x p(most likely)
  std::uint64_t seed = 0;       // always set by admission; the generator is keyed by (seed, position, choice)
  std::uint32_t max_tokens = 16;  // generated tokens at most, >= 1
  bool ignore_eos = false;
  float repetition_penalty = 1.0F;  // 1: off. Divides positive and multiplies negative logits of ids in prompt or answer
  float presence_penalty = 0.0F;    // 0: off. Taken from the logits of ids in the answer
  float frequency_penalty = 0.0F;   // 0: off. The same, times their number there
  std::uint32_t min_tokens = 0;     // before that many, nothing that would end the job is drawn
  std::uint32_t choice = 0;         // which of a submission's n answers this is
  // Absent: none are computed. Else log-probabilities are, beside each token's own those of so many likeliest ones.
  std::optional<std::uint32_t> logprobs = {};
  std::optional<std::uint32_t> prompt_logprobs = {};  // the same for the prompt, which is then computed in full
  std::shared_ptr<const SamplingLists> lists = {};    // null: all are empty; read through the accessors below

  const std::vector<TokenBias>& logit_bias() const { return lists_or_none().logit_bias; }
  const std::vector<TokenId>& stop_token_ids() const { return lists_or_none().stop_token_ids; }
  const std::vector<std::vector<TokenId>>& bad_words() const { return lists_or_none().bad_words; }

  // What the generator of the draws is keyed by, besides the position.
  std::uint64_t generator_key() const { return choice == 0 ? seed : mix64(seed, choice); }
  // Whether a draw depends on which ids came before, beyond the logits: the sampler then needs them.
  bool reads_history() const {
    return repetition_penalty != 1.0F || presence_penalty != 0.0F || frequency_penalty != 0.0F || !bad_words().empty();
  }
  // Whether drawing `token` ends the job. `eos`: the model's end-of-sequence ids.
  bool stops_at(TokenId token, const std::vector<TokenId>& eos) const {
    const auto contains = [token](const std::vector<TokenId>& ids) {
      for (const TokenId id : ids)
        if (id == token) return true;
      return false;
    };
    return (!ignore_eos && contains(eos)) || contains(stop_token_ids());
  }

 private:
  const SamplingLists& lists_or_none() const {
    static const SamplingLists none;
    return lists ? *lists : none;
  }
};

// A token with the natural logarithm of its probability under the unmodified distribution: the softmax of the model's
// logits, before any parameter above has touched them.
struct TokenLogprob {
  TokenId token = 0;
  float logprob = 0.0F;
  friend bool operator==(const TokenLogprob&, const TokenLogprob&) = default;
};

enum class FinishReason : std::uint8_t { kNone = 0, kStop = 1, kLength = 2, kCancelled = 3, kError = 4 };

}  // namespace baton
