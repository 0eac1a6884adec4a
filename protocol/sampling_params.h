// SPDX-License-Identifier: Apache-2.0
// How a job's tokens are drawn. With the prompt and the emitted ids these are everything a token depends on, so they
// travel with the job and any worker can continue it.
#pragma once

#include <cstdint>

namespace baton {

using TokenId = std::int32_t;

struct SamplingParams {
  float temperature = 0.0F;     // 0: greedy. Divides the logits otherwise
  std::uint32_t top_k = 0;      // 0: off. Keep the k most likely
  float top_p = 1.0F;           // 1: off. Keep the smallest set whose probability reaches top_p
  float min_p = 0.0F;           // 0: off. Keep tokens with p >= min_p x p(most likely)
  std::uint64_t seed = 0;       // always set by admission; the generator is keyed by (seed, position)
  std::uint32_t max_tokens = 16;  // generated tokens at most, >= 1
  bool ignore_eos = false;
  friend bool operator==(const SamplingParams&, const SamplingParams&) = default;
};

enum class FinishReason : std::uint8_t { kNone = 0, kStop = 1, kLength = 2, kCancelled = 3, kError = 4 };

}  // namespace baton
