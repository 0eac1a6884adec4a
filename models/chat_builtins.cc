// SPDX-License-Identifier: Apache-2.0
// Functions that a chat template finds in its environment, and how arguments are matched to parameters.
#include <algorithm>
#include <array>
#include <ctime>

#include "models/chat_interpreter.h"
#include "models/chat_text.h"

namespace baton::chat {

Bound::Bound(std::string_view function, const Passed& passed, std::initializer_list<std::string_view> names)
    : function_(function), names_(names), values_(names.size(), nullptr) {
  if (passed.positional.size() > names_.size()) {
    refuse(std::string(function) + "() takes at most " + std::to_string(names_.size()) + " arguments, and is given " +
           std::to_string(passed.positional.size()));
  }
  for (std::size_t i = 0; i < passed.positional.size(); ++i) values_[i] = &passed.positional[i];
  for (const auto& [name, value] : passed.keywords) {
    const auto found = std::find(names_.begin(), names_.end(), name);
    if (found == names_.end()) refuse(std::string(function) + "() has no argument '" + name + "'");
    const Value*& place = values_[static_cast<std::size_t>(found - names_.begin())];
    if (place != nullptr) refuse(std::string(function) + "() is given '" + name + "' twice");
    place = &value;
  }
}

const Value& Bound::need(std::size_t index) const {
  if (values_[index] == nullptr) refuse(std::string(function_) + "() lacks its argument '" + std::string(names_[index]) + "'");
  return *values_[index];
}

std::int64_t Bound::integer(std::size_t index, std::int64_t otherwise) const {
  const Value* value = values_[index];
  if (value == nullptr || value->is(Kind::kNone)) return otherwise;
  return whole_number(*value, names_[index]);
}

bool Bound::truth(std::size_t index, bool otherwise) const {
  return values_[index] == nullptr ? otherwise : chat::truth(*values_[index]);
}

std::string Bound::text(std::size_t index, std::string_view otherwise) const {
  const Value* value = values_[index];
  if (value == nullptr) return std::string(otherwise);
  if (!value->is_string())
    refuse(std::string(function_) + "(): '" + std::string(names_[index]) + "' must be a text, not a " +
           std::string(type_name(*value)));
  return value->text();
}

namespace {

constexpr std::int64_t kRangeMax = 100'000;  // the sandbox of Jinja's own limit
constexpr std::array<std::string_view, 7> kBuiltins = {"range",           "dict",        "namespace", "cycler", "joiner",
                                                       "raise_exception", "strftime_now"};

Value make_range(Interpreter& interpreter, const Passed& passed) {
  if (!passed.keywords.empty() || passed.positional.empty() || passed.positional.size() > 3)
    refuse("range() takes one to three numbers");
  std::array<std::int64_t, 3> numbers = {0, 0, 1};
  for (std::size_t i = 0; i < passed.positional.size(); ++i)
    numbers[i] = whole_number(passed.positional[i], "an argument of range()");
  if (passed.positional.size() == 1) numbers = {0, numbers[0], 1};
  const auto [start, stop, step] = numbers;
  if (step == 0) refuse("range() cannot step by 0");
  const auto length =
      static_cast<__int128>(step > 0 ? static_cast<__int128>(stop) - start : static_cast<__int128>(start) - stop);
  const __int128 stride = step > 0 ? static_cast<__int128>(step) : -static_cast<__int128>(step);
  const __int128 count = length <= 0 ? 0 : (length + stride - 1) / stride;
  if (count > kRangeMax) exhausted("a range of more than " + std::to_string(kRangeMax) + " numbers");
  interpreter.meter().items(static_cast<std::uint64_t>(count));
  std::vector<Value> items;
  items.reserve(static_cast<std::size_t>(count));
  for (std::int64_t i = 0; i < static_cast<std::int64_t>(count); ++i) items.push_back(Value::of(start + i * step));
  Value made = Value::list(std::move(items), Kind::kRange);
  made.as<ListObject>().stop = stop;
  return made;
}

std::shared_ptr<DictObject> dict_from(Interpreter& interpreter, const Passed& passed, std::string_view function) {
  if (passed.positional.size() > 1) refuse(std::string(function) + "() takes at most one argument without a name");
  auto made = std::make_shared<DictObject>();
  ChatMeter& meter = interpreter.meter();
  if (!passed.positional.empty()) {
    const Value& from = passed.positional[0];
    if (from.is(Kind::kUndefined)) refuse(from.text());
    if (from.is(Kind::kDict)) {
      meter.items(2 * from.entries().size());
      made->entries = from.entries();
    } else {
      for (const Value& pair : walk(from, meter)) {
        const std::vector<Value> parts = walk(pair, meter);
        if (parts.size() != 2) refuse(std::string(function) + "() wants pairs");
        made->set(parts[0], parts[1], meter);
      }
    }
  }
  for (const auto& [name, value] : passed.keywords) made->set(Value::string(name), value, meter);
  return made;
}

Value formatted_time(Interpreter& interpreter, const Passed& passed) {
  const Bound bound("strftime_now", passed, {"format"});
  if (!bound.need(0).is_string()) refuse("strftime_now() wants a text");
  const std::string& format = bound.need(0).text();
  if (format.size() > 1024) exhausted("a format of a date of more than 1024 bytes");
  if (format.empty()) return Value::string("");
  const std::time_t now = interpreter.now();
  std::tm parts{};
  gmtime_r(&now, &parts);
  // strftime cannot tell an empty result from one that does not fit; a mark in front makes none empty.
  const std::string marked = "." + replace_text(format, "%f", "000000", -1);
  std::vector<char> text(64 * marked.size() + 64);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
  const std::size_t bytes = std::strftime(text.data(), text.size(), marked.c_str(), &parts);
#pragma GCC diagnostic pop
  if (bytes == 0) refuse("a date's format that makes too long a text");
  return interpreter.make_text(std::string(text.data() + 1, bytes - 1));
}

}  // namespace

bool is_builtin(std::string_view name) { return std::find(kBuiltins.begin(), kBuiltins.end(), name) != kBuiltins.end(); }

Value call_builtin(Interpreter& interpreter, const std::string& name, const Passed& passed) {
  if (name == "range") return make_range(interpreter, passed);
  if (name == "dict") {
    auto made = dict_from(interpreter, passed, name);
    return Value::dict(std::move(made->entries));
  }
  if (name == "namespace") {
    auto made = dict_from(interpreter, passed, name);
    interpreter.meter().charge(8);
    interpreter.keep(made);
    return Value::object(Kind::kNamespace, std::move(made));
  }
  if (name == "cycler") {
    if (passed.positional.empty() || !passed.keywords.empty()) refuse("cycler() wants items to go through");
    auto made = std::make_shared<CyclerObject>();
    made->items = passed.positional;
    for (const Value& item : made->items) made->depth = std::max(made->depth, item.depth() + 1);
    return Value::object(Kind::kCycler, std::move(made));
  }
  if (name == "joiner") {
    const Bound bound(name, passed, {"sep"});
    auto made = std::make_shared<JoinerObject>();
    made->separator = bound.text(0, ", ");
    return Value::object(Kind::kJoiner, std::move(made));
  }
  if (name == "raise_exception") {
    const Bound bound(name, passed, {"message"});
    refuse("the template refuses the conversation: " + interpreter.text_of(bound.need(0)));
  }
  if (name == "strftime_now") return formatted_time(interpreter, passed);
  refuse(name + "() is not supported in a chat template");
}

}  // namespace baton::chat
