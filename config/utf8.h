// SPDX-License-Identifier: Apache-2.0
// Checks on text that came from outside, before it is parsed or shown. Pure.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace baton {

// Offset of the first byte that is no UTF-8, or npos. Overlong forms, surrogates and values above U+10FFFF are none.
std::size_t find_invalid_utf8(std::string_view text);

// For a terminal: tabs and control characters become one space each (so that no text can move the cursor), bytes of text
// that is not UTF-8 become "?".
std::string printable(std::string_view text);

}  // namespace baton
