// SPDX-License-Identifier: Apache-2.0
// Python's operations on text, over UTF-8: what the chat template language needs of str. Pure functions, any thread. All are
// linear in their input (searching too: memmem is), whatever the text. Bytes that are no UTF-8 count as one character each.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace baton::chat {

std::size_t code_point_bytes(std::string_view text, std::size_t at);  // at < text.size()
std::size_t count_code_points(std::string_view text);
// Byte offsets of every code point, and the end's.
std::vector<std::size_t> code_point_offsets(std::string_view text);

bool is_python_space(std::string_view text, std::size_t at);
// Characters to strip; nullopt: white space.
using StripSet = std::optional<std::string_view>;
std::string_view strip_left(std::string_view text, StripSet set = std::nullopt);
std::string_view strip_right(std::string_view text, StripSet set = std::nullopt);
inline std::string_view strip(std::string_view text, StripSet set = std::nullopt) {
  return strip_left(strip_right(text, set), set);
}

std::string upper(std::string_view text);
std::string lower(std::string_view text);
std::string capitalize(std::string_view text);
std::string title(std::string_view text);         // str.title: words are runs of letters
std::string title_filter(std::string_view text);  // jinja's filter: words end at white space and at - ( { [ <

// npos if not there. Linear.
std::size_t find_text(std::string_view text, std::string_view what, std::size_t from = 0);
std::size_t count_text(std::string_view text, std::string_view what);
// limit < 0: all. An empty `what` stands between all characters.
std::string replace_text(std::string_view text, std::string_view what, std::string_view by, std::int64_t limit);
std::size_t replaced_bytes(std::string_view text, std::string_view what, std::string_view by, std::int64_t limit);
std::vector<std::string_view> split_spaces(std::string_view text, std::int64_t limit, bool from_right);
std::vector<std::string_view> split_text(std::string_view text, std::string_view separator, std::int64_t limit,
                                         bool from_right);
std::vector<std::string_view> split_lines(std::string_view text, bool keep_ends);

bool all_in_class(std::string_view text, std::string_view python_test);  // "isdigit", "isalpha", …
std::string quoted_repr(std::string_view text);                          // as repr(str)
std::string escape_html(std::string_view text);

}  // namespace baton::chat
