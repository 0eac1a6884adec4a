// SPDX-License-Identifier: Apache-2.0
#include "models/chat_value.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>

#include "models/chat_text.h"
#include "runtime/base/check.h"

namespace baton::chat {

void refuse(std::string message) { throw Fault{ErrorCode::kInvalidArgument, std::move(message)}; }
void exhausted(std::string message) { throw Fault{ErrorCode::kResourceExhausted, std::move(message)}; }

void ChatMeter::passed_steps() const {
  exhausted("takes more than " + std::to_string(limits_.steps_max) +
            " steps: shorten the conversation, or simplify the template");
}

void ChatMeter::text(std::uint64_t bytes) {
  if (bytes > limits_.output_max) exhausted("makes a text longer than " + std::to_string(limits_.output_max) + " bytes");
  charge_bytes(bytes);
}

void ChatMeter::items(std::uint64_t count) {
  if (count > limits_.output_max / sizeof(Value)) {
    exhausted("makes a list of more than " + std::to_string(limits_.output_max / sizeof(Value)) + " items");
  }
  charge(1 + count);
}

// ---- making and taking apart -----------------------------------------------------------------------------------------

Value Value::of(bool value) {
  Value made(Kind::kBool);
  made.boolean_ = value;
  return made;
}

Value Value::of(std::int64_t value) {
  Value made(Kind::kInt);
  made.integer_ = value;
  return made;
}

Value Value::of(double value) {
  Value made(Kind::kFloat);
  made.real_ = value;
  return made;
}

Value Value::object(Kind kind, std::shared_ptr<Object> object) {
  if (object->depth > kValueDepthMax) exhausted("puts values deeper into each other than " + std::to_string(kValueDepthMax));
  Value made(kind);
  made.object_ = std::move(object);
  return made;
}

Value Value::string(std::string text, bool markup) {
  auto made = std::make_shared<StringObject>();
  made->text = std::move(text);
  made->markup = markup;
  return object(Kind::kString, std::move(made));
}

Value Value::undefined(std::string what) {
  auto made = std::make_shared<StringObject>();
  made->text = std::move(what);
  return object(Kind::kUndefined, std::move(made));
}

Value Value::list(std::vector<Value> items, Kind kind) {
  auto made = std::make_shared<ListObject>();
  for (const Value& item : items) made->depth = std::max(made->depth, item.depth() + 1);
  made->items = std::move(items);
  return object(kind, std::move(made));
}

Value Value::dict(std::vector<Entry> items) {
  auto made = std::make_shared<DictObject>();
  for (const auto& [key, value] : items) made->depth = std::max({made->depth, key.depth() + 1, value.depth() + 1});
  made->entries = std::move(items);
  return object(Kind::kDict, std::move(made));
}

const std::string& Value::text() const {
  CHECK(kind_ == Kind::kString || kind_ == Kind::kUndefined, "a value that is text");
  static const std::string nothing = "a value is undefined";
  return object_ ? static_cast<const StringObject&>(*object_).text : nothing;
}

bool Value::markup() const { return is_string() && static_cast<const StringObject&>(*object_).markup; }

const std::vector<Value>& Value::items() const {
  CHECK(has_items(), "a value with items");
  return static_cast<const ListObject&>(*object_).items;
}

const std::vector<Entry>& Value::entries() const {
  CHECK(kind_ == Kind::kDict || kind_ == Kind::kNamespace, "a value with entries");
  return static_cast<const DictObject&>(*object_).entries;
}

const Value* DictObject::find(std::string_view key, ChatMeter& meter) const {
  meter.charge(1 + entries.size() / 32);
  for (const auto& [name, value] : entries) {
    if (name.is_string() && name.text() == key) return &value;
  }
  return nullptr;
}

const Value* DictObject::find(const Value& key, ChatMeter& meter) const {
  if (!hashable(key)) refuse("a " + std::string(type_name(key)) + " cannot be a key");
  if (key.is_string()) return find(std::string_view(key.text()), meter);
  for (const auto& [name, value] : entries) {
    if (equal(name, key, meter)) return &value;
  }
  return nullptr;
}

void DictObject::set(const Value& key, const Value& value, ChatMeter& meter) {
  if (const Value* found = find(key, meter)) {
    *const_cast<Value*>(found) = value;  // ours: found in our own entries
    return;
  }
  meter.items(entries.size() / 64);
  entries.emplace_back(key, value);
}

std::string_view type_name(const Value& value) {
  switch (value.kind()) {
    case Kind::kUndefined: return "Undefined";
    case Kind::kNone: return "NoneType";
    case Kind::kBool: return "bool";
    case Kind::kInt: return "int";
    case Kind::kFloat: return "float";
    case Kind::kString: return "str";
    case Kind::kList: return "list";
    case Kind::kTuple: return "tuple";
    case Kind::kRange: return "range";
    case Kind::kView:
    case Kind::kGenerator: {
      const std::string_view name = value.as<ListObject>().name;
      return name.empty() ? "generator" : name;
    }
    case Kind::kDict: return "dict";
    case Kind::kNamespace: return "Namespace";
    case Kind::kMethod:
    case Kind::kBuiltin: return "function";
    case Kind::kMacro: return "Macro";
    case Kind::kLoop: return "LoopContext";
    case Kind::kCycler: return "Cycler";
    case Kind::kJoiner: return "Joiner";
  }
  return "object";
}

// ---- truth, equality, order ------------------------------------------------------------------------------------------

bool truth(const Value& value) {
  switch (value.kind()) {
    case Kind::kUndefined:
    case Kind::kNone: return false;
    case Kind::kBool:
    case Kind::kInt: return value.integer() != 0;
    case Kind::kFloat: return value.real() != 0;
    case Kind::kString: return !value.text().empty();
    case Kind::kList:
    case Kind::kTuple:
    case Kind::kRange:
    case Kind::kView: return !value.items().empty();
    case Kind::kDict: return !value.entries().empty();
    default: return true;
  }
}

namespace {

bool equal_numbers(const Value& left, const Value& right) {
  if (left.is_integral() && right.is_integral()) return left.integer() == right.integer();
  return left.real() == right.real();
}

bool equal_dicts(const Value& left, const Value& right, ChatMeter& meter) {
  if (left.entries().size() != right.entries().size()) return false;
  for (const auto& [key, value] : left.entries()) {
    const Value* other = right.as<DictObject>().find(key, meter);
    if (other == nullptr || !equal(value, *other, meter)) return false;
  }
  return true;
}

}  // namespace

bool equal(const Value& left, const Value& right, ChatMeter& meter) {
  meter.charge(1);
  if (left.is_number() && right.is_number()) return equal_numbers(left, right);
  if (left.kind() != right.kind()) return false;
  switch (left.kind()) {
    case Kind::kUndefined:
    case Kind::kNone: return true;
    case Kind::kString:
      meter.charge_bytes(std::min(left.text().size(), right.text().size()));
      return left.text() == right.text();
    case Kind::kList:
    case Kind::kTuple:
    case Kind::kRange: {
      if (left.identity() == right.identity()) return true;
      const auto &a = left.items(), &b = right.items();
      if (a.size() != b.size()) return false;
      for (std::size_t i = 0; i < a.size(); ++i) {
        if (!equal(a[i], b[i], meter)) return false;
      }
      return true;
    }
    case Kind::kDict: return left.identity() == right.identity() || equal_dicts(left, right, meter);
    case Kind::kMethod: {
      const auto &a = left.as<MethodObject>(), &b = right.as<MethodObject>();
      return a.name == b.name && a.self.identity() == b.self.identity();
    }
    default: return left.identity() == right.identity();
  }
}

bool less(const Value& left, const Value& right, ChatMeter& meter) {
  meter.charge(1);
  if (left.is_number() && right.is_number()) {
    if (left.is_integral() && right.is_integral()) return left.integer() < right.integer();
    return left.real() < right.real();
  }
  if (left.is_string() && right.is_string()) {
    meter.charge_bytes(std::min(left.text().size(), right.text().size()));
    return left.text() < right.text();  // the order of UTF-8 bytes is that of code points
  }
  if (left.kind() == right.kind() && (left.is(Kind::kList) || left.is(Kind::kTuple))) {
    const auto &a = left.items(), &b = right.items();
    for (std::size_t i = 0; i < a.size() && i < b.size(); ++i) {
      if (!equal(a[i], b[i], meter)) return less(a[i], b[i], meter);
    }
    return a.size() < b.size();
  }
  if (left.is(Kind::kUndefined)) refuse(left.text());
  if (right.is(Kind::kUndefined)) refuse(right.text());
  refuse("a " + std::string(type_name(left)) + " and a " + std::string(type_name(right)) + " have no order");
}

bool hashable(const Value& value) {
  if (value.is(Kind::kTuple)) return std::all_of(value.items().begin(), value.items().end(), hashable);
  return !value.is(Kind::kList) && !value.is(Kind::kDict) && !value.is(Kind::kView);
}

// ---- text ------------------------------------------------------------------------------------------------------------

std::string float_text(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
  char digits[40];
  const auto end = std::to_chars(digits, digits + sizeof digits, value, std::chars_format::scientific).ptr;
  std::string_view shortest(digits, static_cast<std::size_t>(end - digits));
  const std::size_t mark = shortest.find('e');
  int exponent = 0;
  const char* from = shortest.data() + mark + (shortest[mark + 1] == '+' ? 2 : 1);
  std::from_chars(from, end, exponent);
  if (exponent >= -4 && exponent < 16) {
    const auto fixed = std::to_chars(digits, digits + sizeof digits, value, std::chars_format::fixed).ptr;
    std::string text(digits, fixed);
    return text.find('.') == std::string::npos ? text + ".0" : text;
  }
  return std::string(shortest);  // Python's form too: at least two digits of exponent
}

namespace {

// Appends under the meter; `depth` guards against namespaces that hold themselves.
class TextWriter {
 public:
  explicit TextWriter(ChatMeter& meter) : meter_(meter) {}
  void add(std::string_view text) {
    if (out_.size() + text.size() > meter_.limits().output_max) meter_.text(out_.size() + text.size());
    meter_.charge(1 + text.size() / 16);
    out_ += text;
  }
  void repr(const Value& value, std::uint32_t depth);
  void text(const Value& value) {
    if (value.is_string()) add(value.text());
    else if (!value.is(Kind::kUndefined)) repr(value, 0);
  }
  std::string take() { return std::move(out_); }

