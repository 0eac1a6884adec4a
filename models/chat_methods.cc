// SPDX-License-Identifier: Apache-2.0
// Methods of Python's str, list, tuple and dict (those that change nothing), of the loop, and of cyclers.
#include <algorithm>
#include <array>

#include "models/chat_interpreter.h"
#include "models/chat_text.h"

namespace baton::chat {
namespace {

constexpr std::array<std::string_view, 42> kTextMethods = {
    "capitalize", "casefold",     "center",       "count",   "endswith",   "find",       "format",
    "format_map", "index",        "isalnum",      "isalpha", "isdecimal",  "isdigit",    "islower",
    "isnumeric",  "isspace",      "isupper",      "join",    "ljust",      "lower",      "lstrip",
    "partition",  "removeprefix", "removesuffix", "replace", "rfind",      "rindex",     "rjust",
    "rpartition", "rsplit",       "rstrip",       "split",   "splitlines", "startswith", "strip",
    "swapcase",   "title",        "upper",        "zfill",   "encode",     "isascii",    "isidentifier"};
constexpr std::array<std::string_view, 5> kDictMethods = {"items", "keys", "values", "get", "copy"};
constexpr std::array<std::string_view, 3> kListMethods = {"index", "count", "copy"};

Value view(Interpreter& interpreter, std::vector<Value> items, std::string_view name) {
  Value made = interpreter.make_list(std::move(items), Kind::kView);
  made.as<ListObject>().name = name;
  return made;
}

Value call_dict(Interpreter& interpreter, const Value& self, const std::string& name, const Passed& passed) {
  ChatMeter& meter = interpreter.meter();
  const auto& entries = self.entries();
  if (name == "get") {
    const Bound bound("get", passed, {"key", "default"});
    const Value* found = self.as<DictObject>().find(bound.need(0), meter);
    if (found != nullptr) return *found;
    return bound.get(1) != nullptr ? *bound.get(1) : Value::none();
  }
  const Bound nothing(name, passed, {});
  if (name == "copy") {
    meter.items(2 * entries.size());
    return Value::dict(entries);
  }
  std::vector<Value> items;
  meter.items(entries.size());
  for (const auto& [key, value] : entries)
    items.push_back(name == "keys" ? key : name == "values" ? value : Value::list({key, value}, Kind::kTuple));
  return view(interpreter, std::move(items), name == "keys" ? "dict_keys" : name == "values" ? "dict_values" : "dict_items");
}

Value call_list(Interpreter& interpreter, const Value& self, const std::string& name, const Passed& passed) {
  ChatMeter& meter = interpreter.meter();
  if (name == "copy") {
    const Bound nothing("copy", passed, {});
    return interpreter.make_list(self.items());
  }
  const Bound bound(name, passed, {"value"});
  std::int64_t count = 0;
  for (std::size_t i = 0; i < self.items().size(); ++i) {
    if (!equal(self.items()[i], bound.need(0), meter)) continue;
    if (name == "index") return Value::of(static_cast<std::int64_t>(i));
    ++count;
  }
  if (name == "index") refuse("the list has no such item");
  return Value::of(count);
}

Value call_loop_method(Interpreter& interpreter, LoopObject& loop, const std::string& name, const Passed& passed) {
  if (!passed.keywords.empty()) refuse("loop." + name + " takes no named arguments");
  if (name == "cycle") {
    if (passed.positional.empty()) refuse("loop.cycle wants something to cycle through");
    return passed.positional[loop.index % passed.positional.size()];
  }
  return Value::of(interpreter.loop_changed(loop, passed.positional));
}

// ---- str -------------------------------------------------------------------------------------------------------------

// One call of a method of a text.
class TextMethod {
 public:
  TextMethod(Interpreter& interpreter, const Value& self, const std::string& name, const Passed& passed)
      : interpreter_(interpreter), meter_(interpreter.meter()), self_(self.text()), name_(name), passed_(passed) {
    meter_.charge_bytes(self_.size());
  }
  Value run();

