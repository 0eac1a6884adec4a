// SPDX-License-Identifier: Apache-2.0
// JSON in and out of chat templates, see chat_value.h.
#include <algorithm>
#include <boost/json/value.hpp>
#include <cmath>

#include "models/chat_text.h"
#include "models/chat_value.h"

namespace baton::chat {

Value from_json(const boost::json::value& json, ChatMeter& meter, std::uint32_t depth) {
  if (depth >= kValueDepthMax / 2)
    exhausted("the conversation's JSON is deeper than " + std::to_string(kValueDepthMax / 2) + " levels");
  switch (json.kind()) {
    case boost::json::kind::null: return Value::none();
    case boost::json::kind::bool_: return Value::of(json.get_bool());
    case boost::json::kind::int64: return Value::of(json.get_int64());
    case boost::json::kind::uint64:
      if (json.get_uint64() > INT64_MAX)
        exhausted("the conversation has the number " + std::to_string(json.get_uint64()) + ", past 64 bits");
      return Value::of(static_cast<std::int64_t>(json.get_uint64()));
    case boost::json::kind::double_: return Value::of(json.get_double());
    case boost::json::kind::string: return Value::string(std::string(json.get_string()));
    case boost::json::kind::array: {
      std::vector<Value> items;
      for (const auto& item : json.get_array()) items.push_back(from_json(item, meter, depth + 1));
      return Value::list(std::move(items));
    }
    case boost::json::kind::object: {
      std::vector<Entry> entries;
      for (const auto& member : json.get_object()) {
        entries.emplace_back(Value::string(std::string(member.key())), from_json(member.value(), meter, depth + 1));
      }
      return Value::dict(std::move(entries));
    }
  }
  return Value::none();
}

namespace {

// json.dumps of Python's standard library.
class JsonWriter {
 public:
  JsonWriter(const JsonStyle& style, ChatMeter& meter) : style_(style), meter_(meter) {}
  void value(const Value& value, std::size_t level);
  std::string take() { return std::move(out_); }

 private:
  void add(std::string_view text) {
    if (out_.size() + text.size() > meter_.limits().output_max) meter_.text(out_.size() + text.size());
    meter_.charge(1 + text.size() / 16);
    out_ += text;
  }
  void new_line(std::size_t level) {
    if (!style_.indented) return;
    add("\n");
    for (std::size_t i = 0; i < level; ++i) add(style_.indent);
  }
  void string(std::string_view text);
  void key(const Value& key);
  void list(const std::vector<Value>& items, std::size_t level);
  void dict(const std::vector<Entry>& entries, std::size_t level);

  const JsonStyle& style_;
  ChatMeter& meter_;
  std::string out_;
};

std::string number_text(const Value& value) {
  if (value.is(Kind::kBool)) return value.integer() != 0 ? "true" : "false";
  if (value.is(Kind::kInt)) return std::to_string(value.integer());
  if (std::isnan(value.real())) return "NaN";
  if (std::isinf(value.real())) return value.real() < 0 ? "-Infinity" : "Infinity";
  return float_text(value.real());
}

void append_unicode_escape(std::uint32_t unit, std::string& out) {
  static constexpr char kHex[] = "0123456789abcdef";
  out += {'\\', 'u', kHex[unit >> 12 & 15], kHex[unit >> 8 & 15], kHex[unit >> 4 & 15], kHex[unit & 15]};
}

std::uint32_t decode(std::string_view character) {
  const auto byte = [&](std::size_t i) { return static_cast<std::uint32_t>(static_cast<unsigned char>(character[i])); };
  switch (character.size()) {
    case 1: return byte(0);
    case 2: return (byte(0) & 0x1F) << 6 | (byte(1) & 0x3F);
    case 3: return (byte(0) & 0x0F) << 12 | (byte(1) & 0x3F) << 6 | (byte(2) & 0x3F);
    default: return (byte(0) & 0x07) << 18 | (byte(1) & 0x3F) << 12 | (byte(2) & 0x3F) << 6 | (byte(3) & 0x3F);
  }
}

void JsonWriter::string(std::string_view text) {
  std::string escaped = "\"";
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t bytes = code_point_bytes(text, at);
    const unsigned char byte = static_cast<unsigned char>(text[at]);
    switch (byte) {
      case '"': escaped += "\\\""; break;
      case '\\': escaped += "\\\\"; break;
      case '\n': escaped += "\\n"; break;
      case '\r': escaped += "\\r"; break;
      case '\t': escaped += "\\t"; break;
      case '\b': escaped += "\\b"; break;
      case '\f': escaped += "\\f"; break;
      default:
        if (byte < 0x20) {
          append_unicode_escape(byte, escaped);
        } else if (style_.ensure_ascii && byte >= 0x7f) {
          const std::uint32_t code = decode(text.substr(at, bytes));
          if (code >= 0x10000) append_unicode_escape(0xD800 + ((code - 0x10000) >> 10), escaped);
          append_unicode_escape(code >= 0x10000 ? 0xDC00 + ((code - 0x10000) & 0x3FF) : code, escaped);
        } else {
          escaped += text.substr(at, bytes);
        }
    }
    at += bytes;
  }
  add(escaped + "\"");
}

void JsonWriter::key(const Value& key) {
  if (key.is_string()) return string(key.text());
  if (key.is(Kind::kNone)) return add("\"null\"");
  if (!key.is_number()) refuse("a " + std::string(type_name(key)) + " cannot be a key in JSON");
  add("\"" + number_text(key) + "\"");
}

void JsonWriter::list(const std::vector<Value>& items, std::size_t level) {
  if (items.empty()) return add("[]");
  add("[");
  bool first = true;
  for (const Value& item : items) {
    if (!first) add(style_.item_separator);
    first = false;
    new_line(level + 1);
    value(item, level + 1);
  }
  new_line(level);
  add("]");
}

void JsonWriter::dict(const std::vector<Entry>& entries, std::size_t level) {
  if (entries.empty()) return add("{}");
  std::vector<const Entry*> order;
  for (const Entry& entry : entries) order.push_back(&entry);
  if (style_.sort_keys) {
    std::stable_sort(order.begin(), order.end(),
                     [this](const Entry* a, const Entry* b) { return less(a->first, b->first, meter_); });
  }
  add("{");
  bool first = true;
  for (const Entry* entry : order) {
    if (!first) add(style_.item_separator);
    first = false;
    new_line(level + 1);
    key(entry->first);
    add(style_.key_separator);
    value(entry->second, level + 1);
  }
  new_line(level);
  add("}");
}

void JsonWriter::value(const Value& value, std::size_t level) {
  if (level > kValueDepthMax) exhausted("JSON deeper than " + std::to_string(kValueDepthMax) + " levels");
  switch (value.kind()) {
    case Kind::kNone: return add("null");
    case Kind::kBool:
    case Kind::kInt:
    case Kind::kFloat: return add(number_text(value));
    case Kind::kString: return string(value.text());
    case Kind::kList:
    case Kind::kTuple: return list(value.items(), level);
    case Kind::kDict: return dict(value.entries(), level);
    case Kind::kUndefined: refuse("tojson of nothing: " + value.text());
    default: refuse("a " + std::string(type_name(value)) + " cannot become JSON");
  }
}

}  // namespace

std::string to_json(const Value& value, const JsonStyle& style, ChatMeter& meter) {
  JsonWriter writer(style, meter);
  writer.value(value, 0);
  return writer.take();
}

}  // namespace baton::chat
