// SPDX-License-Identifier: Apache-2.0
// "Did you mean": the nearest of some known words. Pure.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace baton {

// Insertions, deletions, replacements and swaps of neighbours that turn one word into the other; capital letters count as small.
// Words longer than 64 bytes are as far apart as their lengths' sum (the table stays small whatever the input).
std::size_t edit_distance(std::string_view a, std::string_view b);

// The nearest candidate, or "" if none is near enough to be what was meant.
std::string nearest(std::string_view word, std::span<const std::string> candidates);

// `did you mean "x"?`, or "".
std::string did_you_mean(std::string_view word, std::span<const std::string> candidates);

}  // namespace baton
