// SPDX-License-Identifier: Apache-2.0
// Whether sampling parameters can be honoured; the message names the parameter, its value and the allowed range. Ranges are
// OpenAI's and vLLM's where those have one; docs/sampling.md lists them. Pure.
#pragma once

#include <string>

#include "protocol/messages.h"
#include "protocol/sampling_params.h"
#include "runtime/base/result.h"

namespace baton {

// kInvalidArgument if a value is out of its range, or min_tokens above max_tokens.
Result<void> validate(const SamplingParams& sampling);
// The same for the ids in its lists and the model's vocabulary.
Result<void> validate_ids(const SamplingParams& sampling, std::uint32_t vocab_size);
// A name for people and logs: id, cache_salt. May be empty. `name` is what the message calls it.
Result<void> validate_label(const std::string& name, const std::string& text);
// What a submission has besides: its labels, n, stop strings, bad words.
Result<void> validate(const ClientSubmit& submit);

}  // namespace baton
