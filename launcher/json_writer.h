// SPDX-License-Identifier: Apache-2.0
// JsonWriter: appends one JSON value to a string, commas and escapes included. Text that is not UTF-8 comes out with
// U+FFFD in place of the bad bytes, so that the output always parses. Wrong nesting is a bug (CHECK).
#pragma once

#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace baton {

class JsonWriter {
 public:
  JsonWriter& begin_object();
  JsonWriter& end_object();
  JsonWriter& begin_array();
  JsonWriter& end_array();
  JsonWriter& key(std::string_view name);

  JsonWriter& value(std::string_view text);
  JsonWriter& value(const char* text) { return value(std::string_view(text)); }
  JsonWriter& value(const std::string& text) { return value(std::string_view(text)); }
  JsonWriter& value(bool flag) { return raw(flag ? "true" : "false"); }
  JsonWriter& value(double number);  // up to 6 significant digits; not finite: null
  template <std::integral Number>
    requires(!std::same_as<Number, bool>)
  JsonWriter& value(Number number) {
    return raw(std::to_string(number));
  }
  JsonWriter& null() { return raw("null"); }

  template <class Value>
  JsonWriter& member(std::string_view name, const Value& what) {
    return key(name).value(what);
  }

  // The finished text; every object and array must be closed.
  std::string take();

 private:
  JsonWriter& raw(std::string_view text);
  void separate();

  std::string text_;
  std::vector<bool> has_items_;  // of each open object or array
  bool after_key_ = false;
};

}  // namespace baton
