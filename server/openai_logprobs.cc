// SPDX-License-Identifier: Apache-2.0
#include "server/openai_logprobs.h"

#include <algorithm>
#include <boost/json/object.hpp>
#include <utility>

#include "models/unicode.h"
#include "server/json_text.h"

namespace baton {
namespace {

namespace json = boost::json;

constexpr float kUnlikely = -9999.0F;

double finite(float logprob) { return logprob > kUnlikely ? logprob : kUnlikely; }

// Bytes that begin a character: those of a half character at a token's end are counted once, with its beginning.
std::int64_t characters(std::string_view bytes) {
  return std::count_if(bytes.begin(), bytes.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; });
}

}  // namespace

std::string LogprobText::text_of(TokenId token) const { return tokenizer_.token_bytes(token, true); }

std::string LogprobText::name_of(TokenId token) const {
  return call_.tokens_as_ids ? "token_id:" + std::to_string(token) : replace_invalid_utf8(text_of(token));
}

// `top`: the inside of its list, where there is to be one.
std::string LogprobText::chat_entry(TokenId token, float logprob, const std::string* top) const {
  std::string bytes;
  for (const char c : text_of(token)) append_element(bytes, std::string_view(std::to_string(static_cast<unsigned char>(c))));
  ObjectText entry;
  entry.add_text("token", quoted_json(name_of(token))).add("logprob", finite(logprob)).add_text("bytes", list_of(bytes));
  if (top != nullptr) entry.add_text("top_logprobs", list_of(*top));
  return entry.take();
}

void LogprobText::add_chat(const ClientToken& token) {
  std::string top;
  for (const ClientLogprob& each : token.top) append_element(top, std::string_view(chat_entry(each.token, each.logprob, nullptr)));
  append_element(entries_, std::string_view(chat_entry(token.token, token.logprob, &top)));
}

void LogprobText::add_completion(TokenId token, const ClientToken* known) {
  const std::string name = name_of(token);
  append_element(entries_, std::string_view(quoted_json(name)));
  append_element(offsets_, std::string_view(std::to_string(offset_)));
  offset_ += characters(tokenizer_.token_bytes(token, false));
  if (known == nullptr) {
    append_element(logprobs_, json::value(nullptr));
    append_element(tops_, json::value(nullptr));
    return;
  }
  append_element(logprobs_, json::value(finite(known->logprob)));
  json::object top;  // the likeliest ones, and the token itself; of two tokens of one text the likelier one is shown
  for (const ClientLogprob& each : known->top) top.emplace(name_of(each.token), finite(each.logprob));
  top.emplace(name, finite(known->logprob));
  append_element(tops_, json::value(std::move(top)));
}

void LogprobText::stand_behind(const std::vector<TokenId>& prompt) {
  for (const TokenId token : prompt) offset_ += characters(tokenizer_.token_bytes(token, false));
}

void LogprobText::add(TokenId token, const ClientToken* known) {
  if (call_.kind == CallKind::kCompletion) add_completion(token, known);
  else if (known != nullptr) add_chat(*known);
}

std::string LogprobText::take(const LogprobText* prompt) {
  static const std::string kNone;
  const auto joined = [prompt](std::string LogprobText::*list, const std::string& own) {
    return list_of(prompt == nullptr ? kNone : prompt->*list, own);
  };
  if (entries_.empty() && (prompt == nullptr || prompt->entries_.empty())) return "null";
  ObjectText object;
  if (call_.kind == CallKind::kChat)
    return object.add_text("content", joined(&LogprobText::entries_, std::exchange(entries_, {}))).add("refusal", nullptr).take();
  return object.add_text("text_offset", joined(&LogprobText::offsets_, std::exchange(offsets_, {})))
      .add_text("token_logprobs", joined(&LogprobText::logprobs_, std::exchange(logprobs_, {})))
      .add_text("tokens", joined(&LogprobText::entries_, std::exchange(entries_, {})))
      .add_text("top_logprobs", joined(&LogprobText::tops_, std::exchange(tops_, {})))
      .take();
}

}  // namespace baton
