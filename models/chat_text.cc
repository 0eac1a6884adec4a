// SPDX-License-Identifier: Apache-2.0
#include "models/chat_text.h"

#include <algorithm>
#include <cstring>

#include "models/unicode.h"

namespace baton::chat {

std::size_t code_point_bytes(std::string_view text, std::size_t at) {
  if (static_cast<unsigned char>(text[at]) < 0x80) return 1;
  const Utf8Step step = utf8_step(text.substr(at, 4));
  return step.kind == Utf8Step::Kind::kCharacter ? step.length : 1;
}

std::size_t count_code_points(std::string_view text) {
  std::size_t count = 0;
  for (std::size_t at = 0; at < text.size(); at += code_point_bytes(text, at)) ++count;
  return count;
}

std::vector<std::size_t> code_point_offsets(std::string_view text) {
  std::vector<std::size_t> offsets;
  for (std::size_t at = 0; at < text.size(); at += code_point_bytes(text, at)) offsets.push_back(at);
  offsets.push_back(text.size());
  return offsets;
}

bool is_python_space(std::string_view text, std::size_t at) {
  const unsigned char byte = static_cast<unsigned char>(text[at]);
  if (byte < 0x80) return byte == ' ' || (byte >= 0x09 && byte <= 0x0d) || (byte >= 0x1c && byte <= 0x1f);
  return char_at(text, at).kind == CharClass::kSpace;
}

namespace {

std::size_t last_code_point(std::string_view text) {  // where it begins; text is not empty
  std::size_t at = text.size() - 1;
  while (at > 0 && text.size() - at < 4 && (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80) --at;
  return at + code_point_bytes(text, at) == text.size() ? at : text.size() - 1;
}

bool in_set(std::string_view text, std::size_t at, StripSet set) {
  if (!set) return is_python_space(text, at);
  const std::string_view wanted = text.substr(at, code_point_bytes(text, at));
  for (std::size_t i = 0; i < set->size(); i += code_point_bytes(*set, i)) {
    if (set->substr(i, code_point_bytes(*set, i)) == wanted) return true;
  }
  return false;
}

// Each character mapped by `change(code, index)`.
template <class Change>
std::string map_characters(std::string_view text, Change change) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    const Utf8Char character = char_at(text, at);
    const bool broken = character.length == 1 && static_cast<unsigned char>(text[at]) >= 0x80;
    if (broken) out += text[at];
    else change(character, out);
    at += character.length;
  }
  return out;
}

void append_upper(std::uint32_t code, std::string& out) {
  if (code == 0xDF) out += "SS";  // the one common letter whose capital is two
  else append_utf8(to_upper(code), out);
}

}  // namespace

std::string_view strip_left(std::string_view text, StripSet set) {
  std::size_t at = 0;
  while (at < text.size() && in_set(text, at, set)) at += code_point_bytes(text, at);
  return text.substr(at);
}

std::string_view strip_right(std::string_view text, StripSet set) {
  while (!text.empty()) {
    const std::size_t at = last_code_point(text);
    if (!in_set(text, at, set)) break;
    text = text.substr(0, at);
  }
  return text;
}

std::string upper(std::string_view text) {
  return map_characters(text, [](const Utf8Char& character, std::string& out) { append_upper(character.code, out); });
}

std::string lower(std::string_view text) {
  return map_characters(text, [](const Utf8Char& character, std::string& out) { append_utf8(to_lower(character.code), out); });
}

std::string capitalize(std::string_view text) {
  bool first = true;
  return map_characters(text, [&first](const Utf8Char& character, std::string& out) {
    append_utf8(first ? to_upper(character.code) : to_lower(character.code), out);
    first = false;
  });
}

std::string title(std::string_view text) {
  bool inside = false;
  return map_characters(text, [&inside](const Utf8Char& character, std::string& out) {
    append_utf8(inside ? to_lower(character.code) : to_upper(character.code), out);
    inside = character.kind == CharClass::kLetter;
  });
}

