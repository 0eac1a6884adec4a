// SPDX-License-Identifier: Apache-2.0
#include "scheduling/batching.h"

#include <algorithm>

namespace baton {

std::vector<std::uint32_t> plan_batch(std::span<const BatchCandidate> candidates, const BatchLimits& limits) {
  std::vector<std::uint32_t> granted(candidates.size(), 0);
  std::uint32_t sequences = std::max(limits.max_num_seqs, 1u);
  std::uint32_t tokens = std::max(limits.max_num_batched_tokens, 1u);
  for (const bool decoding : {true, false})
    for (std::size_t i = 0; i < candidates.size() && sequences > 0 && tokens > 0; ++i) {
      if (candidates[i].decoding != decoding || candidates[i].pending_tokens == 0) continue;
      granted[i] = std::min(candidates[i].pending_tokens, tokens);
      tokens -= granted[i];
      --sequences;
    }
  return granted;
}

}  // namespace baton
