// SPDX-License-Identifier: Apache-2.0
#include "scheduling/batching.h"

#include <algorithm>
#include <utility>

namespace baton {
namespace {

class Batch {
 public:
  Batch(std::span<const BatchCandidate> candidates, const BatchLimits& limits)
      : candidates_(candidates),
        sequences_(std::max(limits.max_num_seqs, 1u)),
        tokens_(std::max(limits.max_num_batched_tokens, 1u)),
        granted_(candidates.size(), 0) {}

  // As many of the candidate's pending tokens as `most` and the limits allow; returns how many.
  std::uint32_t grant(std::size_t index, std::uint32_t most) {
    std::uint32_t& share = granted_[index];
    const std::uint32_t more = std::min({candidates_[index].pending_tokens - share, most, tokens_});
    if (more == 0 || (share == 0 && sequences_ == 0)) return 0;
    if (share == 0) --sequences_;
    share += more;
    tokens_ -= more;
    return more;
  }
  std::vector<std::uint32_t> take() { return std::move(granted_); }

 private:
  const std::span<const BatchCandidate> candidates_;
  std::uint32_t sequences_;
  std::uint32_t tokens_;
  std::vector<std::uint32_t> granted_;
};

}  // namespace

std::vector<std::uint32_t> plan_batch(std::span<const BatchCandidate> candidates, const BatchLimits& limits) {
  Batch batch(candidates, limits);
  bool decodes = false;
  for (std::size_t i = 0; i < candidates.size(); ++i)
    if (candidates[i].decoding) decodes = batch.grant(i, 1) > 0 || decodes;
  const std::uint32_t threshold = limits.long_prefill_token_threshold > 0 ? limits.long_prefill_token_threshold : std::max(limits.max_num_batched_tokens / 4, 1u);
  std::uint32_t for_long = threshold;
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    if (candidates[i].decoding) continue;
    if (candidates[i].pending_tokens > threshold) for_long -= batch.grant(i, for_long);
    else batch.grant(i, threshold);
  }
  if (!decodes)
    for (std::size_t i = 0; i < candidates.size(); ++i) batch.grant(i, candidates[i].pending_tokens);
  return batch.take();
}

}  // namespace baton
