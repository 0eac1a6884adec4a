// SPDX-License-Identifier: Apache-2.0
// What goes into the next engine step: every decode token first (each stream keeps its pace), then prefill chunks in order of
// arrival as far as the token budget reaches (chunked prefill; Sarathi-Serve, arXiv 2403.02310). A long prompt gets a limited
// share: it delays neither the running streams nor the short prompts behind it by more than that. Pure.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace baton {

struct BatchLimits {
  std::uint32_t max_num_seqs = 64;
  std::uint32_t max_num_batched_tokens = 2048;
  // A prompt with more than that to compute is long. 0: a quarter of max_num_batched_tokens.
  std::uint32_t long_prefill_token_threshold = 0;
};

// A sequence that could run: how many input tokens it still has to compute. 1 and `decoding`: the next decode token.
struct BatchCandidate {
  std::uint32_t pending_tokens = 0;
  bool decoding = false;
};

// Tokens granted to each candidate, in their order; 0: not in this step. Never more than the limits; never all zero when a
// candidate exists. Long prompts together get at most the threshold while others want the step; what nobody else wants goes to
// them as well, in order of arrival, unless a decode runs, whose next token would wait for it.
std::vector<std::uint32_t> plan_batch(std::span<const BatchCandidate> candidates, const BatchLimits& limits);

}  // namespace baton
