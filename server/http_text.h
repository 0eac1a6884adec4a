// SPDX-License-Identifier: Apache-2.0
// The small grammars of RFC 9110 and 3986 that requests are checked against. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace baton {

bool is_http_token(std::string_view text);        // not empty
bool is_http_field_value(std::string_view text);  // no control characters but tabs
bool is_http_host(std::string_view text);         // "name", "name:80", "127.0.0.1", "[::1]:80"
// Whether a host ("name:80") or origin ("http://name:80") is one that no name server has a say in: an address, or localhost.
bool is_local_name(std::string_view host_or_origin);
bool is_chunk_extension(std::string_view text);  // "" or ";name", ";name=token", ";name=\"text\"", repeated
bool equal_ignoring_case(std::string_view a, std::string_view b);
std::string lower_case(std::string_view text);
std::string_view trim_blanks(std::string_view text);  // spaces and tabs
// Whether `word` is one of the comma-separated words of `list`, in any case.
bool lists_word(std::string_view list, std::string_view word);
// Characters that a target may have, percent signs followed by two digits.
bool is_http_target(std::string_view text);
// Percent-decoded; nullopt: not UTF-8, or control characters came out.
std::optional<std::string> decode_path(std::string_view path);
std::string_view reason_phrase(unsigned status);

}  // namespace baton
