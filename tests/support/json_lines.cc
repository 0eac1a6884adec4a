// SPDX-License-Identifier: Apache-2.0
#include "tests/support/json_lines.h"

#include <cstdlib>
#include <fstream>

#include "runtime/base/check.h"

namespace baton::test {
namespace {

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  Json parse_document() {
    Json value = parse_value();
    skip_space();
    CHECK(at_ == text_.size(), "more after the JSON value");
    return value;
  }

 private:
  char peek() const {
    CHECK(at_ < text_.size(), "JSON ends early");
    return text_[at_];
  }
  void skip_space() {
    while (at_ < text_.size() && std::string_view(" \t\r\n").find(text_[at_]) != std::string_view::npos) ++at_;
  }
  void expect(std::string_view word) {
    CHECK(text_.substr(at_, word.size()) == word, "unexpected JSON");
    at_ += word.size();
  }
  bool take(char c) {
    skip_space();
    if (peek() != c) return false;
    ++at_;
    return true;
  }

  Json parse_value() {
    skip_space();
    Json value;
    switch (peek()) {
      case '{': parse_object(value); break;
      case '[': parse_array(value); break;
      case '"':
        value.kind = Json::Kind::kString;
        value.text = parse_string();
        break;
      case 't': expect("true"), value.kind = Json::Kind::kBool, value.number = 1; break;
      case 'f': expect("false"), value.kind = Json::Kind::kBool; break;
      case 'n': expect("null"); break;
      default: parse_number(value); break;
    }
    return value;
  }

  void parse_object(Json& value) {
    value.kind = Json::Kind::kObject;
    ++at_;
    if (take('}')) return;
    do {
      skip_space();
      value.names.push_back(parse_string());
      CHECK(take(':'));
      value.items.push_back(parse_value());
    } while (take(','));
    CHECK(take('}'));
  }

  void parse_array(Json& value) {
    value.kind = Json::Kind::kArray;
    ++at_;
    if (take(']')) return;
    do {
      value.items.push_back(parse_value());
    } while (take(','));
    CHECK(take(']'));
  }

  void parse_number(Json& value) {
    value.kind = Json::Kind::kNumber;
    const std::string digits(text_.substr(at_, 40));
    char* end = nullptr;
    value.number = std::strtod(digits.c_str(), &end);
    CHECK(end != digits.c_str(), "not a JSON number");
    at_ += static_cast<std::size_t>(end - digits.c_str());
  }

  std::uint32_t parse_hex4() {
    const std::string digits(text_.substr(at_, 4));
    at_ += 4;
    return static_cast<std::uint32_t>(std::strtoul(digits.c_str(), nullptr, 16));
  }

  void append_escape(std::string& out) {
    const char c = peek();
    ++at_;
    constexpr std::string_view kNames = "\"\\/bfnrt";
    constexpr std::string_view kValues = "\"\\/\b\f\n\r\t";
    if (const std::size_t index = kNames.find(c); index != std::string_view::npos) {
      out += kValues[index];
      return;
    }
    CHECK(c == 'u', "unknown escape in a JSON string");
    std::uint32_t code = parse_hex4();
    if (code >= 0xD800 && code < 0xDC00) {
      expect("\\u");
      code = 0x10000 + ((code - 0xD800) << 10) + (parse_hex4() - 0xDC00);
    }
    append_utf8(code, out);
  }

  static void append_utf8(std::uint32_t code, std::string& out) {
    const auto tail = [&](int shift) { out += static_cast<char>(0x80 | ((code >> shift) & 0x3F)); };
    if (code < 0x80) {
      out += static_cast<char>(code);
    } else if (code < 0x800) {
      out += static_cast<char>(0xC0 | (code >> 6)), tail(0);
    } else if (code < 0x10000) {
      out += static_cast<char>(0xE0 | (code >> 12)), tail(6), tail(0);
    } else {
      out += static_cast<char>(0xF0 | (code >> 18)), tail(12), tail(6), tail(0);
    }
  }

  std::string parse_string() {
    CHECK(peek() == '"');
    ++at_;
    std::string out;
    while (peek() != '"') {
      if (peek() == '\\') {
        ++at_;
        append_escape(out);
      } else {
        out += text_[at_++];
      }
    }
    ++at_;
    return out;
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

}  // namespace

const Json* Json::find(std::string_view name) const {
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (names[i] == name) return &items[i];
  }
  return nullptr;
}

const Json& Json::at(std::string_view name) const {
  const Json* value = find(name);
  CHECK(value != nullptr, name);
  return *value;
}

std::vector<std::int32_t> Json::ints() const {
  std::vector<std::int32_t> out;
  for (const Json& item : items) out.push_back(static_cast<std::int32_t>(item.number));
  return out;
}

std::vector<float> Json::floats() const {
  std::vector<float> out;
  for (const Json& item : items) out.push_back(static_cast<float>(item.number));
  return out;
}

Json parse_json(std::string_view text) { return Parser(text).parse_document(); }

std::vector<Json> read_json_lines(const std::string& path) {
  std::ifstream in(path);
  CHECK(in.good(), "cannot open " + path);
  std::vector<Json> out;
  for (std::string line; std::getline(in, line);) {
    if (!line.empty()) out.push_back(parse_json(line));
  }
  return out;
}

}  // namespace baton::test
