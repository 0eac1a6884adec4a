// SPDX-License-Identifier: Apache-2.0
// OpenAiCall: the body of a completion or chat completion, understood and checked: one job per prompt, and how to answer. Reading
// one renders the chat template and tokenises, so it is done off the HTTP thread; pure, any thread, nothing kept. Limits
// (failure-model.md S7) are checked before anything is allocated by them.
// After OpenAI's openapi.yaml 2.3.0 and vLLM's names for what goes beyond it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "models/chat_template.h"
#include "models/tokenizer.h"
#include "protocol/messages.h"
#include "runtime/base/result.h"
#include "server/openai_error.h"

namespace baton {

// What is served. Borrows the tokenizer; immutable.
struct OpenAiModel {
  std::vector<std::string> names;  // served_model_name; the first one is the usual one
  std::uint32_t max_model_len = 0;
  std::int64_t created = 0;        // Unix seconds
  std::string version;             // of baton
  std::string fingerprint;         // system_fingerprint
  const Tokenizer* tokenizer = nullptr;
  std::shared_ptr<const ChatTemplate> chat_template;  // null: the model has none; chat completions are then refused
};

enum class CallKind : std::uint8_t { kCompletion, kChat };

struct OpenAiCall {
  CallKind kind = CallKind::kCompletion;
  std::string id;             // "cmpl-…" or "chatcmpl-…"
  std::string model;          // as asked for, or the first name
  std::int64_t created = 0;   // Unix seconds
  bool stream = false;
  bool include_usage = false;
  bool continuous_usage = false;
  std::uint32_t n = 1;
  bool echo = false;                // completions: the prompt stands before the answer
  bool score_only = false;          // echo with max_tokens 0: nothing is to be delivered of the one token that is computed
  bool logprobs = false;            // log-probabilities are part of the answer
  std::uint32_t top_logprobs = 0;
  bool return_token_ids = false;
  bool tokens_as_ids = false;       // return_tokens_as_token_ids: "token_id:17" in logprobs
  std::vector<ClientSubmit> jobs;   // one per prompt, each of n choices; choice c of prompt p is index p * n + c
  std::vector<std::string> prompts; // texts of the prompts, for echo only
  std::vector<std::string> ignored; // unknown members of the body: X-Ignored-Params
  std::optional<std::size_t> key;   // the API key that asked (HttpRequest::key)
};

// What the id of a body's answer will begin with.
const char* id_prefix(CallKind kind);

// The request_id of a body that is not read yet, so that the request can be named meanwhile: linear, builds nothing. "": it names none,
// or there are escapes in it or in a name beside it. Of a body that is no JSON it may be anything.
std::string peek_request_id(std::string_view body);

// `id_suffix`: what the answer's id ends in. `now`: Unix seconds.
tl::expected<OpenAiCall, ApiError> read_call(CallKind kind, std::string_view body, const OpenAiModel& model,
                                             const std::string& id_suffix, std::int64_t now);

}  // namespace baton
