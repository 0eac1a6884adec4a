// SPDX-License-Identifier: Apache-2.0
#include "server/openai_logprobs.h"

#include <algorithm>
#include <utility>

#include "models/unicode.h"

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

std::string ChoiceLogprobs::text_of(TokenId token) const { return tokenizer_.token_bytes(token, true); }

std::string ChoiceLogprobs::name_of(TokenId token) const {
  return call_.tokens_as_ids ? "token_id:" + std::to_string(token) : replace_invalid_utf8(text_of(token));
}

json::object ChoiceLogprobs::chat_entry(TokenId token, float logprob) const {
  json::array bytes;
  for (const char c : text_of(token)) bytes.emplace_back(static_cast<unsigned char>(c));
  return {{"token", name_of(token)}, {"logprob", finite(logprob)}, {"bytes", std::move(bytes)}};
}

void ChoiceLogprobs::add_chat(const ClientToken& token) {
  json::object entry = chat_entry(token.token, token.logprob);
  json::array top;
  for (const ClientLogprob& each : token.top) top.emplace_back(chat_entry(each.token, each.logprob));
  entry["top_logprobs"] = std::move(top);
  content_.emplace_back(std::move(entry));
}

// `known`: nullptr for a prompt's first token, of which nothing is known.
void ChoiceLogprobs::add_completion(TokenId token, const ClientToken* known) {
  tokens_.emplace_back(name_of(token));
  offsets_.emplace_back(offset_);
  offset_ += characters(tokenizer_.token_bytes(token, false));
  if (known == nullptr) {
    logprobs_.emplace_back(nullptr);
    tops_.emplace_back(nullptr);
    return;
  }
  logprobs_.emplace_back(finite(known->logprob));
  json::object top;  // the likeliest ones, and the token itself; of two tokens of one text the likelier one is shown
  for (const ClientLogprob& each : known->top) top.emplace(name_of(each.token), finite(each.logprob));
  top.emplace(name_of(token), finite(known->logprob));
  tops_.emplace_back(std::move(top));
}

void ChoiceLogprobs::add_prompt(const std::vector<TokenId>& ids, const std::vector<ClientToken>& known) {
  for (std::size_t i = 0; i < ids.size(); ++i) add_completion(ids[i], i > 0 && i <= known.size() ? &known[i - 1] : nullptr);
}

void ChoiceLogprobs::add(const ClientToken& token) {
  if (call_.kind == CallKind::kChat) add_chat(token);
  else add_completion(token.token, &token);
}

json::value ChoiceLogprobs::take() {
  if (call_.kind == CallKind::kChat) {
    if (content_.empty()) return nullptr;
    return json::object{{"content", std::exchange(content_, {})}, {"refusal", nullptr}};
  }
  if (tokens_.empty()) return nullptr;
  return json::object{{"text_offset", std::exchange(offsets_, {})},
                      {"token_logprobs", std::exchange(logprobs_, {})},
                      {"tokens", std::exchange(tokens_, {})},
                      {"top_logprobs", std::exchange(tops_, {})}};
}

}  // namespace baton
