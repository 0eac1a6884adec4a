// SPDX-License-Identifier: Apache-2.0
// Values of the chat template language: Python's, as far as a template can see them. All but namespaces (and the loop, cycler
// and joiner objects) are immutable, so values share their parts. A Value belongs to one rendering and one thread, apart from
// the constants of a parsed template, which nothing changes. Bounded: containers know how deep they are, so that nobody
// recurses further than kValueDepthMax; what makes long values charges a ChatMeter first.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "models/chat_template.h"
#include "runtime/base/result.h"

namespace baton::chat {

// The only exception here; parse() and render() of ChatTemplate catch it. It never leaves models/chat_*.
struct Fault {
  ErrorCode code = ErrorCode::kInvalidArgument;
  std::string message;
  std::uint32_t line = 0;  // 0: the line of the statement that was running
};
[[noreturn]] void refuse(std::string message);     // the template or the conversation is at fault
[[noreturn]] void exhausted(std::string message);  // a limit is passed

// Counts the work of one rendering.
class ChatMeter {
 public:
  explicit ChatMeter(const ChatTemplateLimits& limits) : limits_(limits) {}
  void charge(std::uint64_t steps) {
    steps_ += steps;
    if (steps_ > limits_.steps_max) [[unlikely]]
      passed_steps();
  }
  void charge_bytes(std::uint64_t bytes) { charge(1 + bytes / 64); }
  void text(std::uint64_t bytes);   // a string of that size is about to be made
  void items(std::uint64_t count);  // a list or dict of that size is about to be made
  const ChatTemplateLimits& limits() const { return limits_; }

 private:
  [[noreturn]] void passed_steps() const;
  ChatTemplateLimits limits_;
  std::uint64_t steps_ = 0;
};

inline constexpr std::uint32_t kValueDepthMax = 128;

enum class Kind : std::uint8_t {
  kUndefined,
  kNone,
  kBool,
  kInt,
  kFloat,
  kString,
  kList,
  kTuple,
  kRange,
  kView,       // of a dict: its keys, values or items
  kGenerator,  // what a filter yields: can be walked once
  kDict,
  kNamespace,
  kMethod,   // of a string, list, dict, …
  kBuiltin,  // a function of the environment
  kMacro,
  kLoop,
  kCycler,
  kJoiner,
};

struct Object {
  virtual ~Object() = default;
  std::uint32_t depth = 1;
};
struct ListObject;
struct DictObject;

class Value {
 public:
  Value() = default;
  static Value none() { return Value(Kind::kNone); }
  static Value of(bool value);
  static Value of(std::int64_t value);
  static Value of(double value);
  static Value undefined(std::string what);  // what: "'x' is undefined"
  static Value string(std::string text, bool markup = false);
  static Value list(std::vector<Value> items, Kind kind = Kind::kList);
  static Value dict(std::vector<std::pair<Value, Value>> items);
  static Value object(Kind kind, std::shared_ptr<Object> object);

  Kind kind() const { return kind_; }
  bool is(Kind kind) const { return kind_ == kind; }
  bool is_string() const { return kind_ == Kind::kString; }
  bool is_number() const { return kind_ == Kind::kBool || kind_ == Kind::kInt || kind_ == Kind::kFloat; }
  bool is_integral() const { return kind_ == Kind::kBool || kind_ == Kind::kInt; }
  bool has_items() const { return kind_ >= Kind::kList && kind_ <= Kind::kGenerator; }

  std::int64_t integer() const { return kind_ == Kind::kBool ? boolean_ : integer_; }
  double real() const { return kind_ == Kind::kFloat ? real_ : static_cast<double>(integer()); }
  const std::string& text() const;  // of a string, or why it is undefined
  bool markup() const;
  const std::vector<Value>& items() const;                      // has_items()
  const std::vector<std::pair<Value, Value>>& entries() const;  // kDict and kNamespace
  std::uint32_t depth() const { return object_ ? object_->depth : 0; }
  template <class T>
  T& as() const {
    return static_cast<T&>(*object_);
  }
  const Object* identity() const { return object_.get(); }

 private:
  explicit Value(Kind kind) : kind_(kind) {}
  Kind kind_ = Kind::kUndefined;
  union {
    bool boolean_;
    std::int64_t integer_ = 0;
    double real_;
  };
  std::shared_ptr<Object> object_;
};

using Entry = std::pair<Value, Value>;

struct StringObject : Object {
  std::string text;
  bool markup = false;
};
struct ListObject : Object {
  std::vector<Value> items;
  bool spent = false;     // of a generator
  std::int64_t stop = 0;  // of a range, as it was given
  std::string_view name;  // of a view or generator, as Python prints it
};
struct DictObject : Object {
  std::vector<Entry> entries;  // in order of insertion
  const Value* find(const Value& key, ChatMeter& meter) const;
  const Value* find(std::string_view key, ChatMeter& meter) const;
  void set(const Value& key, const Value& value, ChatMeter& meter);
};
struct MethodObject : Object {
  Value self;
  std::string name;
};
struct BuiltinObject : Object {
  std::string name;
};

std::string_view type_name(const Value& value);  // Python's
bool truth(const Value& value);
// Python's == ; never fails. Charges what it compares.
bool equal(const Value& left, const Value& right, ChatMeter& meter);
// Python's < ; refuses kinds that have no order.
bool less(const Value& left, const Value& right, ChatMeter& meter);
bool hashable(const Value& value);

// str() and repr(); the text is charged as it grows.
std::string to_text(const Value& value, ChatMeter& meter);
std::string to_repr(const Value& value, ChatMeter& meter);
std::string float_text(double value);

// What a for loop walks: a generator is spent by it. Refuses what cannot be walked.
std::vector<Value> walk(const Value& value, ChatMeter& meter);
// len(); refuses what has none.
std::uint64_t length_of(const Value& value, ChatMeter& meter);

// JSON in, and transformers' tojson out.
Value from_json(const boost::json::value& json, ChatMeter& meter, std::uint32_t depth = 0);
struct JsonStyle {
  bool ensure_ascii = false;
  bool sort_keys = false;
  bool indented = false;
  std::string indent;
  std::string item_separator = ", ";
  std::string key_separator = ": ";
};
std::string to_json(const Value& value, const JsonStyle& style, ChatMeter& meter);

}  // namespace baton::chat
