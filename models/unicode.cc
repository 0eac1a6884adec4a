// SPDX-License-Identifier: Apache-2.0
#include "models/unicode.h"

#include <utf8proc.h>

#include <algorithm>
#include <array>

namespace baton {
namespace {

struct Range {
  std::uint32_t first, last;
  CharClass kind;
};

// Letters and numbers of Unicode 15.1 and 16.0. utf8proc 2.8 stops at 15.0, and a text must be cut the same whichever
// version is installed.
constexpr Range kNewerThanLibrary[] = {
    {0x1C89, 0x1C8A, CharClass::kLetter},   {0xA7CB, 0xA7CD, CharClass::kLetter},   {0xA7DA, 0xA7DC, CharClass::kLetter},
    {0x105C0, 0x105F3, CharClass::kLetter}, {0x10D40, 0x10D49, CharClass::kNumber}, {0x10D4A, 0x10D65, CharClass::kLetter},
    {0x10D6F, 0x10D85, CharClass::kLetter}, {0x10EC2, 0x10EC4, CharClass::kLetter}, {0x11380, 0x11389, CharClass::kLetter},
    {0x1138B, 0x1138B, CharClass::kLetter}, {0x1138E, 0x1138E, CharClass::kLetter}, {0x11390, 0x113B5, CharClass::kLetter},
    {0x113B7, 0x113B7, CharClass::kLetter}, {0x113D1, 0x113D1, CharClass::kLetter}, {0x113D3, 0x113D3, CharClass::kLetter},
    {0x116D0, 0x116E3, CharClass::kNumber}, {0x11BC0, 0x11BE0, CharClass::kLetter}, {0x11BF0, 0x11BF9, CharClass::kNumber},
    {0x13460, 0x143FA, CharClass::kLetter}, {0x16100, 0x1611D, CharClass::kLetter}, {0x16130, 0x16139, CharClass::kNumber},
    {0x16D40, 0x16D6C, CharClass::kLetter}, {0x16D70, 0x16D79, CharClass::kNumber}, {0x18CFF, 0x18CFF, CharClass::kLetter},
    {0x1CCF0, 0x1CCF9, CharClass::kNumber}, {0x1E5D0, 0x1E5ED, CharClass::kLetter}, {0x1E5F0, 0x1E5F0, CharClass::kLetter},
    {0x1E5F1, 0x1E5FA, CharClass::kNumber}, {0x2EBF0, 0x2EE5D, CharClass::kLetter},
};

CharClass classify_new(std::uint32_t code) {
  const auto* found = std::ranges::lower_bound(kNewerThanLibrary, code, {}, &Range::last);
  return found != std::end(kNewerThanLibrary) && found->first <= code ? found->kind : CharClass::kOther;
}

CharClass classify(std::uint32_t code) {
  switch (code) {
    case 0x20:
    case 0x85:
    case 0xA0:
    case 0x1680:
    case 0x2028:
    case 0x2029:
    case 0x202F:
    case 0x205F:
    case 0x3000: return CharClass::kSpace;
    default: break;
  }
  if ((code >= 0x09 && code <= 0x0D) || (code >= 0x2000 && code <= 0x200A)) return CharClass::kSpace;
  switch (utf8proc_category(static_cast<utf8proc_int32_t>(code))) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO: return CharClass::kLetter;
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_NO: return CharClass::kNumber;
    case UTF8PROC_CATEGORY_CN: return classify_new(code);
    default: return CharClass::kOther;
  }
}

std::array<CharClass, 128> classify_ascii() {
  std::array<CharClass, 128> out{};
  for (std::uint32_t code = 0; code < 128; ++code) out[code] = classify(code);
  return out;
}

// The second byte of some leads is narrower than 80..BF: no overlong forms, no surrogates, nothing above U+10FFFF.
bool continues(unsigned char lead, std::size_t index, unsigned char byte) {
  if (index == 1) {
    if (lead == 0xE0) return byte >= 0xA0 && byte <= 0xBF;
    if (lead == 0xED) return byte >= 0x80 && byte <= 0x9F;
    if (lead == 0xF0) return byte >= 0x90 && byte <= 0xBF;
    if (lead == 0xF4) return byte >= 0x80 && byte <= 0x8F;
  }
  return byte >= 0x80 && byte <= 0xBF;
}

}  // namespace

Utf8Step utf8_step(std::string_view bytes) {
  const auto lead = static_cast<unsigned char>(bytes[0]);
  if (lead < 0x80) return {};
  const std::size_t length = lead < 0xC2 || lead > 0xF4 ? 0 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  if (length == 0) return {Utf8Step::Kind::kInvalid, 1};
  for (std::size_t i = 1; i < length; ++i) {
    if (i == bytes.size()) return {Utf8Step::Kind::kIncomplete, static_cast<std::uint8_t>(i)};
    if (!continues(lead, i, static_cast<unsigned char>(bytes[i])))
      return {Utf8Step::Kind::kInvalid, static_cast<std::uint8_t>(i)};
  }
  return {Utf8Step::Kind::kCharacter, static_cast<std::uint8_t>(length)};
}

Utf8Char char_at(std::string_view text, std::size_t at) {
  static const std::array<CharClass, 128> ascii = classify_ascii();
  const auto lead = static_cast<unsigned char>(text[at]);
  if (lead < 0x80) return {lead, 1, ascii[lead]};
  const Utf8Step step = utf8_step(text.substr(at));
  if (step.kind != Utf8Step::Kind::kCharacter) return {lead, 1, CharClass::kOther};
  std::uint32_t code = lead & (0xFFu >> (step.length + 1));
  for (std::size_t i = 1; i < step.length; ++i) code = (code << 6) | (static_cast<unsigned char>(text[at + i]) & 0x3Fu);
  return {code, step.length, classify(code)};
}

void append_utf8(std::uint32_t code, std::string& out) {
  const auto tail = [&](int shift) { out += static_cast<char>(0x80 | ((code >> shift) & 0x3F)); };
  if (code < 0x80) {
    out += static_cast<char>(code);
  } else if (code < 0x800) {
    out += static_cast<char>(0xC0 | (code >> 6));
    tail(0);
  } else if (code < 0x10000) {
    out += static_cast<char>(0xE0 | (code >> 12));
    tail(6);
    tail(0);
  } else {
    out += static_cast<char>(0xF0 | (code >> 18));
    tail(12);
    tail(6);
    tail(0);
  }
}

std::string replace_invalid_utf8(std::string_view bytes) {
  std::string out;
  out.reserve(bytes.size());
  while (!bytes.empty()) {
    const Utf8Step step = utf8_step(bytes);
    if (step.kind == Utf8Step::Kind::kCharacter) {
      out += bytes.substr(0, step.length);
    } else {
      append_utf8(0xFFFD, out);
    }
    bytes.remove_prefix(step.length);
  }
  return out;
}

std::uint32_t to_upper(std::uint32_t code) {
  return static_cast<std::uint32_t>(utf8proc_toupper(static_cast<utf8proc_int32_t>(code)));
}

std::uint32_t to_lower(std::uint32_t code) {
  return static_cast<std::uint32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(code)));
}

}  // namespace baton
