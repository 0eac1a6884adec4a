// SPDX-License-Identifier: Apache-2.0
// /tokenize and /detokenize, after vLLM's: text or a conversation to ids, and ids to text. Pure; any thread.
#pragma once

#include <boost/json/object.hpp>
#include <cstdint>
#include <string_view>

#include "runtime/base/result.h"
#include "server/openai_error.h"
#include "server/openai_request.h"

namespace baton {

// {"prompt"} or {"messages"} to {"count","max_model_len","tokens","token_strs"}.
// A conversation may be longer than the context: its length is what is asked for. `now`: Unix seconds, for its template.
tl::expected<boost::json::object, ApiError> tokenize_body(std::string_view body, const OpenAiModel& model, std::int64_t now);
// {"tokens"} to {"prompt"}.
tl::expected<boost::json::object, ApiError> detokenize_body(std::string_view body, const OpenAiModel& model);

}  // namespace baton
