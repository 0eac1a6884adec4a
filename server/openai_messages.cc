// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <boost/json/array.hpp>
#include <iterator>
#include <string>
#include <utility>

#include "models/chat_text.h"
#include "runtime/base/json.h"
#include "server/openai_parts.h"

namespace baton {
namespace {

namespace json = boost::json;

// Stands behind the last message while the template runs, as in transformers, to find that message's end in what it writes. The space
// tells whether the template trims messages.
constexpr std::string_view kEndOfLast = "CONTINUE_FINAL_MESSAGE_TAG ";

// What the template is told by other means; a variable of that name would be lost.
constexpr const char* kReservedVariables[] = {"messages", "tools", "documents", "add_generation_prompt", "continue_final_message", "bos_token", "eos_token", "chat_template"};

constexpr const char* kRoles[] = {"system", "developer", "user", "assistant", "tool", "function"};

std::string place(std::size_t index) { return "messages[" + std::to_string(index) + ']'; }

// The texts of content parts, a line each, as vLLM gives them to templates that want a string.
tl::expected<std::string, ApiError> join_parts(const json::array& parts, const std::string& where) {
  std::string text;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const json::value* const type = json_member(parts[i], "type");
    if (type == nullptr || !type->is_string()) return tl::unexpected(bad_value("messages", "has a part without a type in " + where + ".content"));
    // An answer of the model's own that a client sends back may be a refusal; it is text to the model.
    const std::string_view kind = type->as_string();
    if (kind != "text" && kind != "refusal")
      return tl::unexpected(unsupported("messages", where + ".content has a part of type " + shown(*type) + "; this model reads text"));
    const json::value* const part = json_member(parts[i], kind);
    if (part == nullptr || !part->is_string()) return tl::unexpected(bad_value("messages", "has a text part without text in " + where + ".content"));
    if (i > 0) text += '\n';
    text += part->as_string();
  }
  return text;
}

// Templates write arguments by tojson, so they get the value and not the text that the API has.
// `room`: how many values the arguments of all messages may still have; they are JSON within a string, which nobody has counted yet.
tl::expected<void, ApiError> open_arguments(json::value& calls, const std::string& where, std::size_t& room) {
  if (!calls.is_array()) return tl::unexpected(bad_value("messages", "has " + where + ".tool_calls that is no list"));
  for (json::value& call : calls.as_array()) {
    json::object* const function = call.is_object() && call.as_object().contains("function") ? call.as_object().at("function").if_object() : nullptr;
    if (function == nullptr) return tl::unexpected(bad_value("messages", "has a call without a function in " + where + ".tool_calls"));
    const auto arguments = function->find("arguments");
    if (arguments == function->end() || !arguments->value().is_string()) continue;
    const std::string_view text = arguments->value().as_string();
    const std::size_t values = count_json_values(text);
    if (values > room)
      return tl::unexpected(bad_value("messages", "has arguments of more than " + std::to_string(JsonLimits().values_max) + " values in tool_calls"));
    room -= values;
    auto parsed = parse_json(text.empty() ? "{}" : text);  // "" is what some clients make of a call without arguments
    if (!parsed) return tl::unexpected(bad_value("messages", "has arguments that are no JSON in " + where + ".tool_calls"));
    arguments->value() = std::move(*parsed);
  }
  return {};
}

// OpenAI's libraries send answers back with what these lack as null, and templates ask whether a member is there.
json::object without_nulls(const json::object& message) {
  json::object kept;
  for (const auto& member : message)
    if (!member.value().is_null()) kept.emplace(member.key(), member.value());
  return kept;
}

tl::expected<json::object, ApiError> read_message(const json::value& value, std::size_t index, bool knows_developer, std::size_t& room) {
  const std::string where = place(index);
  if (!value.is_object()) return tl::unexpected(bad_value("messages", "must be objects; " + where + " is " + shown(value)));
  json::object message = without_nulls(value.as_object());
  const json::value* const role = message.if_contains("role");
  const auto is_role = [&](const char* each) { return role != nullptr && role->is_string() && role->as_string() == each; };
  if (std::none_of(std::begin(kRoles), std::end(kRoles), is_role))
    return tl::unexpected(bad_value("messages", "has " + where + ".role, which must be system, developer, user, assistant, tool or function"));
  const bool assistant = is_role("assistant");
  // The newer name of "system"; most templates would take it for a speaker of its own.
  if (is_role("developer") && !knows_developer) message["role"] = "system";
  if (message.contains("audio")) return tl::unexpected(unsupported("messages", where + ".audio names a sound; this model reads text"));
  const auto content = message.find("content");
  if (content == message.end()) {
    if (!assistant) return tl::unexpected(bad_value("messages", "needs " + where + ".content"));
    message["content"] = "";
  } else if (content->value().is_array()) {
    auto text = join_parts(content->value().as_array(), where);
    if (!text) return tl::unexpected(std::move(text.error()));
    message["content"] = *text;
  } else if (!content->value().is_string()) {
    return tl::unexpected(bad_value("messages", "has " + where + ".content, which must be a string or a list of parts, not " + shown(content->value())));
  }
  if (const auto calls = message.find("tool_calls"); calls != message.end()) {
    if (auto opened = open_arguments(calls->value(), where, room); !opened) return tl::unexpected(std::move(opened.error()));
    if (calls->value().as_array().empty()) message.stable_erase(calls);
  }
  return message;
}

std::optional<json::array> read_list(JsonFields& fields, bool knows_developer) {
  const json::value* const value = fields.get("messages");
  if (value == nullptr || !value->is_array() || value->as_array().empty()) {
    fields.refuse(bad_value("messages", "must be a list of at least one message"));
    return std::nullopt;
  }
  json::array messages;
  std::size_t room = JsonLimits().values_max;
  for (std::size_t i = 0; i < value->as_array().size(); ++i) {
    auto message = read_message(value->as_array()[i], i, knows_developer, room);
    if (!message) {
      fields.refuse(std::move(message.error()));
      return std::nullopt;
    }
    messages.emplace_back(std::move(*message));
  }
  return messages;
}

// The last message is left open for the model to go on with, as transformers does it: what the template writes behind it is cut off.
bool cut_behind(std::string& text, std::string_view last) {
  const std::size_t at = text.rfind(kEndOfLast.substr(0, kEndOfLast.size() - 1));
  if (at == std::string::npos || chat::find_text(text, chat::strip(last)) == std::string::npos) return false;
  const bool trims = !std::string_view(text).substr(at).starts_with(kEndOfLast);
  text.resize(at);
  if (trims) text.resize(chat::strip_right(text).size());
  return true;
}

json::object read_variables(JsonFields& fields) {
  const json::value* const kwargs = fields.get("chat_template_kwargs");
  json::object variables;
  if (kwargs != nullptr && !kwargs->is_object()) fields.refuse(bad_value("chat_template_kwargs", "must be an object, not " + shown(*kwargs)));
  else if (kwargs != nullptr) variables = kwargs->as_object();
  for (const char* name : kReservedVariables)
    if (variables.contains(name)) fields.refuse(bad_value("chat_template_kwargs", "cannot set '" + std::string(name) + "'"));
  // After vLLM; other efforts are refused.
  const json::value* const effort = fields.get("reasoning_effort");
  if (effort != nullptr && !variables.contains("enable_thinking")) variables["enable_thinking"] = false;
  return variables;
}

}  // namespace

