// SPDX-License-Identifier: Apache-2.0
#include "models/chat_lexer.h"

#include <algorithm>
#include <charconv>

#include "models/chat_text.h"
#include "models/unicode.h"

namespace baton::chat {
namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool starts_name(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || static_cast<unsigned char>(c) >= 0x80;
}
bool continues_name(char c) { return starts_name(c) || is_digit(c); }

std::string with_plain_newlines(const std::string& source) {
  std::string out;
  out.reserve(source.size());
  for (std::size_t i = 0; i < source.size(); ++i) {
    if (source[i] != '\r') {
      out += source[i];
      continue;
    }
    out += '\n';
    if (i + 1 < source.size() && source[i + 1] == '\n') ++i;
  }
  return out;
}

class Lexer {
 public:
  explicit Lexer(std::string source) : source_(std::move(source)) {
    if (!source_.empty() && source_.back() == '\n') source_.pop_back();  // as Jinja's keep_trailing_newline=False
  }
  std::vector<Token> run();

 private:
  [[noreturn]] void fail_here(std::string what) const { throw Fault{ErrorCode::kInvalidArgument, std::move(what), line_}; }
  char peek(std::size_t ahead = 0) const { return at_ + ahead < source_.size() ? source_[at_ + ahead] : '\0'; }
  bool looking_at(std::string_view text, std::size_t at) const {
    return std::string_view(source_).substr(at).starts_with(text);
  }
  std::size_t skip_spaces(std::size_t at) const {
    while (at < source_.size() && is_python_space(source_, at)) at += code_point_bytes(source_, at);
    return at;
  }
  void move_to(std::size_t at) {
    line_ += static_cast<std::uint32_t>(std::count(source_.begin() + static_cast<std::ptrdiff_t>(at_),
                                                   source_.begin() + static_cast<std::ptrdiff_t>(at), '\n'));
    if (at > at_) line_starting_ = source_[at - 1] == '\n';
    at_ = at;
  }
  Token& push(TokenType type, std::string text) {
    Token& token = tokens_.emplace_back();
    token.type = type;
    token.line = line_;
    token.text = std::move(text);
    return token;
  }

  void add_text(std::size_t end, char sign, bool may_strip_line);
  std::size_t end_of_tag(std::size_t at, std::string_view closing) const;
  bool raw_block(std::size_t found);
  void comment();
  void inside_tag(bool block);
  void token_in_tag();
  void number();
  void integer_with_base(int base);
  void string();
  void escape(std::string& out, char quote);
  void operators();