std::string title_filter(std::string_view text) {
  bool inside = false;
  return map_characters(text, [&inside](const Utf8Char& character, std::string& out) {
    const bool breaks = character.kind == CharClass::kSpace ||
                        (character.code < 0x80 && std::strchr("-({[<", static_cast<int>(character.code)) != nullptr);
    append_utf8(inside ? to_lower(character.code) : to_upper(character.code), out);
    inside = !breaks;
  });
}

// ---- searching and cutting -------------------------------------------------------------------------------------------

std::size_t find_text(std::string_view text, std::string_view what, std::size_t from) {
  if (from > text.size()) return std::string_view::npos;
  if (what.empty()) return from;
  const void* found = memmem(text.data() + from, text.size() - from, what.data(), what.size());
  return found == nullptr ? std::string_view::npos : static_cast<std::size_t>(static_cast<const char*>(found) - text.data());
}

std::size_t count_text(std::string_view text, std::string_view what) {
  if (what.empty()) return count_code_points(text) + 1;
  std::size_t count = 0;
  for (std::size_t at = find_text(text, what); at != std::string_view::npos; at = find_text(text, what, at + what.size()))
    ++count;
  return count;
}

std::size_t replaced_bytes(std::string_view text, std::string_view what, std::string_view by, std::int64_t limit) {
  std::size_t count = count_text(text, what);
  if (limit >= 0) count = std::min(count, static_cast<std::size_t>(limit));
  return text.size() - count * what.size() + count * by.size();
}

std::string replace_text(std::string_view text, std::string_view what, std::string_view by, std::int64_t limit) {
  std::string out;
  std::int64_t left = limit < 0 ? INT64_MAX : limit;
  if (what.empty()) {
    for (std::size_t at = 0; at < text.size();) {
      if (left-- > 0) out += by;
      const std::size_t bytes = code_point_bytes(text, at);
      out += text.substr(at, bytes);
      at += bytes;
    }
    if (left > 0) out += by;
    return out;
  }
  std::size_t from = 0;
  for (; left > 0; --left) {
    const std::size_t at = find_text(text, what, from);
    if (at == std::string_view::npos) break;
    out += text.substr(from, at - from);
    out += by;
    from = at + what.size();
  }
  out += text.substr(from);
  return out;
}

std::vector<std::string_view> split_text(std::string_view text, std::string_view separator, std::int64_t limit,
                                         bool from_right) {
  std::vector<std::size_t> cuts;  // where separators begin
  if (!from_right) {
    for (std::size_t at = find_text(text, separator); at != std::string_view::npos && (limit < 0 || limit-- > 0);
         at = find_text(text, separator, at + separator.size()))
      cuts.push_back(at);
  } else {
    // Matches are taken from the right, which is where they differ from those taken from the left ("aaa" by "aa").
    std::string backwards(text.rbegin(), text.rend());
    const std::string mirrored(separator.rbegin(), separator.rend());
    for (std::size_t at = find_text(backwards, mirrored); at != std::string_view::npos && (limit < 0 || limit-- > 0);
         at = find_text(backwards, mirrored, at + mirrored.size()))
      cuts.push_back(text.size() - at - separator.size());
    std::reverse(cuts.begin(), cuts.end());
  }
  std::vector<std::string_view> parts;
  std::size_t from = 0;
  for (const std::size_t cut : cuts) {
    parts.push_back(text.substr(from, cut - from));
    from = cut + separator.size();
  }
  parts.push_back(text.substr(from));
  return parts;
}

std::vector<std::string_view> split_spaces(std::string_view text, std::int64_t limit, bool from_right) {
  std::vector<std::string_view> parts;
  std::string_view rest = from_right ? strip_right(text) : strip_left(text);
  while (!rest.empty()) {
    if (limit >= 0 && static_cast<std::int64_t>(parts.size()) == limit) {
      parts.push_back(from_right ? strip_right(rest) : rest);
      break;
    }
    if (from_right) {
      std::size_t begin = rest.size();
      while (begin > 0 && !is_python_space(rest, last_code_point(rest.substr(0, begin))))
        begin = last_code_point(rest.substr(0, begin));
      parts.push_back(rest.substr(begin));
      rest = strip_right(rest.substr(0, begin));
    } else {
      std::size_t end = 0;
      while (end < rest.size() && !is_python_space(rest, end)) end += code_point_bytes(rest, end);
      parts.push_back(rest.substr(0, end));
      rest = strip_left(rest.substr(end));
    }
  }
  if (from_right) {
    if (!parts.empty() && limit >= 0) parts.back() = strip_right(parts.back());
    std::reverse(parts.begin(), parts.end());
  }
  return parts;
}