 private:
  Value text(std::string made) { return interpreter_.make_text(std::move(made)); }
  Value texts(const std::vector<std::string_view>& parts, Kind kind = Kind::kList);
  Value stripped();
  Value cut();
  Value partition();
  Value position();
  Value affix();
  Value replace();
  Value join();
  Value aligned();
  std::string simple();

  Interpreter& interpreter_;
  ChatMeter& meter_;
  const std::string& self_;
  const std::string& name_;
  const Passed& passed_;
};

const std::string& text_argument(const Value& value, std::string_view of) {
  if (!value.is_string()) refuse(std::string(of) + "() wants a text, not a " + std::string(type_name(value)));
  return value.text();
}

Value TextMethod::texts(const std::vector<std::string_view>& parts, Kind kind) {
  meter_.items(2 * parts.size());
  std::vector<Value> items;
  for (const std::string_view part : parts) items.push_back(Value::string(std::string(part)));
  return Value::list(std::move(items), kind);
}

Value TextMethod::stripped() {
  const Bound bound(name_, passed_, {"chars"});
  StripSet set;
  if (bound.get(0) != nullptr && !bound.get(0)->is(Kind::kNone)) {
    set = text_argument(*bound.get(0), name_);
    meter_.charge(self_.size() * set->size() / 64);
  }
  const std::string_view out = name_ == "strip"    ? strip(self_, set)
                               : name_ == "lstrip" ? strip_left(self_, set)
                                                   : strip_right(self_, set);
  return text(std::string(out));
}

Value TextMethod::cut() {
  const Bound bound(name_, passed_, {"sep", "maxsplit"});
  const std::int64_t limit = bound.integer(1, -1);
  const bool right = name_ == "rsplit";
  if (bound.get(0) == nullptr || bound.get(0)->is(Kind::kNone)) return texts(split_spaces(self_, limit, right));
  const std::string& separator = text_argument(*bound.get(0), name_);
  if (separator.empty()) refuse(name_ + "() cannot cut at an empty text");
  return texts(split_text(self_, separator, limit, right));
}

Value TextMethod::partition() {
  const Bound bound(name_, passed_, {"sep"});
  const std::string& separator = text_argument(bound.need(0), name_);
  if (separator.empty()) refuse(name_ + "() cannot cut at an empty text");
  const bool right = name_ == "rpartition";
  const std::vector<std::string_view> parts = split_text(self_, separator, 1, right);
  if (parts.size() == 1) return right ? texts({"", "", self_}, Kind::kTuple) : texts({self_, "", ""}, Kind::kTuple);
  return texts({parts[0], separator, parts[1]}, Kind::kTuple);
}

Value TextMethod::position() {
  const Bound bound(name_, passed_, {"sub", "start", "end"});
  const std::string& what = text_argument(bound.need(0), name_);
  meter_.charge_bytes(8 * self_.size() + what.size());
  const std::vector<std::size_t> offsets = code_point_offsets(self_);
  const auto size = static_cast<std::int64_t>(offsets.size()) - 1;
  const auto place = [&](std::size_t index, std::int64_t otherwise) {
    const std::int64_t at = bound.integer(index, otherwise);
    return std::clamp<std::int64_t>(at < 0 ? std::max<std::int64_t>(at, -size) + size : at, 0, size);
  };
  const std::int64_t start = bound.integer(1, 0) > size ? size + 1 : place(1, 0), stop = place(2, size);
  std::size_t found = std::string_view::npos;
  if (start <= stop) {
    const std::size_t from = offsets[static_cast<std::size_t>(start)];
    const std::string_view part = std::string_view(self_).substr(from, offsets[static_cast<std::size_t>(stop)] - from);
    if (name_ == "count") return Value::of(static_cast<std::int64_t>(count_text(part, what)));
    if (name_[0] == 'r') {
      // memmem has no twin from the right: the mirrored texts are searched, which stays linear.
      const std::string backwards(part.rbegin(), part.rend()), mirrored(what.rbegin(), what.rend());
      found = find_text(backwards, mirrored);
      if (found != std::string_view::npos) found = part.size() - found - what.size();
    } else {
      found = find_text(part, what);
    }
    if (found != std::string_view::npos) found += from;
  }
  if (name_ == "count") return Value::of(std::int64_t{0});
  if (found == std::string_view::npos) {
    if (name_.ends_with("index")) refuse("the text has no such part");
    return Value::of(std::int64_t{-1});
  }
  return Value::of(std::lower_bound(offsets.begin(), offsets.end(), found) - offsets.begin());
}

Value TextMethod::affix() {
  const Bound bound(name_, passed_, {"affix"});
  const Value& wanted = bound.need(0);
  const auto fits = [&](const Value& value) {
    const std::string& part = text_argument(value, name_);
    meter_.charge_bytes(part.size());
    return name_[0] == 's' || name_ == "removeprefix" ? self_.starts_with(part) : self_.ends_with(part);
  };
  if (name_ == "startswith" || name_ == "endswith") {
    if (wanted.is(Kind::kTuple)) return Value::of(std::any_of(wanted.items().begin(), wanted.items().end(), fits));
    return Value::of(fits(wanted));
  }
  if (!fits(wanted)) return text(self_);
  const std::size_t kept = self_.size() - wanted.text().size();
  return text(name_ == "removeprefix" ? self_.substr(wanted.text().size()) : self_.substr(0, kept));
}

Value TextMethod::replace() {
  const Bound bound(name_, passed_, {"old", "new", "count"});
  const std::string &what = text_argument(bound.need(0), name_), &by = text_argument(bound.need(1), name_);
  const std::int64_t limit = bound.integer(2, -1);
  meter_.charge_bytes(self_.size() + what.size());
  meter_.text(replaced_bytes(self_, what, by, limit));
  return Value::string(replace_text(self_, what, by, limit));
}

Value TextMethod::join() {
  const Bound bound(name_, passed_, {"iterable"});
  if (bound.need(0).is(Kind::kUndefined)) return text("");
  std::string out;
  bool first = true;
  for (const Value& item : walk(bound.need(0), meter_)) {
    if (!item.is_string()) refuse("join() wants texts, not a " + std::string(type_name(item)));
    meter_.charge_bytes(item.text().size() + self_.size());
    if (out.size() + item.text().size() + self_.size() > meter_.limits().output_max)
      meter_.text(out.size() + item.text().size() + self_.size());
    if (!first) out += self_;
    first = false;
    out += item.text();
  }
  return Value::string(std::move(out));
}

Value TextMethod::aligned() {
  const Bound bound(name_, passed_, {"width", "fillchar"});
  const std::int64_t width = whole_number(bound.need(0), "a width");
  const std::string fill = bound.text(1, name_ == "zfill" ? "0" : " ");
  const auto size = static_cast<std::int64_t>(count_code_points(self_));
  if (width <= size) return text(self_);
  if (count_code_points(fill) != 1) refuse(name_ + "() wants one character to fill with");
  const std::int64_t missing = width - size;
  if (static_cast<std::uint64_t>(missing) > meter_.limits().output_max) meter_.text(static_cast<std::uint64_t>(missing));
  meter_.text(self_.size() + static_cast<std::uint64_t>(missing) * fill.size());
  // str.center puts the odd one left or right by whether the width is odd.
  const std::int64_t left = name_ == "center" ? missing / 2 + (missing & width & 1) : name_ == "ljust" ? 0 : missing;
  std::string out;
  const bool has_sign = name_ == "zfill" && !self_.empty() && (self_[0] == '+' || self_[0] == '-');
  if (has_sign) out += self_[0];
  for (std::int64_t i = 0; i < left; ++i) out += fill;
  out += has_sign ? self_.substr(1) : self_;
  for (std::int64_t i = left; i < missing; ++i) out += fill;
  return Value::string(std::move(out));
}

std::string TextMethod::simple() {
  if (name_ == "upper") return upper(self_);
  if (name_ == "lower" || name_ == "casefold") return lower(self_);
  if (name_ == "capitalize") return capitalize(self_);
  if (name_ == "title") return title(self_);
  std::string out;  // swapcase
  for (std::size_t at = 0; at < self_.size();) {
    const std::size_t bytes = code_point_bytes(self_, at);
    const std::string one = self_.substr(at, bytes);
    const std::string small = lower(one);
    out += small == one ? upper(one) : small;
    at += bytes;
  }
  return out;
}

Value TextMethod::run() {
  if (name_ == "strip" || name_ == "lstrip" || name_ == "rstrip") return stripped();
  if (name_ == "split" || name_ == "rsplit") return cut();
  if (name_ == "partition" || name_ == "rpartition") return partition();
  if (name_ == "find" || name_ == "rfind" || name_ == "index" || name_ == "rindex" || name_ == "count") return position();
  if (name_ == "startswith" || name_ == "endswith" || name_ == "removeprefix" || name_ == "removesuffix") return affix();
  if (name_ == "replace") return replace();
  if (name_ == "join") return join();
  if (name_ == "center" || name_ == "ljust" || name_ == "rjust" || name_ == "zfill") return aligned();
  if (name_ == "format") return text(format_braces(interpreter_, self_, passed_));
  if (name_ == "format_map") {
    const Bound bound(name_, passed_, {"mapping"});
    if (!bound.need(0).is(Kind::kDict)) refuse("format_map() wants a dict");
    Passed named;
    for (const auto& [key, value] : bound.need(0).entries()) {
      if (key.is_string()) named.keywords.emplace_back(key.text(), value);
    }
    return text(format_braces(interpreter_, self_, named));
  }
  if (name_ == "splitlines") {
    const Bound bound(name_, passed_, {"keepends"});
    return texts(split_lines(self_, bound.truth(0, false)));
  }
  const Bound nothing(name_, passed_, {});
  if (name_ == "isascii")
    return Value::of(std::all_of(self_.begin(), self_.end(), [](char c) { return static_cast<unsigned char>(c) < 0x80; }));
  if (name_ == "istitle" || name_ == "isidentifier" || name_ == "encode")
    refuse("str." + name_ + " is not supported in a chat template");
  if (name_.starts_with("is")) return Value::of(all_in_class(self_, name_));
  meter_.charge_bytes(8 * self_.size());
  return text(simple());
}

}  // namespace

bool has_method(const Value& value, std::string_view name) {
  const auto among = [name](const auto& names) { return std::find(names.begin(), names.end(), name) != names.end(); };
  switch (value.kind()) {
    case Kind::kString: return among(kTextMethods);
    case Kind::kDict: return among(kDictMethods);
    case Kind::kList: return among(kListMethods);
    case Kind::kTuple:
    case Kind::kRange: return name == "index" || name == "count";
    case Kind::kLoop: return name == "cycle" || name == "changed";
    case Kind::kCycler: return name == "next" || name == "reset";
    default: return false;
  }
}

Value call_method(Interpreter& interpreter, const Value& self, const std::string& name, const Passed& passed) {
  switch (self.kind()) {
    case Kind::kString: return TextMethod(interpreter, self, name, passed).run();
    case Kind::kDict: return call_dict(interpreter, self, name, passed);
    case Kind::kLoop: return call_loop_method(interpreter, self.as<LoopObject>(), name, passed);
    case Kind::kCycler: {
      const Bound nothing(name, passed, {});
      CyclerObject& cycler = self.as<CyclerObject>();
      const Value current = cycler.items[cycler.at];
      cycler.at = name == "reset" ? 0 : (cycler.at + 1) % cycler.items.size();
      return name == "reset" ? Value::none() : current;
    }
    default: return call_list(interpreter, self, name, passed);
  }
}

}  // namespace baton::chat
