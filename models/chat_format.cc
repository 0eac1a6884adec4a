// SPDX-License-Identifier: Apache-2.0
// Python's two ways to format text, for Interpreter: "…" % values and "…".format(…).
#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>

#include "models/chat_interpreter.h"
#include "models/chat_text.h"

namespace baton::chat {
namespace {

struct Layout {
  std::string fill = " ";
  char align = 0;  // < > ^ =; 0: by kind
  char sign = '-';
  bool alternate = false;
  char grouping = 0;  // , or _
  std::int64_t width = 0;
  std::int64_t precision = -1;
  char type = 0;
};

std::int64_t number_at(const std::string& text, std::size_t& at) {
  std::int64_t number = 0;
  while (at < text.size() && text[at] >= '0' && text[at] <= '9') {
    number = number * 10 + (text[at++] - '0');
    if (number > (1 << 26)) exhausted("a width of more than " + std::to_string(1 << 26) + " characters");
  }
  return number;
}

std::string grouped(std::string digits, char mark) {
  if (mark == 0) return digits;
  for (std::size_t end = std::min(digits.find_first_not_of("0123456789"), digits.size()); end > 3; end -= 3)
    digits.insert(end - 3, 1, mark);
  return digits;
}

std::string digits_of(std::uint64_t number, int base) {
  char digits[72];
  return {digits, std::to_chars(digits, digits + sizeof digits, number, base).ptr};
}

std::string float_digits(double value, const Layout& layout) {
  const char type = layout.type == 0 ? 'g' : layout.type == '%' ? 'f' : layout.type;
  const int precision = layout.precision < 0 ? 6 : static_cast<int>(std::min<std::int64_t>(layout.precision, 400));
  const char form[] = {'%',
                       layout.alternate ? '#' : '.',
                       layout.alternate ? '.' : '*',
                       layout.alternate ? '*' : type,
                       layout.alternate ? type : '\0',
                       '\0'};
  char text[1024];
  const int bytes = std::snprintf(text, sizeof text, form, precision, layout.type == '%' ? value * 100 : value);
  return std::string(text, static_cast<std::size_t>(std::clamp(bytes, 0, static_cast<int>(sizeof text) - 1))) +
         (layout.type == '%' ? "%" : "");
}

// The number without its sign.
std::string magnitude(const Value& value, const Layout& layout, bool& negative) {
  static constexpr std::string_view kIntegerTypes = "dxXobcni";
  const bool as_integer =
      value.is_integral() && (layout.type == 0 || kIntegerTypes.find(layout.type) != std::string_view::npos);
  if (!as_integer) {
    if (layout.type != 0 && std::string_view("eEfFgG%n").find(layout.type) == std::string_view::npos)
      refuse("a float cannot be formatted as '" + std::string(1, layout.type) + "'");
    const double real = value.real();
    negative = std::signbit(real) && !std::isnan(real);
    if (layout.type == 0 && layout.precision < 0) return grouped(float_text(std::fabs(real)), layout.grouping);
    return grouped(float_digits(std::fabs(real), layout), layout.grouping);
  }
  const std::int64_t number = value.integer();
  negative = number < 0;
  const std::uint64_t size = negative ? ~static_cast<std::uint64_t>(number) + 1 : static_cast<std::uint64_t>(number);
  switch (layout.type) {
    case 'x': return (layout.alternate ? "0x" : "") + digits_of(size, 16);
    case 'X': return (layout.alternate ? "0X" : "") + upper(digits_of(size, 16));
    case 'o': return (layout.alternate ? "0o" : "") + digits_of(size, 8);
    case 'b': return (layout.alternate ? "0b" : "") + digits_of(size, 2);
    default: return grouped(digits_of(size, 10), layout.grouping);
  }
}

std::string padded(ChatMeter& meter, const Layout& layout, const std::string& sign, const std::string& body,
                   char default_align) {
  const auto length = static_cast<std::int64_t>(count_code_points(sign) + count_code_points(body));
  if (length >= layout.width) return sign + body;
  const std::int64_t missing = layout.width - length;
  meter.text(static_cast<std::uint64_t>(missing) * layout.fill.size() + body.size());
  const char align = layout.align != 0 ? layout.align : default_align;
  const auto fill = [&layout](std::int64_t count) {
    std::string out;
    for (std::int64_t i = 0; i < count; ++i) out += layout.fill;
    return out;
  };
  if (align == '<') return sign + body + fill(missing);
  if (align == '^') return fill(missing / 2) + sign + body + fill(missing - missing / 2);
  if (align == '=') return sign + fill(missing) + body;
  return fill(missing) + sign + body;
}

std::string laid_out(ChatMeter& meter, const Value& value, const Layout& layout) {
  if (value.is_number()) {
    bool negative = false;
    const std::string body = magnitude(value, layout, negative);
    const std::string sign = negative ? "-" : layout.sign == '+' ? "+" : layout.sign == ' ' ? " " : "";
    return padded(meter, layout, sign, body, '>');
  }
  if (!value.is_string()) refuse("a " + std::string(type_name(value)) + " cannot be formatted with a width");
  std::string text = to_text(value, meter);
  if (layout.type != 0 && layout.type != 's')
    refuse("a " + std::string(type_name(value)) + " cannot be formatted as '" + std::string(1, layout.type) + "'");
  if (layout.precision >= 0) {
    const std::vector<std::size_t> offsets = code_point_offsets(text);
    meter.charge_bytes(8 * text.size());
    if (static_cast<std::size_t>(layout.precision) + 1 < offsets.size())
      text.resize(offsets[static_cast<std::size_t>(layout.precision)]);
  }
  return padded(meter, layout, "", text, '<');
}

// [[fill]align][sign][#][0][width][,][.precision][type]
Layout parse_layout(const std::string& text) {
  Layout layout;
  std::size_t at = 0;
  const auto is_align = [&text](std::size_t i) {
    return i < text.size() && std::string_view("<>^=").find(text[i]) != std::string_view::npos;
  };
  if (!text.empty() && is_align(code_point_bytes(text, 0))) {
    at = code_point_bytes(text, 0);
    layout.fill = text.substr(0, at);
    layout.align = text[at++];
  } else if (is_align(0)) {
    layout.align = text[at++];
  }
  if (at < text.size() && (text[at] == '+' || text[at] == '-' || text[at] == ' ')) layout.sign = text[at++];
  if (at < text.size() && text[at] == '#') layout.alternate = text[at++] == '#';
  if (at < text.size() && text[at] == '0') {
    ++at;
    if (layout.align == 0) {
      layout.fill = "0";
      layout.align = '=';
    }
  }
  layout.width = number_at(text, at);
  if (at < text.size() && (text[at] == ',' || text[at] == '_')) layout.grouping = text[at++];
  if (at < text.size() && text[at] == '.') {
    const std::size_t begin = ++at;
    layout.precision = number_at(text, at);
    if (at == begin) refuse("a format has no digits behind its dot");
  }
  if (at < text.size()) layout.type = text[at++];
  if (at != text.size()) refuse("a format that is not understood: " + quoted_repr(text));
  return layout;
}

// ---- "…" % values ----------------------------------------------------------------------------------------------------

class PercentFormat {
 public:
  PercentFormat(Interpreter& interpreter, const std::string& pattern, const Value& values)
      : interpreter_(interpreter), pattern_(pattern), values_(values) {}
  std::string run() {
    std::string out;
    while (at_ < pattern_.size()) {
      if (pattern_[at_] != '%') {
        const std::size_t end = std::min(pattern_.find('%', at_), pattern_.size());
        out.append(pattern_, at_, end - at_);
        at_ = end;
        continue;
      }
      ++at_;
      out += field();
      interpreter_.meter().text(out.size());
    }
    // Python asks whether it could look up names in them, which even a list says.
    const bool mapping =
        values_.is(Kind::kDict) || values_.is(Kind::kList) || values_.is(Kind::kRange) || values_.is(Kind::kUndefined);
    if (!mapping && !used_by_name_ && used_ < (values_.is(Kind::kTuple) ? values_.items().size() : 1))
      refuse("not all values are used by the format");
    return out;
  }

