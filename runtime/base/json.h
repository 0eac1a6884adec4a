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
};

// kInvalidArgument says what is wrong and at which byte; kResourceExhausted that a limit is passed. Of a key that is there
// twice, the last value counts.
Result<boost::json::value> parse_json(std::string_view text, const JsonLimits& limits = {});

// The member of that name, or nullptr if there is none or `value` is no object.
const boost::json::value* json_member(const boost::json::value& value, std::string_view name);

}  // namespace baton
