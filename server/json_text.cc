// SPDX-License-Identifier: Apache-2.0
#include "server/json_text.h"

#include <boost/json/serialize.hpp>
#include <utility>

namespace baton {

void append_element(std::string& list, std::string_view element) {
  if (!list.empty()) list += ',';
  list += element;
}

void append_element(std::string& list, const boost::json::value& element) {
  append_element(list, std::string_view(boost::json::serialize(element)));
}

std::string list_of(std::string_view first, std::string_view second) {
  std::string list;
  list.reserve(first.size() + second.size() + 3);
  list += '[';
  list += first;
  if (!first.empty() && !second.empty()) list += ',';
  list += second;
  return list += ']';
}

std::string quoted_json(std::string_view text) { return boost::json::serialize(boost::json::string_view(text.data(), text.size())); }

ObjectText& ObjectText::add_value(std::string_view name, const boost::json::value& value) {
  return add_text(name, boost::json::serialize(value));
}

ObjectText& ObjectText::add_text(std::string_view name, std::string_view json) {
  begin(name) += json;
  return *this;
}

std::string& ObjectText::begin(std::string_view name) {
  text_ += text_.empty() ? '{' : ',';
  return text_.append(1, '"').append(name).append("\":");
}

std::string ObjectText::take() {
  std::string whole = text_.empty() ? "{" : std::move(text_);
  text_.clear();
  return whole += '}';
}

}  // namespace baton