 private:
  Value next() {
    if (values_.is(Kind::kTuple)) {
      if (used_ >= values_.items().size()) refuse("too few values for the format");
      return values_.items()[used_++];
    }
    if (used_++ > 0) refuse("too few values for the format");
    return values_;
  }
  std::string field();
  std::string convert(char type, Layout layout, const Value& value);

  Interpreter& interpreter_;
  const std::string& pattern_;
  const Value& values_;
  std::size_t at_ = 0;
  std::size_t used_ = 0;
  bool used_by_name_ = false;
};

std::string PercentFormat::field() {
  std::optional<Value> named;
  if (at_ < pattern_.size() && pattern_[at_] == '(') {
    const std::size_t close = pattern_.find(')', at_);
    if (close == std::string::npos || !values_.is(Kind::kDict)) refuse("a format with names wants a dict");
    const Value* found =
        values_.as<DictObject>().find(std::string_view(pattern_).substr(at_ + 1, close - at_ - 1), interpreter_.meter());
    if (found == nullptr) refuse("the format names what the dict has not");
    named = *found;
    used_by_name_ = true;
    at_ = close + 1;
  }
  Layout layout;
  layout.align = '>';
  for (; at_ < pattern_.size() && std::string_view("-+ #0").find(pattern_[at_]) != std::string_view::npos; ++at_) {
    const char flag = pattern_[at_];
    if (flag == '-') layout.align = '<';
    if (flag == '+' || (flag == ' ' && layout.sign != '+')) layout.sign = flag;
    if (flag == '#') layout.alternate = true;
    if (flag == '0') layout.fill = "0";
  }
  if (layout.align == '<') layout.fill = " ";
  layout.width = number_at(pattern_, at_);
  if (at_ < pattern_.size() && pattern_[at_] == '.') {
    ++at_;
    layout.precision = number_at(pattern_, at_);
  }
  if (at_ >= pattern_.size()) refuse("the format ends in the middle of a %");
  const char type = pattern_[at_++];
  if (type == '%') return "%";
  return convert(type, layout, named ? *named : next());
}

std::string PercentFormat::convert(char type, Layout layout, const Value& value) {
  ChatMeter& meter = interpreter_.meter();
  if (type == 's' || type == 'r' || type == 'a') {
    layout.fill = " ";
    return laid_out(meter, Value::string(type == 's' ? to_text(value, meter) : to_repr(value, meter)), layout);
  }
  if (value.is(Kind::kUndefined)) refuse(value.text());
  if (type == 'c' && value.is_string()) return laid_out(meter, value, layout);
  if (std::string_view("diuxXoeEfFgG").find(type) == std::string_view::npos)
    refuse("a format has an unknown %" + std::string(1, type));
  if (!value.is_number()) refuse("%" + std::string(1, type) + " wants a number, not a " + std::string(type_name(value)));
  if (layout.fill == "0") layout.align = '=';
  layout.type = type == 'i' || type == 'u' ? 'd' : type;
  if (std::string_view("diu").find(type) != std::string_view::npos && value.is(Kind::kFloat)) {
    if (!(std::fabs(value.real()) < 9e18)) refuse("a float that is no whole number of 64 bits");
    return laid_out(meter, Value::of(static_cast<std::int64_t>(value.real())), layout);
  }
  return laid_out(meter, value.is(Kind::kBool) ? Value::of(value.integer()) : value, layout);
}

// ---- "…".format(…) ---------------------------------------------------------------------------------------------------

class BraceFormat {
 public:
  BraceFormat(Interpreter& interpreter, const Passed& passed) : interpreter_(interpreter), passed_(passed) {}
  std::string run(const std::string& pattern, int depth) {
    if (depth > 2) refuse("a format within a format within a format");
    std::string out;
    for (std::size_t at = 0; at < pattern.size();) {
      const char c = pattern[at];
      if ((c == '{' || c == '}') && at + 1 < pattern.size() && pattern[at + 1] == c) {
        out += c;
        at += 2;
      } else if (c == '{') {
        out += field(pattern, ++at, depth);
        interpreter_.meter().text(out.size());
      } else if (c == '}') {
        refuse("a format has a single }");
      } else {
        out += c;
        ++at;
      }
    }
    return out;
  }