std::optional<std::string> read_messages(JsonFields& fields, const OpenAiModel& model, std::int64_t now) {
  auto messages = read_list(fields, model.chat_template != nullptr && model.chat_template->source().find("developer") != std::string::npos);
  ChatInput input;
  const bool goes_on = fields.flag("continue_final_message", false);
  input.add_generation_prompt = fields.flag("add_generation_prompt", !goes_on);
  if (goes_on && input.add_generation_prompt)
    fields.refuse(bad_value("continue_final_message", "and add_generation_prompt exclude each other"));
  input.variables = read_variables(fields);
  if (!model.chat_template)
    fields.refuse({400, "the model has no chat template: use /v1/completions", "messages", "unsupported_parameter"});
  if (fields.error()) return std::nullopt;
  json::string& content = messages->back().as_object().at("content").as_string();
  const std::string last(content);
  if (goes_on) content.append(kEndOfLast);
  input.messages = std::move(*messages);
  input.now = static_cast<std::time_t>(now);
  auto text = model.chat_template->render(input);
  if (!text) fields.refuse({400, "the model's chat template: " + text.error().message, "messages", "invalid_request_error"});
  else if (goes_on && !cut_behind(*text, last))
    fields.refuse(bad_value("continue_final_message", "needs a last message whose content the template writes as it is"));
  if (fields.error()) return std::nullopt;
  return std::move(*text);
}

}  // namespace baton