  std::string source_;
  std::size_t at_ = 0;
  std::uint32_t line_ = 1;
  bool line_starting_ = true;  // what was matched last ended a line
  std::vector<char> open_;     // brackets that wait for their partner
  std::vector<Token> tokens_;
};

// The text up to `end`, less the white space that the tag there takes away.
void Lexer::add_text(std::size_t end, char sign, bool may_strip_line) {
  std::string_view text = std::string_view(source_).substr(at_, end - at_);
  if (sign == '-') {
    text = strip_right(text);
  } else if (sign != '+' && may_strip_line) {
    const std::size_t newline = text.rfind('\n');
    const std::size_t begin = newline == std::string_view::npos ? 0 : newline + 1;
    if ((begin > 0 || line_starting_) && strip_left(text.substr(begin)).empty()) text = text.substr(0, begin);
  }
  if (!text.empty()) push(TokenType::kText, std::string(text));
  move_to(end);
}

// Behind a tag's end that begins at `at`, with the white space it takes; npos: there is no end here.
std::size_t Lexer::end_of_tag(std::size_t at, std::string_view closing) const {
  if (source_[at] == '-' && looking_at(closing, at + 1)) return skip_spaces(at + 1 + closing.size());
  if (closing == "}}") return looking_at(closing, at) ? at + 2 : std::string::npos;
  if (source_[at] == '+' && looking_at(closing, at + 1)) return at + 1 + closing.size();
  if (!looking_at(closing, at)) return std::string::npos;
  const std::size_t behind = at + closing.size();
  return behind < source_.size() && source_[behind] == '\n' ? behind + 1 : behind;
}

// {% raw %} … {% endraw %}, if that is what begins at `found`.
bool Lexer::raw_block(std::size_t found) {
  std::size_t at = found + 2;
  const char sign = at < source_.size() && (source_[at] == '-' || source_[at] == '+') ? source_[at] : '\0';
  at = skip_spaces(sign != '\0' ? at + 1 : at);
  if (!looking_at("raw", at)) return false;
  at = skip_spaces(at + 3);
  if (looking_at("-%}", at)) at = skip_spaces(at + 3);
  else if (looking_at("%}", at)) at += 2;
  else return false;
  add_text(found, sign, true);
  move_to(at);
  for (std::size_t begin = source_.find("{%", at); begin != std::string::npos; begin = source_.find("{%", begin + 2)) {
    std::size_t inner = begin + 2;
    const char end_sign = inner < source_.size() && (source_[inner] == '-' || source_[inner] == '+') ? source_[inner] : '\0';
    inner = skip_spaces(end_sign != '\0' ? inner + 1 : inner);
    if (!looking_at("endraw", inner)) continue;
    inner = skip_spaces(inner + 6);
    if (inner >= source_.size()) break;
    const std::size_t behind = end_of_tag(inner, "%}");
    if (behind == std::string::npos) continue;
    add_text(begin, end_sign, true);
    move_to(behind);
    return true;
  }
  fail_here("{% raw %} has no {% endraw %}");
}

void Lexer::comment() {
  const std::size_t close = source_.find("#}", at_);
  if (close == std::string::npos) fail_here("a comment has no end: add #}");
  const char sign = close > at_ ? source_[close - 1] : '\0';
  std::size_t behind = close + 2;
  if (sign == '-') behind = skip_spaces(behind);
  else if (sign != '+' && behind < source_.size() && source_[behind] == '\n') ++behind;
  move_to(behind);
}

std::vector<Token> Lexer::run() {
  while (at_ < source_.size()) {
    std::size_t found = at_;
    do {
      found = source_.find('{', found);
      if (found == std::string::npos || found + 1 >= source_.size()) {
        found = std::string::npos;
        break;
      }
      const char next = source_[found + 1];
      if (next == '%' || next == '{' || next == '#') break;
      ++found;
    } while (true);
    if (found == std::string::npos) {
      push(TokenType::kText, source_.substr(at_));
      move_to(source_.size());
      break;
    }
    const char kind = source_[found + 1];
    if (kind == '%' && raw_block(found)) continue;
    const char sign =
        found + 2 < source_.size() && (source_[found + 2] == '-' || source_[found + 2] == '+') ? source_[found + 2] : '\0';
    add_text(found, sign, kind != '{');
    move_to(found + 2 + (sign != '\0'));
    if (kind == '#') comment();
    else inside_tag(kind == '%');
  }
  push(TokenType::kEnd, "");
  return std::move(tokens_);
}

void Lexer::inside_tag(bool block) {
  push(block ? TokenType::kBlockBegin : TokenType::kVariableBegin, "");
  open_.clear();
  while (at_ < source_.size()) {
    if (open_.empty()) {
      const std::size_t behind = end_of_tag(at_, block ? "%}" : "}}");
      if (behind != std::string::npos) {
        push(block ? TokenType::kBlockEnd : TokenType::kVariableEnd, "");
        move_to(behind);
        return;
      }
    }
    token_in_tag();
  }
  fail_here(block ? "a {% tag has no end: add %}" : "a {{ tag has no end: add }}");
}

void Lexer::token_in_tag() {
  const char c = peek();
  if (is_python_space(source_, at_)) return move_to(skip_spaces(at_));
  if (is_digit(c)) return number();
  if (starts_name(c)) {
    std::size_t end = at_;
    while (end < source_.size() && continues_name(source_[end])) ++end;
    push(TokenType::kName, source_.substr(at_, end - at_));
    return move_to(end);
  }
  if (c == '\'' || c == '"') return string();
  operators();
}

void Lexer::integer_with_base(int base) {
  std::size_t end = at_ + 2;
  std::string digits;
  const auto value = [](char c) {
    return is_digit(c) ? c - '0' : (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (c | 0x20) - 'a' + 10 : 99;
  };
  while (end < source_.size() && (value(source_[end]) < base || source_[end] == '_')) {
    if (source_[end] != '_') digits += source_[end];
    ++end;
  }
  std::int64_t number = 0;
  if (std::from_chars(digits.data(), digits.data() + digits.size(), number, base).ec != std::errc())
    fail_here("a number past 64 bits");
  push(TokenType::kInteger, "").integer = number;
  move_to(end);
}

void Lexer::number() {
  if (peek() == '0') {
    const char mark = static_cast<char>(peek(1) | 0x20);
    if (mark == 'x' || mark == 'o' || mark == 'b') return integer_with_base(mark == 'x' ? 16 : mark == 'o' ? 8 : 2);
  }
  std::string digits;
  std::size_t end = at_;
  const auto take_digits = [&] {
    while (end < source_.size() &&
           (is_digit(source_[end]) || (source_[end] == '_' && end + 1 < source_.size() && is_digit(source_[end + 1])))) {
      if (source_[end] != '_') digits += source_[end];
      ++end;
    }
  };
  take_digits();
  bool real = false;
  const bool may_be_real = at_ == 0 || source_[at_ - 1] != '.';  // in x.1.5 these are two subscripts
  if (may_be_real && end + 1 < source_.size() && source_[end] == '.' && is_digit(source_[end + 1])) {
    real = true;
    digits += '.';
    ++end;
    take_digits();
  }
  if (may_be_real && end + 1 < source_.size() && (source_[end] | 0x20) == 'e') {
    const bool sign = source_[end + 1] == '+' || source_[end + 1] == '-';
    if (end + 1 + sign < source_.size() && is_digit(source_[end + 1 + sign])) {
      real = true;
      digits += 'e';
      if (source_[end + 1] == '-') digits += '-';
      end += 1 + sign;
      take_digits();
    }
  }
  if (!real && digits.size() > 1 && digits[0] == '0' && digits.find_first_not_of('0') != std::string::npos)
    fail_here("a number begins with 0");
  Token& token = push(real ? TokenType::kFloat : TokenType::kInteger, "");
  const char *first = digits.data(), *last = first + digits.size();
  const auto outcome = real ? std::from_chars(first, last, token.real) : std::from_chars(first, last, token.integer);
  if (outcome.ec != std::errc()) fail_here("a number past 64 bits");
  move_to(end);
}

// One escape sequence of a string: at_ stands behind the backslash.
void Lexer::escape(std::string& out, char quote) {
  const char c = peek();
  static constexpr std::string_view kNames = "ntrabfv\\'\"", kMeanings = "\n\t\r\a\b\f\v\\'\"";
  if (const std::size_t i = kNames.find(c); i != std::string_view::npos) {
    out += kMeanings[i];
    ++at_;
    return;
  }
  if (c == '\n') {
    ++line_;
    ++at_;
    return;
  }
  const std::size_t digits = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
  if (digits > 0) {
    std::uint32_t code = 0;
    const char* first = source_.data() + at_ + 1;
    if (at_ + 1 + digits > source_.size() || std::from_chars(first, first + digits, code, 16).ptr != first + digits)
      fail_here("a string has a broken \\" + std::string(1, c) + " escape");
    if (code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF)) fail_here("a string has an escape that is no character");
    append_utf8(code, out);
    at_ += 1 + digits;
    return;
  }
  if (c >= '0' && c <= '7') {
    std::uint32_t code = 0;
    for (int i = 0; i < 3 && peek() >= '0' && peek() <= '7'; ++i)
      code = code * 8 + static_cast<std::uint32_t>(source_[at_++] - '0');
    return append_utf8(code, out);
  }
  if (c == 'N') fail_here("a string has a \\N escape, which is not supported: write the character");
  if (c == '\0' || c == quote) return;
  out += '\\';  // as Python keeps what it does not know
}

void Lexer::string() {
  const char quote = peek();
  const std::uint32_t line = line_;
  std::string out;
  ++at_;
  while (true) {
    if (at_ >= source_.size()) fail_here("a string that begins in line " + std::to_string(line) + " has no end");
    const char c = source_[at_];
    if (c == quote) break;
    ++at_;
    if (c == '\\') {
      escape(out, quote);
      continue;
    }
    if (c == '\n') ++line_;
    out += c;
  }
  ++at_;
  line_starting_ = false;
  push(TokenType::kString, std::move(out));
}

void Lexer::operators() {
  static constexpr std::string_view kOperators[] = {"//", "**", "==", "!=", ">=", "<=", "+", "-", "/", "*", "%", "~", "[",
                                                    "]",  "(",  ")",  "{",  "}",  ">",  "<", "=", ".", ":", "|", ",", ";"};
  for (const std::string_view text : kOperators) {
    if (!looking_at(text, at_)) continue;
    const char c = text[0];
    if (c == '(' || c == '[' || c == '{') {
      open_.push_back(c == '(' ? ')' : c == '[' ? ']' : '}');
    } else if (c == ')' || c == ']' || c == '}') {
      if (open_.empty() || open_.back() != c) fail_here("unexpected " + std::string(text));
      open_.pop_back();
    }
    push(TokenType::kOperator, std::string(text));
    return move_to(at_ + text.size());
  }
  fail_here("unexpected character " + quoted_repr(source_.substr(at_, code_point_bytes(source_, at_))));
}

}  // namespace

std::vector<Token> tokenize(const std::string& source) { return Lexer(with_plain_newlines(source)).run(); }

}  // namespace baton::chat
