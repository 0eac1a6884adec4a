// SPDX-License-Identifier: Apache-2.0
// The parts that read_call() is made of. Each reads some members of the body through JsonFields, which keeps what is wrong. Pure;
// any thread. Internal to server/openai_*.cc.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "server/json_fields.h"
#include "server/openai_request.h"

namespace baton {

// The object that a body must be.
tl::expected<boost::json::object, ApiError> read_body(std::string_view body);
// The model that is asked for: of those served, or the first one where none is named.
std::string read_model(JsonFields& fields, const OpenAiModel& model);
// Everything of a job that is neither its prompt nor max_tokens: how tokens are drawn, when it ends, who shares its KV.
void read_sampling(JsonFields& fields, const OpenAiModel& model, ClientSubmit& job);
// Refuses what would change the answer and cannot be honoured; knows what may be there without effect.
void refuse_unsupported(JsonFields& fields, CallKind kind);
// The conversation as the model's template writes it.
std::optional<std::string> read_messages(JsonFields& fields, const OpenAiModel& model, std::int64_t now);

}  // namespace baton
