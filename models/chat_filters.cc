// SPDX-License-Identifier: Apache-2.0
// Jinja's filters of one value; those of lists are in chat_filters_lists.cc.
#include "models/chat_filters.h"

#include <algorithm>
#include <cmath>

#include "models/chat_text.h"

namespace baton::chat {
namespace {

Value filter_text(FilterCall& call, std::string (*change)(std::string_view)) {
  const Bound nothing(call.name, call.passed, {});
  const std::string text = call.interpreter.text_of(call.value);
  call.meter.charge_bytes(8 * text.size());
  return call.interpreter.make_text(change(text));
}

Value filter_upper(FilterCall& call) { return filter_text(call, upper); }
Value filter_lower(FilterCall& call) { return filter_text(call, lower); }
Value filter_capitalize(FilterCall& call) { return filter_text(call, capitalize); }
Value filter_title(FilterCall& call) { return filter_text(call, title_filter); }

Value filter_trim(FilterCall& call) {
  const Bound bound(call.name, call.passed, {"chars"});
  const std::string text = call.interpreter.text_of(call.value);
  StripSet set;
  if (bound.get(0) != nullptr && !bound.get(0)->is(Kind::kNone)) {
    if (!bound.get(0)->is_string()) refuse("trim wants a text of characters");
    set = bound.get(0)->text();
    call.meter.charge(text.size() * set->size() / 64);
  }
  return call.interpreter.make_text(std::string(strip(text, set)));
}

Value filter_string(FilterCall& call) {
  const Bound nothing(call.name, call.passed, {});
  return call.value.is_string() ? call.value : call.interpreter.make_text(call.interpreter.text_of(call.value));
}

Value filter_safe(FilterCall& call) {
  const Bound nothing(call.name, call.passed, {});
  return call.interpreter.make_text(call.interpreter.text_of(call.value), true);
}

Value filter_escape(FilterCall& call) {
  const Bound nothing(call.name, call.passed, {});
  if (call.value.markup() && call.name != "forceescape") return call.value;
  const std::string text = call.interpreter.text_of(call.value);
  call.meter.text(text.size());
  return call.interpreter.make_text(escape_html(text), true);
}

Value filter_default(FilterCall& call) {
  const Bound bound(call.name, call.passed, {"default_value", "boolean"});
  const bool missing = call.value.is(Kind::kUndefined) || (bound.truth(1, false) && !truth(call.value));
  if (!missing) return call.value;
  return bound.get(0) != nullptr ? *bound.get(0) : Value::string("");
}

Value filter_length(FilterCall& call) {
  const Bound nothing(call.name, call.passed, {});
  return Value::of(static_cast<std::int64_t>(length_of(call.value, call.meter)));
}

Value filter_replace(FilterCall& call) {
  const Bound bound(call.name, call.passed, {"old", "new", "count"});
  const std::string text = call.interpreter.text_of(call.value), what = call.interpreter.text_of(bound.need(0)),
                    by = call.interpreter.text_of(bound.need(1));
  const std::int64_t limit = bound.integer(2, -1);
  call.meter.charge_bytes(text.size() + what.size());
  call.meter.text(replaced_bytes(text, what, by, limit));
  return Value::string(replace_text(text, what, by, limit));
}

Value filter_indent(FilterCall& call) {
  const Bound bound(call.name, call.passed, {"width", "first", "blank"});
  std::string indent(4, ' ');
  if (const Value* width = bound.get(0)) {
    if (width->is_string()) {
      indent = width->text();
    } else {
      const std::int64_t spaces = std::max<std::int64_t>(whole_number(*width, "a width"), 0);
      call.meter.text(static_cast<std::uint64_t>(spaces));
      indent.assign(static_cast<std::size_t>(spaces), ' ');
    }
  }
  if (call.value.is(Kind::kUndefined)) refuse(call.value.text());
  if (!call.value.is_string()) refuse("indent wants a text, not a " + std::string(type_name(call.value)));
  const std::string text = call.value.text() + "\n";  // as Jinja does, so that a last line break is kept
  const std::vector<std::string_view> lines = split_lines(text, false);
  call.meter.charge(lines.size());
  call.meter.text(text.size() + lines.size() * indent.size());
  std::string out;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    if (i > 0) out += '\n';
    const bool wanted = i == 0 ? bound.truth(1, false) : bound.truth(2, false) || !lines[i].empty();
    if (wanted) out += indent;
    out += lines[i];
  }
  return Value::string(std::move(out), call.value.markup());
}

Value filter_int(FilterCall& call) {
  const Bound bound(call.name, call.passed, {"default", "base"});
  const Value otherwise = bound.get(0) != nullptr ? *bound.get(0) : Value::of(std::int64_t{0});
  const Value& value = call.value;
  if (value.is(Kind::kUndefined)) refuse(value.text());
  double real = 0;
  if (value.is_integral()) return Value::of(value.integer());
  if (value.is_string()) {
    call.meter.charge_bytes(value.text().size() * 8);
    if (const auto number = integer_in(value.text(), bound.integer(1, 10))) return Value::of(*number);
    const auto found = real_in(value.text());
    if (!found) return otherwise;
    real = *found;
  } else if (value.is(Kind::kFloat)) {
    real = value.real();
  } else {
    return otherwise;
  }
  if (!std::isfinite(real)) return otherwise;
  if (!(std::fabs(real) < 9.2e18)) exhausted("a whole number past 64 bits");
  return Value::of(static_cast<std::int64_t>(real));
}

Value filter_float(FilterCall& call) {
  const Bound bound(call.name, call.passed, {"default"});
  if (call.value.is(Kind::kUndefined)) refuse(call.value.text());
  if (call.value.is_number()) return Value::of(call.value.real());
  if (call.value.is_string()) {
    call.meter.charge_bytes(call.value.text().size() * 8);
    if (const auto found = real_in(call.value.text())) return Value::of(*found);
  }
  return bound.get(0) != nullptr ? *bound.get(0) : Value::of(0.0);
}

Value filter_abs(FilterCall& call) {
  const Bound nothing(call.name, call.passed, {});
  if (call.value.is(Kind::kFloat)) return Value::of(std::fabs(call.value.real()));
  const std::int64_t number = whole_number(call.value, "abs of it");
  return number < 0 ? call.interpreter.arithmetic(Operator::kSubtract, Value::of(std::int64_t{0}), call.value)
                    : Value::of(number);
}

// Python rounds the decimal text of a float half to even; so does printf.
double rounded(double value, std::int64_t digits) {
  if (!std::isfinite(value) || digits > 300) return value;
  if (digits < 0) {
    const double scale = std::pow(10.0, static_cast<double>(-digits));
    return std::isfinite(scale) ? std::nearbyint(value / scale) * scale : 0.0;
  }
  char text[800];
  std::snprintf(text, sizeof text, "%.*f", static_cast<int>(digits), value);
  return real_in(text).value_or(value);
}

Value filter_round(FilterCall& call) {
  const Bound bound(call.name, call.passed, {"precision", "method"});
  const std::int64_t digits = bound.integer(0, 0);
  const std::string method = bound.text(1, "common");
  if (!call.value.is_number()) refuse("round wants a number, not a " + std::string(type_name(call.value)));
  if (method == "common") {
    if (call.value.is_integral() && digits >= 0) return Value::of(call.value.integer());
    if (call.value.is_integral()) return Value::of(static_cast<std::int64_t>(rounded(call.value.real(), digits)));
    return Value::of(rounded(call.value.real(), digits));
  }
  if (method != "ceil" && method != "floor") refuse("round knows the methods common, ceil and floor");
  const double scale = std::pow(10.0, static_cast<double>(digits)), scaled = call.value.real() * scale;
  return Value::of((method == "ceil" ? std::ceil(scaled) : std::floor(scaled)) / scale);
}

Value filter_format(FilterCall& call) {
  const std::string pattern = call.interpreter.text_of(call.value);
  if (!call.passed.keywords.empty()) {
    if (!call.passed.positional.empty()) refuse("format takes values with names or without, not both");
    std::vector<Entry> named;
    for (auto& [name, value] : call.passed.keywords) named.emplace_back(Value::string(name), value);
    return call.interpreter.make_text(format_percent(call.interpreter, pattern, Value::dict(std::move(named))));
  }
  return call.interpreter.make_text(
      format_percent(call.interpreter, pattern, Value::list(call.passed.positional, Kind::kTuple)));
}

Value filter_tojson(FilterCall& call) {
  const Bound bound(call.name, call.passed, {"ensure_ascii", "indent", "separators", "sort_keys"});
  JsonStyle style;
  style.ensure_ascii = bound.truth(0, false);
  style.sort_keys = bound.truth(3, false);
  if (const Value* indent = bound.get(1); indent != nullptr && !indent->is(Kind::kNone)) {
    style.indented = true;
    style.item_separator = ",";
    if (indent->is_string()) {
      style.indent = indent->text();
    } else {
      const std::int64_t spaces = std::max<std::int64_t>(whole_number(*indent, "an indent"), 0);
      call.meter.text(static_cast<std::uint64_t>(spaces));
      style.indent.assign(static_cast<std::size_t>(spaces), ' ');
    }
  }
  if (const Value* separators = bound.get(2); separators != nullptr && !separators->is(Kind::kNone)) {
    const std::vector<Value> parts = walk(*separators, call.meter);
    if (parts.size() != 2 || !parts[0].is_string() || !parts[1].is_string()) refuse("tojson wants two texts as separators");
    style.item_separator = parts[0].text();
    style.key_separator = parts[1].text();
  }
  return Value::string(to_json(call.value, style, call.meter));
}

Value filter_attr(FilterCall& call) {
  const Bound bound(call.name, call.passed, {"name"});
  if (call.value.is(Kind::kDict)) return Value::undefined("a dict has no attribute of that name");
  return call.interpreter.attribute_of(call.value, bound.text(0, ""));
}

Value filter_wordcount(FilterCall& call) {
  const Bound nothing(call.name, call.passed, {});
  const std::string text = call.interpreter.text_of(call.value);
  std::int64_t words = 0;
  bool inside = false;
  for (std::size_t at = 0; at < text.size(); at += code_point_bytes(text, at)) {
    const CharClass kind = char_at(text, at).kind;
    const bool word = kind == CharClass::kLetter || kind == CharClass::kNumber || text[at] == '_';
    if (word && !inside) ++words;
    inside = word;
  }
  return Value::of(words);
}

Value filter_center(FilterCall& call) {
  const Bound bound(call.name, call.passed, {"width"});
  const Value text = Value::string(call.interpreter.text_of(call.value));
  Passed width;
  width.positional.push_back(Value::of(bound.integer(0, 80)));
  return call_method(call.interpreter, text, "center", width);
}

constexpr NamedFilter kFilters[] = {
    {"abs", filter_abs},
    {"attr", filter_attr},
    {"capitalize", filter_capitalize},
    {"center", filter_center},
    {"count", filter_length},
    {"d", filter_default},
    {"default", filter_default},
    {"e", filter_escape},
    {"escape", filter_escape},
    {"float", filter_float},
    {"forceescape", filter_escape},
    {"format", filter_format},
    {"indent", filter_indent},
    {"int", filter_int},
    {"length", filter_length},
    {"lower", filter_lower},
    {"replace", filter_replace},
    {"round", filter_round},
    {"safe", filter_safe},
    {"string", filter_string},
    {"title", filter_title},
    {"tojson", filter_tojson},
    {"trim", filter_trim},
    {"upper", filter_upper},
    {"wordcount", filter_wordcount},
};

const NamedFilter* find_filter(std::string_view name) {
  for (const NamedFilter& filter : kFilters) {
    if (filter.name == name) return &filter;
  }
  return find_list_filter(name);
}

}  // namespace

bool has_filter(std::string_view name) { return find_filter(name) != nullptr; }

Value Interpreter::apply_filter(const std::string& name, const Value& value, Passed passed) {
  const Deeper deeper(*this);
  meter_.charge(1);
  const NamedFilter* filter = find_filter(name);
  if (filter == nullptr) refuse("unknown filter '" + name + "'");
  FilterCall call{*this, meter_, name, value, passed};
  return filter->run(call);
}

}  // namespace baton::chat
