// SPDX-License-Identifier: Apache-2.0
// What tokenizing needs of Unicode: code points out of UTF-8 that may be broken, and their classes. Pure functions.
// Classes: general categories L* and N* (utf8proc's tables) and the property White_Space, as \p{L}, \p{N} and \s in the
// patterns of published tokenizers. UTF-8: RFC 3629.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace baton {

enum class CharClass : std::uint8_t { kLetter, kNumber, kSpace, kOther };

struct Utf8Char {
  std::uint32_t code = 0;
  std::uint8_t length = 1;             // bytes
  CharClass kind = CharClass::kOther;  // of a byte that is not UTF-8: kOther
};

// The character that begins at text[at]; at < text.size(). A byte that begins none stands for itself, one byte long.
Utf8Char char_at(std::string_view text, std::size_t at);

// What stands at the front of a byte string.
struct Utf8Step {
  enum class Kind : std::uint8_t { kCharacter, kInvalid, kIncomplete };
  Kind kind = Kind::kCharacter;
  std::uint8_t length = 1;  // kInvalid: the bytes that one U+FFFD stands for. kIncomplete: all the bytes left
};
Utf8Step utf8_step(std::string_view bytes);  // bytes is not empty

void append_utf8(std::uint32_t code, std::string& out);

// The capital or small letter of one that has another of one code point; else itself.
std::uint32_t to_upper(std::uint32_t code);
std::uint32_t to_lower(std::uint32_t code);

// Every maximal broken part becomes one U+FFFD, as Python's bytes.decode(errors="replace") does.
std::string replace_invalid_utf8(std::string_view bytes);

}  // namespace baton
