// SPDX-License-Identifier: Apache-2.0
// What a job's parameters change about single tokens' logits before the temperature, as a list with each token once: engine/sampler.h's
// rules (docs/sampling.md) for an engine that applies them elsewhere. Pure.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/sampler.h"
#include "protocol/sampling_params.h"

namespace baton {

struct TokenChange {
  TokenId token = 0;
  bool forbidden = false;
  float bias = 0;
  std::uint32_t count = 0;  // in the answer, if a penalty asks
  bool in_prompt = false;   // likewise
};

// By rising token. Ids are those of parameters and history, which are inside the vocabulary.
std::vector<TokenChange> logit_changes(const SamplingParams& params, const DrawContext& context);

}  // namespace baton
