// SPDX-License-Identifier: Apache-2.0
// What the two files of filters share. Part of Interpreter, see chat_interpreter.h.
#pragma once

#include <string>
#include <string_view>

#include "models/chat_interpreter.h"
#include "models/unicode.h"

namespace baton::chat {

struct FilterCall {
  Interpreter& interpreter;
  ChatMeter& meter;
  const std::string& name;
  const Value& value;  // what stands before the bar
  const Passed& passed;
};

struct NamedFilter {
  std::string_view name;
  Value (*run)(FilterCall& call);
};

const NamedFilter* find_list_filter(std::string_view name);  // nullptr: none of that name

}  // namespace baton::chat
