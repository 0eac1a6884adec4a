// SPDX-License-Identifier: Apache-2.0
// JSON written as text where a tree of values would take several times its size: lists that grow while tokens come, and objects
// whose members are such lists. Numbers and strings are written as Boost.JSON writes them. Pure; any thread.
#pragma once

#include <boost/json/value.hpp>
#include <string>
#include <string_view>
#include <utility>

namespace baton {

// Appends an element to the inside of a list (`text` between its brackets).
void append_element(std::string& list, std::string_view element);  // JSON
void append_element(std::string& list, const boost::json::value& element);
// Two insides of lists as one list, with its brackets.
std::string list_of(std::string_view first, std::string_view second = {});
std::string quoted_json(std::string_view text);

// An object, member by member, in the order in which they are added. Names need no escaping.
class ObjectText {
 public:
  // `value`: whatever boost::json::value is made of.
  template <class Value>
  ObjectText& add(std::string_view name, Value&& value) {
    return add_value(name, boost::json::value(std::forward<Value>(value)));
  }
  ObjectText& add_text(std::string_view name, std::string_view json);
  // For a large member: the caller appends its JSON to what is returned, before it does anything else here.
  std::string& begin(std::string_view name);
  std::string take();  // with its braces; nothing is left

 private:
  ObjectText& add_value(std::string_view name, const boost::json::value& value);

  std::string text_;
};

}  // namespace baton
