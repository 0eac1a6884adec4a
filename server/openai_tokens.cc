// SPDX-License-Identifier: Apache-2.0
#include "server/openai_tokens.h"

#include <boost/json/array.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "models/unicode.h"
#include "protocol/sampling_limits.h"
#include "runtime/base/json.h"
#include "server/openai_parts.h"

namespace baton {
namespace {

namespace json = boost::json;

std::vector<TokenId> read_ids(JsonFields& fields, const OpenAiModel& model, std::int64_t now) {
  const bool chat = fields.get("messages") != nullptr;
  const auto text = chat ? read_messages(fields, model, now) : fields.text("prompt", JsonLimits().bytes_max);
  if (!text) fields.refuse(bad_value("prompt", "must be a string (or give 'messages')"));
  // A template writes its special tokens itself.
  const bool special = fields.flag("add_special_tokens", !chat);
  if (fields.error()) return {};
  std::vector<TokenId> ids = model.tokenizer->encode(*text, {.add_special = special, .parse_special = true});
  if (ids.size() > kPromptTokensMax)
    fields.refuse(bad_value(chat ? "messages" : "prompt", "has " + std::to_string(ids.size()) + " tokens; at most " + std::to_string(kPromptTokensMax) + " are listed"));
  return ids;
}

}  // namespace

tl::expected<json::object, ApiError> tokenize_body(std::string_view body, const OpenAiModel& model, std::int64_t now) {
  const auto object = read_body(body);
  if (!object) return tl::unexpected(object.error());
  JsonFields fields(*object);
  read_model(fields, model);
  const bool strings = fields.flag("return_token_strs", false);
  const std::vector<TokenId> ids = read_ids(fields, model, now);
  if (fields.error()) return tl::unexpected(*fields.error());
  json::value texts = nullptr;
  if (strings) {
    json::array& list = texts.emplace_array();
    for (const TokenId id : ids) list.emplace_back(replace_invalid_utf8(model.tokenizer->token_bytes(id, true)));
  }
  return json::object{{"count", ids.size()},
                      {"max_model_len", model.max_model_len},
                      {"tokens", json::array(ids.begin(), ids.end())},
                      {"token_strs", std::move(texts)}};
}

tl::expected<json::object, ApiError> detokenize_body(std::string_view body, const OpenAiModel& model) {
  const auto object = read_body(body);
  if (!object) return tl::unexpected(object.error());
  JsonFields fields(*object);
  read_model(fields, model);
  if (fields.get("tokens") == nullptr) fields.refuse(bad_value("tokens", "must be a list of token ids"));
  const std::vector<TokenId> ids = fields.ids("tokens", kPromptTokensMax, model.tokenizer->vocab_size());
  if (fields.error()) return tl::unexpected(*fields.error());
  std::string bytes;
  for (const TokenId id : ids) bytes += model.tokenizer->token_bytes(id, true);
  return json::object{{"prompt", replace_invalid_utf8(bytes)}};
}

}  // namespace baton
