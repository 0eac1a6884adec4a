// SPDX-License-Identifier: Apache-2.0
// Whether sampling parameters can be honoured; the message names the parameter, its value and the allowed range. Ranges are
// OpenAI's and vLLM's where those have one; docs/sampling.md lists them. Pure.
#pragma once

#include "protocol/messages.h"
#include "protocol/sampling_params.h"
#include "runtime/base/result.h"

namespace baton {

// kInvalidArgument if a value is out of its range, or min_tokens above max_tokens.
Result<void> validate(const SamplingParams& sampling);
// The same for the ids in its lists and the model's vocabulary.
Result<void> validate_ids(const SamplingParams& sampling, std::uint32_t vocab_size);
// What a submission has besides: n, stop strings, bad words.
Result<void> validate(const ClientSubmit& submit);

}  // namespace baton