namespace {

// The bytes of the line break at `at`; 0: none there.
std::size_t line_break(std::string_view text, std::size_t at) {
  const unsigned char byte = static_cast<unsigned char>(text[at]);
  if (byte == '\r') return at + 1 < text.size() && text[at + 1] == '\n' ? 2 : 1;
  if ((byte >= 0x0a && byte <= 0x0c) || (byte >= 0x1c && byte <= 0x1e)) return 1;
  if (byte < 0x80) return 0;
  const Utf8Char character = char_at(text, at);
  return character.length > 1 && (character.code == 0x85 || character.code == 0x2028 || character.code == 0x2029)
             ? character.length
             : 0;
}

}  // namespace

std::vector<std::string_view> split_lines(std::string_view text, bool keep_ends) {
  std::vector<std::string_view> lines;
  std::size_t from = 0;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t broken = line_break(text, at);
    if (broken == 0) {
      at += code_point_bytes(text, at);
      continue;
    }
    lines.push_back(text.substr(from, at - from + (keep_ends ? broken : 0)));
    at += broken;
    from = at;
  }
  if (from < text.size()) lines.push_back(text.substr(from));
  return lines;
}

// ---- classes and quoting ---------------------------------------------------------------------------------------------

bool all_in_class(std::string_view text, std::string_view python_test) {
  bool cased = false;
  for (std::size_t at = 0; at < text.size(); at += code_point_bytes(text, at)) {
    const Utf8Char character = char_at(text, at);
    const bool letter = character.kind == CharClass::kLetter, number = character.kind == CharClass::kNumber;
    if (python_test == "isdigit" || python_test == "isnumeric" || python_test == "isdecimal") {
      if (!number) return false;
    } else if (python_test == "isalpha") {
      if (!letter) return false;
    } else if (python_test == "isalnum") {
      if (!letter && !number) return false;
    } else if (python_test == "isspace") {
      if (!is_python_space(text, at)) return false;
    } else {
      const bool is_lower = to_upper(character.code) != character.code, is_upper = to_lower(character.code) != character.code;
      if (python_test == "islower" ? is_upper : is_lower) return false;
      cased = cased || is_lower || is_upper;
    }
  }
  return python_test == "islower" || python_test == "isupper" ? cased : !text.empty();
}

std::string quoted_repr(std::string_view text) {
  const bool doubled = text.find('\'') != std::string_view::npos && text.find('"') == std::string_view::npos;
  const char quote = doubled ? '"' : '\'';
  std::string out(1, quote);
  static constexpr char kHex[] = "0123456789abcdef";
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t bytes = code_point_bytes(text, at);
    const unsigned char byte = static_cast<unsigned char>(text[at]);
    if (byte == static_cast<unsigned char>(quote) || byte == '\\') {
      out += '\\';
      out += text[at];
    } else if (byte == '\n') {
      out += "\\n";
    } else if (byte == '\r') {
      out += "\\r";
    } else if (byte == '\t') {
      out += "\\t";
    } else if (byte < 0x20 || byte == 0x7f || (bytes == 1 && byte >= 0x80)) {
      out += {'\\', 'x', kHex[byte >> 4], kHex[byte & 15]};
    } else if (bytes == 2 && byte == 0xC2 &&
               (static_cast<unsigned char>(text[at + 1]) <= 0xA0 || static_cast<unsigned char>(text[at + 1]) == 0xAD)) {
      const unsigned char code = static_cast<unsigned char>(text[at + 1]);
      out += {'\\', 'x', kHex[code >> 4], kHex[code & 15]};
    } else {
      out += text.substr(at, bytes);
    }
    at += bytes;
  }
  return out + quote;
}

std::string escape_html(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&': out += "&amp;"; break;
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '\'': out += "&#39;"; break;
      case '"': out += "&#34;"; break;
      default: out += c;
    }
  }
  return out;
}

}  // namespace baton::chat