 private:
  std::string field(const std::string& pattern, std::size_t& at, int depth);
  Value find(const std::string& path);
  Interpreter& interpreter_;
  const Passed& passed_;
  std::size_t automatic_ = 0;
};

Value BraceFormat::find(const std::string& path) {
  std::size_t at = std::min(path.find_first_of(".["), path.size());
  const std::string first = path.substr(0, at);
  Value value;
  if (first.empty() || first.find_first_not_of("0123456789") == std::string::npos) {
    std::size_t digits = 0;
    const std::size_t index = first.empty() ? automatic_++ : static_cast<std::size_t>(number_at(first, digits));
    if (index >= passed_.positional.size()) refuse("the format wants more values than it is given");
    value = passed_.positional[index];
  } else {
    const auto found =
        std::find_if(passed_.keywords.begin(), passed_.keywords.end(), [&](const auto& entry) { return entry.first == first; });
    if (found == passed_.keywords.end()) refuse("the format names '" + first + "', which it is not given");
    value = found->second;
  }
  while (at < path.size()) {
    const bool item = path[at] == '[';
    const std::size_t end = item ? path.find(']', at) : std::min(path.find_first_of(".[", at + 1), path.size());
    if (end == std::string::npos) refuse("a format lacks a ]");
    const std::string name = path.substr(at + 1, end - at - 1);
    const std::optional<std::int64_t> index = item ? integer_in(name, 10) : std::nullopt;
    value = item ? interpreter_.item_of(value, index ? Value::of(*index) : Value::string(name))
                 : interpreter_.attribute_of(value, name);
    at = item ? end + 1 : end;
  }
  return value;
}

std::string BraceFormat::field(const std::string& pattern, std::size_t& at, int depth) {
  std::size_t end = at, open = 0;
  while (end < pattern.size() && (pattern[end] != '}' || open > 0)) {
    if (pattern[end] == '{') ++open;
    if (pattern[end] == '}') --open;
    ++end;
  }
  if (end >= pattern.size()) refuse("a format has a single {");
  std::string inner = pattern.substr(at, end - at);
  at = end + 1;
  std::string layout_text;
  if (const std::size_t colon = inner.find(':'); colon != std::string::npos) {
    layout_text = inner.substr(colon + 1);
    inner.resize(colon);
  }
  char conversion = 0;
  if (const std::size_t mark = inner.rfind('!'); mark != std::string::npos && mark + 2 == inner.size()) {
    conversion = inner.back();
    inner.resize(mark);
  }
  Value value = find(inner);
  if (layout_text.find('{') != std::string::npos) layout_text = run(layout_text, depth + 1);
  if (conversion == 'r' || conversion == 'a') value = Value::string(to_repr(value, interpreter_.meter()));
  else if (conversion == 's') value = Value::string(interpreter_.text_of(value));
  else if (conversion != 0) refuse("a format has an unknown conversion !" + std::string(1, conversion));
  if (layout_text.empty()) return interpreter_.text_of(value);
  return laid_out(interpreter_.meter(), value, parse_layout(layout_text));
}

}  // namespace

std::string format_percent(Interpreter& interpreter, const std::string& pattern, const Value& values) {
  return PercentFormat(interpreter, pattern, values).run();
}

std::string format_braces(Interpreter& interpreter, const std::string& pattern, const Passed& passed) {
  interpreter.meter().text(pattern.size());
  return BraceFormat(interpreter, passed).run(pattern, 0);
}

}  // namespace baton::chat
