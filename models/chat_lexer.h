// SPDX-License-Identifier: Apache-2.0
// Cuts a chat template into tokens as Jinja 2 does with trim_blocks and lstrip_blocks: text, tags, comments, raw parts, and the
// white space that `-`, `+` and those two options take away. Pure; linear in the source.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "models/chat_value.h"

namespace baton::chat {

enum class TokenType : std::uint8_t {
  kText,
  kVariableBegin,
  kVariableEnd,
  kBlockBegin,
  kBlockEnd,
  kName,
  kString,
  kInteger,
  kFloat,
  kOperator,
  kEnd,
};

struct Token {
  TokenType type = TokenType::kEnd;
  std::uint32_t line = 1;
  std::string text;          // of text, names, operators and (with escapes resolved) strings
  std::int64_t integer = 0;  // of kInteger
  double real = 0;           // of kFloat

  bool is(std::string_view operator_text) const { return type == TokenType::kOperator && text == operator_text; }
  bool is_name(std::string_view name) const { return type == TokenType::kName && text == name; }
};

// The last token is kEnd. Throws Fault with the line.
std::vector<Token> tokenize(const std::string& source);

}  // namespace baton::chat
