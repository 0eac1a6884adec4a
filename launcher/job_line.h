// SPDX-License-Identifier: Apache-2.0
// A line of a file of jobs: a JSON object with OpenAI's and vLLM's names. What it does not say is taken from `defaults`. Pure.
#pragma once

#include "runtime/base/json.h"
#include <functional>
#include <string>
#include <string_view>

#include "protocol/messages.h"
#include "runtime/base/result.h"

namespace baton {

// The ids of a conversation: an array of {"role", "content"}.
using ChatEncoder = std::function<Result<std::vector<TokenId>>(const boost::json::value& messages)>;

// Members: id, prompt (a text, or an array of token ids) or messages (where there is an encoder), max_tokens, temperature, top_p, top_k,
// min_p, seed, stop, stop_token_ids, include_stop_str_in_output, ignore_eos, min_tokens, repetition_penalty, presence_penalty,
// frequency_penalty, logit_bias, bad_words, cache_salt, n (1 only). Anything else is an error: nothing is ignored in silence.
Result<ClientSubmit> read_job_line(std::string_view line, const ClientSubmit& defaults, const ChatEncoder& chat);

}  // namespace baton