 private:
  void series(const Value& value, std::string_view open, std::string_view close, std::uint32_t depth);
  void dict(const Value& value, std::uint32_t depth);
  ChatMeter& meter_;
  std::string out_;
};

void TextWriter::series(const Value& value, std::string_view open, std::string_view close, std::uint32_t depth) {
  add(open);
  bool first = true;
  for (const Value& item : value.items()) {
    if (!first) add(", ");
    first = false;
    repr(item, depth);
  }
  if (value.is(Kind::kTuple) && value.items().size() == 1) add(",");
  add(close);
}

void TextWriter::dict(const Value& value, std::uint32_t depth) {
  add("{");
  bool first = true;
  for (const auto& [key, item] : value.entries()) {
    if (!first) add(", ");
    first = false;
    repr(key, depth);
    add(": ");
    repr(item, depth);
  }
  add("}");
}

void TextWriter::repr(const Value& value, std::uint32_t depth) {
  if (depth > kValueDepthMax) exhausted("prints a value that holds itself");
  switch (value.kind()) {
    case Kind::kUndefined: return add("Undefined");
    case Kind::kNone: return add("None");
    case Kind::kBool: return add(value.integer() != 0 ? "True" : "False");
    case Kind::kInt: return add(std::to_string(value.integer()));
    case Kind::kFloat: return add(float_text(value.real()));
    case Kind::kString: return add((value.markup() ? "Markup(" : "") + quoted_repr(value.text()) + (value.markup() ? ")" : ""));
    case Kind::kList: return series(value, "[", "]", depth + 1);
    case Kind::kTuple: return series(value, "(", ")", depth + 1);
    case Kind::kRange: {
      const auto& items = value.items();
      const std::int64_t first = items.empty() ? 0 : items.front().integer();
      const std::int64_t step = items.size() < 2 ? 1 : items[1].integer() - first;
      const std::int64_t stop = value.as<ListObject>().stop;
      add("range(" + std::to_string(first) + ", " + std::to_string(stop));
      return add(step == 1 ? ")" : ", " + std::to_string(step) + ")");
    }
    case Kind::kView: add(value.as<ListObject>().name); return series(value, "([", "])", depth + 1);
    case Kind::kDict: return dict(value, depth + 1);
    case Kind::kNamespace:
      add("<Namespace ");
      dict(value, depth + 1);
      return add(">");
    default: return add("<" + std::string(type_name(value)) + " object>");
  }
}

}  // namespace

std::string to_text(const Value& value, ChatMeter& meter) {
  if (value.is_string()) {
    meter.charge_bytes(value.text().size());
    return value.text();
  }
  TextWriter writer(meter);
  writer.text(value);
  return writer.take();
}

std::string to_repr(const Value& value, ChatMeter& meter) {
  TextWriter writer(meter);
  writer.repr(value, 0);
  return writer.take();
}

// ---- walking ---------------------------------------------------------------------------------------------------------

std::vector<Value> walk(const Value& value, ChatMeter& meter) {
  switch (value.kind()) {
    case Kind::kUndefined: return {};
    case Kind::kString: {
      meter.items(2 * count_code_points(value.text()));
      std::vector<Value> items;
      for (std::size_t at = 0; at < value.text().size();) {
        const std::size_t bytes = code_point_bytes(value.text(), at);
        items.push_back(Value::string(value.text().substr(at, bytes)));
        at += bytes;
      }
      return items;
    }
    case Kind::kGenerator: {
      ListObject& generator = value.as<ListObject>();
      if (generator.spent) return {};
      generator.spent = true;
      return std::move(generator.items);
    }
    case Kind::kDict: {
      meter.items(value.entries().size());
      std::vector<Value> items;
      for (const auto& [key, item] : value.entries()) items.push_back(key);
      return items;
    }
    default:
      if (!value.has_items()) refuse("a " + std::string(type_name(value)) + " cannot be walked");
      meter.items(value.items().size());
      return value.items();
  }
}

std::uint64_t length_of(const Value& value, ChatMeter& meter) {
  switch (value.kind()) {
    case Kind::kUndefined: return 0;
    case Kind::kString: meter.charge_bytes(8 * value.text().size()); return count_code_points(value.text());
    case Kind::kDict: return value.entries().size();
    case Kind::kGenerator: break;
    default:
      if (value.has_items()) return value.items().size();
  }
  refuse("a " + std::string(type_name(value)) + " has no length");
}

}  // namespace baton::chat
