// SPDX-License-Identifier: Apache-2.0
// Jinja's tests: what stands behind "is".
#include <algorithm>
#include <array>

#include "models/chat_interpreter.h"
#include "models/chat_text.h"

namespace baton::chat {
namespace {

struct Compared {
  std::string_view name;
  Operator operation;
};
constexpr Compared kCompared[] = {
    {"==", Operator::kEqual},
    {"eq", Operator::kEqual},
    {"equalto", Operator::kEqual},
    {"!=", Operator::kUnequal},
    {"ne", Operator::kUnequal},
    {"<", Operator::kLess},
    {"lt", Operator::kLess},
    {"lessthan", Operator::kLess},
    {"<=", Operator::kLessEqual},
    {"le", Operator::kLessEqual},
    {">", Operator::kGreater},
    {"gt", Operator::kGreater},
    {"greaterthan", Operator::kGreater},
    {">=", Operator::kGreaterEqual},
    {"ge", Operator::kGreaterEqual},
    {"in", Operator::kIn},
};

const Compared* find_compared(std::string_view name) {
  const auto* found =
      std::find_if(std::begin(kCompared), std::end(kCompared), [&](const Compared& entry) { return entry.name == name; });
  return found == std::end(kCompared) ? nullptr : found;
}

constexpr std::array<std::string_view, 24> kPlain = {"defined",  "undefined", "none",    "boolean", "true",        "false",
                                                     "integer",  "float",     "number",  "string",  "mapping",     "iterable",
                                                     "sequence", "callable",  "lower",   "upper",   "odd",         "even",
                                                     "filter",   "test",      "escaped", "sameas",  "divisibleby", "in"};

bool is_cased(const Value& value, bool wants_lower, ChatMeter& meter) {
  const std::string text = to_text(value, meter);
  meter.charge_bytes(8 * text.size());
  return all_in_class(text, wants_lower ? "islower" : "isupper");
}

bool divisible(Interpreter& interpreter, const Value& value, const Value& by) {
  return !truth(interpreter.arithmetic(Operator::kModulo, value, by));
}

bool is_same(const Value& left, const Value& right) {
  if (left.kind() != right.kind()) return false;
  if (left.is_integral()) return left.integer() == right.integer();
  return left.identity() == right.identity() && !left.is(Kind::kFloat);
}

bool test_kind(const std::string& name, const Value& value) {
  const Kind kind = value.kind();
  if (name == "defined") return kind != Kind::kUndefined;
  if (name == "undefined") return kind == Kind::kUndefined;
  if (name == "none") return kind == Kind::kNone;
  if (name == "boolean") return kind == Kind::kBool;
  if (name == "true") return kind == Kind::kBool && value.integer() != 0;
  if (name == "false") return kind == Kind::kBool && value.integer() == 0;
  if (name == "integer") return kind == Kind::kInt;
  if (name == "float") return kind == Kind::kFloat;
  if (name == "number") return value.is_number();
  if (name == "string") return value.is_string();
  if (name == "mapping") return kind == Kind::kDict;
  if (name == "escaped") return value.markup();
  if (name == "callable")
    return (kind >= Kind::kMethod && kind <= Kind::kLoop) || kind == Kind::kJoiner || kind == Kind::kUndefined;
  const bool walks =
      value.is_string() || value.has_items() || kind == Kind::kDict || kind == Kind::kUndefined || kind == Kind::kLoop;
  if (name == "iterable") return walks;
  return walks && kind != Kind::kGenerator && kind != Kind::kView && kind != Kind::kLoop;  // sequence
}

}  // namespace

bool has_test(std::string_view name) {
  return find_compared(name) != nullptr || std::find(kPlain.begin(), kPlain.end(), name) != kPlain.end();
}

bool Interpreter::apply_test(const std::string& name, const Value& value, const Passed& passed) {
  meter_.charge(1);
  if (const Compared* compared = find_compared(name)) {
    const Bound bound(name, passed, {"other"});
    return compare(compared->operation, value, bound.need(0));
  }
  if (!has_test(name)) refuse("unknown test '" + name + "'");
  if (name == "sameas" || name == "divisibleby") {
    const Bound bound(name, passed, {name == "sameas" ? "other" : "num"});
    return name == "sameas" ? is_same(value, bound.need(0)) : divisible(*this, value, bound.need(0));
  }
  const Bound nothing(name, passed, {});
  if (name == "lower" || name == "upper") return is_cased(value, name == "lower", meter_);
  if (name == "odd" || name == "even") {
    const Value rest = arithmetic(Operator::kModulo, value, Value::of(std::int64_t{2}));
    return equal(rest, Value::of(std::int64_t{name == "odd" ? 1 : 0}), meter_);
  }
  if (name == "filter") return value.is_string() && has_filter(value.text());
  if (name == "test") return value.is_string() && has_test(value.text());
  return test_kind(name, value);
}

}  // namespace baton::chat
