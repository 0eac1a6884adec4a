// SPDX-License-Identifier: Apache-2.0
// The list of what OpenAI's and vLLM's clients may ask for and this version does not do. A feature that gets built loses its line.
#include <algorithm>
#include <boost/json/array.hpp>

#include "server/openai_parts.h"

namespace baton {
namespace {

namespace json = boost::json;

constexpr const char* kStructured = "structured output comes with a later version";
constexpr const char* kTools = "tool calls come with a later version";
constexpr const char* kTextOnly = "this model reads and writes text";

// Refused with any value but null: for these, {}, [], 0 and "" ask for something.
struct Absent {
  const char* name;
  const char* why;
};
constexpr Absent kAbsent[] = {
    {"guided_json", kStructured},
    {"guided_regex", kStructured},
    {"guided_choice", kStructured},
    {"guided_grammar", kStructured},
    {"structured_outputs", kStructured},
    {"allowed_token_ids", "logit_bias can prefer tokens; a closed list comes with a later version"},
    {"prompt_logprobs", "completions give them with echo and logprobs"},
    {"logprob_token_ids", "logprobs gives the likeliest tokens"},
    {"audio", kTextOnly},
    {"prediction", "predicted outputs are not used"},
    {"web_search_options", "nothing is looked up"},
    {"chat_template", "the model's own is used; a request brings none"},
    {"repetition_detection", "use repetition_penalty or frequency_penalty"},
};

// Refused unless its value asks for nothing. The names of constraints are vLLM's, SGLang's and llama.cpp's.
constexpr Absent kIdleIfEmpty[] = {
    {"structural_tag", kStructured},
    {"json_schema", kStructured},
    {"grammar", kStructured},
    {"regex", kStructured},
    {"ebnf", kStructured},
    {"stop_regex", "give texts as stop"},
    {"use_beam_search", "answers are sampled; n gives several"},
    {"early_stopping", "answers are sampled; n gives several"},
    {"logits_processors", "no code is taken from requests"},
    {"prompt_embeds", "prompts are texts or token ids"},
    {"priority", "all requests are equal"},
    {"kv_transfer_params", "clients do not name workers or blocks"},
    {"ec_transfer_params", "clients do not name workers or blocks"},
    {"vllm_xargs", "they are vLLM's own"},
    {"suffix", "text is continued, not filled in"},
    {"tools", kTools},
    {"functions", kTools},
    {"documents", "put them into the messages"},
    {"mm_processor_kwargs", kTextOnly},
    {"media_io_kwargs", kTextOnly},
    {"store", "nothing is stored"},
    {"watermarking", "answers are not marked"},
    {"return_prompt_text", "completions repeat a prompt's text with echo"},
    {"return_token_offsets", "completions' logprobs have text_offset"},
};
constexpr Absent kIdleIfEmptyInChat[] = {{"echo", "a conversation is not repeated"}};

// Accepted: what these say does not change the answer's text.
constexpr const char* kTextsWithoutEffect[] = {"user", "safety_identifier", "prompt_cache_key", "prompt_cache_retention", "session_id"};
constexpr const char* kFlagsWithoutEffect[] = {"parallel_tool_calls", "spaces_between_special_tokens", "return_mm_kwargs"};
constexpr std::size_t kTextWithoutEffectMax = 64u << 10;

bool is_one_of(const json::value& value, std::initializer_list<const char*> words) {
  return value.is_string() && std::any_of(words.begin(), words.end(), [&](const char* word) { return value.as_string() == word; });
}

// Refused unless `good` says that what it asks for is what is done anyway.
template <class Good>
void refuse_unless(JsonFields& fields, const char* name, const char* why, Good good) {
  const json::value* const value = fields.get(name);
  if (value != nullptr && !good(*value)) fields.refuse(unsupported(name, why));
}

void refuse_formats(JsonFields& fields) {
  refuse_unless(fields, "response_format", kStructured, [](const json::value& value) {
    const auto* const object = value.if_object();
    return object != nullptr && object->contains("type") && is_one_of(object->at("type"), {"text"});
  });
  refuse_unless(fields, "tool_choice", kTools, [](const json::value& value) { return is_one_of(value, {"none", "auto"}); });
  refuse_unless(fields, "function_call", kTools, [](const json::value& value) { return is_one_of(value, {"none", "auto"}); });
  refuse_unless(fields, "modalities", kTextOnly, [](const json::value& value) {
    const auto* const list = value.if_array();
    return list != nullptr && std::all_of(list->begin(), list->end(), [](const json::value& each) { return is_one_of(each, {"text"}); });
  });
  refuse_unless(fields, "reasoning_effort", "reasoning is not steered", [](const json::value& value) { return is_one_of(value, {"none"}); });
  refuse_unless(fields, "verbosity", "it is not steered", [](const json::value& value) { return is_one_of(value, {"medium"}); });
}

}  // namespace

void refuse_unsupported(JsonFields& fields, CallKind kind) {
  const auto never = [](const json::value&) { return false; };
  for (const Absent& each : kAbsent) refuse_unless(fields, each.name, each.why, never);
  for (const Absent& each : kIdleIfEmpty) refuse_unless(fields, each.name, each.why, asks_nothing);
  if (kind == CallKind::kChat)
    for (const Absent& each : kIdleIfEmptyInChat) refuse_unless(fields, each.name, each.why, asks_nothing);
  refuse_formats(fields);
  const auto yes = [](const json::value& value) { return value.is_bool() && value.as_bool(); };
  const auto is = [](std::int64_t number) { return [number](const json::value& value) { return integer_of(value) == number; }; };
  refuse_unless(fields, "skip_special_tokens", "special tokens are never part of the text", yes);
  refuse_unless(fields, "include_reasoning", "reasoning is not told apart from the answer", yes);
  refuse_unless(fields, "thinking_token_budget", "reasoning is not told apart from the answer", is(-1));
  refuse_unless(fields, "stream_interval", "what has come is sent at once", is(1));
  refuse_unless(fields, "length_penalty", "it is of beam search, and answers are sampled", is(1));
  refuse_unless(fields, "service_tier", "there is one", [](const json::value& value) { return is_one_of(value, {"auto", "default"}); });
  for (const char* name : kTextsWithoutEffect) fields.text(name, kTextWithoutEffectMax);
  for (const char* name : kFlagsWithoutEffect) fields.flag(name);
  if (const json::value* const metadata = fields.get("metadata"); metadata != nullptr && !metadata->is_object())
    fields.refuse(bad_value("metadata", "must be an object, not " + shown(*metadata)));
}

}  // namespace baton
