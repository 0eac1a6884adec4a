// SPDX-License-Identifier: Apache-2.0
// JSON from outside: Boost.JSON behind limits. RFC 8259; strings are checked to be UTF-8. Any thread.
#pragma once

#include <boost/json/value.hpp>
#include <cstddef>
#include <string_view>

#include "runtime/base/result.h"

namespace baton {

struct JsonLimits {
  std::size_t bytes_max = 8u << 20;
  std::size_t depth_max = 64;  // arrays and objects within each other
  // Values, and names of members. Each is up to ninety bytes of memory while the text is read, however short it is there: eight
  // megabytes of [1,1,…] would be 350. Token ids that fill bytes_max are fewer: they take four bytes and more.
  std::size_t values_max = 2u << 20;
};

// How many values and names of members a JSON text has, at most: exact where every array and object has something in it. Linear, and
// allocates nothing. Texts that are no JSON have a number, too.
std::size_t count_json_values(std::string_view text);

// Where a string of a JSON text ends whose opening quote is at `at`: at its closing quote; the text's size, if it has none.
std::size_t end_of_json_string(std::string_view text, std::size_t at);

// kInvalidArgument says what is wrong and at which byte; kResourceExhausted that a limit is passed. Of a key that is there
// twice, the last value counts.
Result<boost::json::value> parse_json(std::string_view text, const JsonLimits& limits = {});

// The member of that name, or nullptr if there is none or `value` is no object.
const boost::json::value* json_member(const boost::json::value& value, std::string_view name);

}  // namespace baton
