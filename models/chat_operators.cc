// SPDX-License-Identifier: Apache-2.0
// Python's arithmetic, slices and numbers out of text, for Interpreter. Integers have 64 bits; what passes them is refused.
#include <algorithm>
#include <charconv>
#include <cmath>

#include "models/chat_interpreter.h"
#include "models/chat_text.h"

namespace baton::chat {
namespace {

[[noreturn]] void past_64_bits() { exhausted("a whole number past 64 bits"); }

std::int64_t floor_divide(std::int64_t a, std::int64_t b) {
  if (b == 0) refuse("division by zero");
  if (a == INT64_MIN && b == -1) past_64_bits();
  const std::int64_t quotient = a / b;
  return a % b != 0 && (a < 0) != (b < 0) ? quotient - 1 : quotient;
}

std::int64_t modulo(std::int64_t a, std::int64_t b) {
  if (b == 0) refuse("division by zero");
  if (b == -1) return 0;
  const std::int64_t rest = a % b;
  return rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest;
}

double modulo(double a, double b) {
  if (b == 0) refuse("division by zero");
  const double rest = std::fmod(a, b);
  if (rest == 0) return std::copysign(0.0, b);
  return (rest < 0) != (b < 0) ? rest + b : rest;
}

Value power(const Value& left, const Value& right) {
  if (!left.is_integral() || !right.is_integral() || right.integer() < 0) {
    if (left.real() == 0 && right.real() < 0) refuse("division by zero");
    const double result = std::pow(left.real(), right.real());
    if (std::isnan(result) && !std::isnan(left.real()) && !std::isnan(right.real())) refuse("the root of a negative number");
    if (std::isinf(result) && std::isfinite(left.real()) && std::isfinite(right.real()))
      refuse("a number past the range of floats");
    return Value::of(result);
  }
  std::int64_t base = left.integer(), result = 1, exponent = right.integer();
  while (exponent > 0) {
    if ((exponent & 1) != 0 && __builtin_mul_overflow(result, base, &result)) past_64_bits();
    exponent >>= 1;
    if (exponent > 0 && __builtin_mul_overflow(base, base, &base)) past_64_bits();
  }
  return Value::of(result);
}

Value integers(Operator operation, std::int64_t a, std::int64_t b) {
  std::int64_t result = 0;
  switch (operation) {
    case Operator::kAdd:
      if (__builtin_add_overflow(a, b, &result)) past_64_bits();
      return Value::of(result);
    case Operator::kSubtract:
      if (__builtin_sub_overflow(a, b, &result)) past_64_bits();
      return Value::of(result);
    case Operator::kMultiply:
      if (__builtin_mul_overflow(a, b, &result)) past_64_bits();
      return Value::of(result);
    case Operator::kFloorDivide: return Value::of(floor_divide(a, b));
    case Operator::kModulo: return Value::of(modulo(a, b));
    default:
      if (b == 0) refuse("division by zero");
      return Value::of(static_cast<double>(a) / static_cast<double>(b));
  }
}

Value reals(Operator operation, double a, double b) {
  switch (operation) {
    case Operator::kAdd: return Value::of(a + b);
    case Operator::kSubtract: return Value::of(a - b);
    case Operator::kMultiply: return Value::of(a * b);
    case Operator::kModulo: return Value::of(modulo(a, b));
    default:
      if (b == 0) refuse("division by zero");
      return Value::of(operation == Operator::kDivide ? a / b : std::floor(a / b));
  }
}

Value repeated(Interpreter& interpreter, const Value& what, std::int64_t times) {
  const std::uint64_t count = times < 0 ? 0 : static_cast<std::uint64_t>(times);
  ChatMeter& meter = interpreter.meter();
  const std::uint64_t size = what.is_string() ? what.text().size() : what.items().size();
  std::uint64_t total = 0;
  if (__builtin_mul_overflow(size, count, &total)) total = UINT64_MAX;
  if (what.is_string()) {
    meter.text(total);
    std::string out;
    out.reserve(total);
    if (total > 0) {
      for (std::uint64_t i = 0; i < count; ++i) out += what.text();
    }
    return Value::string(std::move(out), what.markup());
  }
  meter.items(total);
  std::vector<Value> items;
  if (total > 0) {
    for (std::uint64_t i = 0; i < count; ++i) items.insert(items.end(), what.items().begin(), what.items().end());
  }
  return Value::list(std::move(items), what.kind());
}

Value joined(Interpreter& interpreter, const Value& left, const Value& right) {
  if (left.is_string()) {
    const bool markup = left.markup() || right.markup();
    interpreter.meter().text(left.text().size() + right.text().size());
    if (!markup) return Value::string(left.text() + right.text());
    const std::string first = left.markup() ? left.text() : escape_html(left.text());
    return interpreter.make_text(first + (right.markup() ? right.text() : escape_html(right.text())), true);
  }
  std::vector<Value> items = left.items();
  interpreter.meter().items(items.size() + right.items().size());
  items.insert(items.end(), right.items().begin(), right.items().end());
  return Value::list(std::move(items), left.kind());
}

bool is_series(const Value& value) { return value.is_string() || value.is(Kind::kList) || value.is(Kind::kTuple); }

constexpr std::string_view kSigns[] = {"+", "-", "*", "/", "//", "%", "**"};

}  // namespace

Value Interpreter::arithmetic(Operator operation, const Value& left, const Value& right) {
  meter_.charge(1);
  if (left.is_number() && right.is_number()) {
    if (operation == Operator::kPower) return power(left, right);
    if (left.is_integral() && right.is_integral()) return integers(operation, left.integer(), right.integer());
    return reals(operation, left.real(), right.real());
  }
  if (operation == Operator::kModulo && left.is_string()) return make_text(format_percent(*this, left.text(), right));
  if (left.is(Kind::kUndefined)) refuse(left.text());
  if (right.is(Kind::kUndefined)) refuse(right.text());
  if (operation == Operator::kAdd && left.kind() == right.kind() && is_series(left)) return joined(*this, left, right);
  if (operation == Operator::kMultiply) {
    if (is_series(left) && right.is_integral()) return repeated(*this, left, right.integer());
    if (is_series(right) && left.is_integral()) return repeated(*this, right, left.integer());
  }
  refuse("cannot compute a " + std::string(type_name(left)) + " " + std::string(kSigns[static_cast<std::size_t>(operation)]) +
         " a " + std::string(type_name(right)));
}

std::int64_t whole_number(const Value& value, std::string_view what) {
  if (value.is(Kind::kUndefined)) refuse(value.text());
  if (!value.is_integral()) refuse(std::string(what) + " must be a whole number, not a " + std::string(type_name(value)));
  return value.integer();
}

SliceBounds slice_bounds(std::int64_t size, const Value& start, const Value& stop, const Value& step) {
  SliceBounds bounds;
  if (!step.is(Kind::kNone)) bounds.step = whole_number(step, "a slice's step");
  if (bounds.step == 0) refuse("a slice's step cannot be 0");
  if (bounds.step == INT64_MIN) bounds.step = -INT64_MAX;
  const bool down = bounds.step < 0;
  const auto place = [&](const Value& value, std::int64_t otherwise) {
    if (value.is(Kind::kNone)) return otherwise;
    std::int64_t at = whole_number(value, "a slice's bound");
    if (at < 0) at = at < -size ? -1 : at + size;
    if (down) return std::min(at, size - 1);
    return std::clamp<std::int64_t>(at, 0, size);
  };
  bounds.start = place(start, down ? size - 1 : 0);
  const std::int64_t end = place(stop, down ? -1 : size);
  if (down) bounds.count = bounds.start > end ? (bounds.start - end - 1) / -bounds.step + 1 : 0;
  else bounds.count = end > bounds.start ? (end - bounds.start - 1) / bounds.step + 1 : 0;
  return bounds;
}

std::optional<std::int64_t> integer_in(std::string_view text, std::int64_t base) {
  text = strip(text);
  bool negative = false;
  if (!text.empty() && (text[0] == '+' || text[0] == '-')) {
    negative = text[0] == '-';
    text.remove_prefix(1);
  }
  if (text.size() > 2 && text[0] == '0') {
    const char mark = static_cast<char>(text[1] | 0x20);
    if ((mark == 'x' && (base == 16 || base == 0)) || (mark == 'o' && (base == 8 || base == 0)) ||
        (mark == 'b' && (base == 2 || base == 0))) {
      base = mark == 'x' ? 16 : mark == 'o' ? 8 : 2;
      text.remove_prefix(2);
    }
  }
  if (base == 0) base = 10;
  if (base < 2 || base > 36) return std::nullopt;
  std::string digits = negative ? "-" : "";
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '_' && i > 0 && text[i - 1] != '_' && i + 1 < text.size()) continue;
    if (text[i] == '-') return std::nullopt;
    digits += text[i];
  }
  std::int64_t number = 0;
  const auto [end, problem] = std::from_chars(digits.data(), digits.data() + digits.size(), number, static_cast<int>(base));
  if (problem == std::errc::result_out_of_range) past_64_bits();
  if (problem != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
  return number;
}

std::optional<double> real_in(std::string_view text) {
  text = strip(text);
  if (!text.empty() && text[0] == '+') text.remove_prefix(1);
  if (!text.empty() && text[0] == '+') return std::nullopt;
  std::string digits;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool between =
        i > 0 && i + 1 < text.size() && text[i - 1] >= '0' && text[i - 1] <= '9' && text[i + 1] >= '0' && text[i + 1] <= '9';
    if (text[i] == '_' && between) continue;
    digits += text[i];
  }
  double number = 0;
  const auto [end, problem] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (end != digits.data() + digits.size() || digits.empty()) return std::nullopt;
  if (problem == std::errc::result_out_of_range) return digits.find("e-") != std::string::npos ? 0.0 : HUGE_VAL;
  if (problem != std::errc()) return std::nullopt;
  return number;
}

}  // namespace baton::chat
