// SPDX-License-Identifier: Apache-2.0
#include "models/pre_tokenizer.h"

#include "models/unicode.h"

namespace baton {
namespace {

bool is_newline(const Utf8Char& c) { return c.code == '\r' || c.code == '\n'; }

// The end of the run of characters of one class that begins at `at`.
std::size_t run_end(std::string_view text, std::size_t at, CharClass kind) {
  while (at < text.size()) {
    const Utf8Char c = char_at(text, at);
    if (c.kind != kind) break;
    at += c.length;
  }
  return at;
}

char lower_ascii(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

// 's|'t|'re|'ve|'m|'ll|'d at `at`; `at` itself if none is there. Ignoring case includes U+017F, the long s.
std::size_t contraction_end(std::string_view text, std::size_t at, bool ignore_case) {
  if (text[at] != '\'') return at;
  const auto letter = [&](std::size_t i) {
    if (i >= text.size()) return '\0';
    return ignore_case ? lower_ascii(text[i]) : text[i];
  };
  const char first = letter(at + 1);
  const char second = letter(at + 2);
  if (first == 's' || first == 't' || first == 'm' || first == 'd') return at + 2;
  if ((first == 'r' && second == 'e') || (first == 'v' && second == 'e') || (first == 'l' && second == 'l')) return at + 3;
  if (ignore_case && text.substr(at + 1, 2) == "\xC5\xBF") return at + 3;
  return at;
}

// \s+(?!\S)|\s+ for the run [at, end): at the end of the text all of it, else all but its last character, which goes with
// what follows; a single character stands alone.
std::size_t space_end(std::string_view text, std::size_t at, std::size_t end, bool ends_text) {
  if (ends_text) return end;
  std::size_t last = at;
  for (std::size_t i = at; i < end; i += char_at(text, i).length) last = i;
  return last == at ? end : last;
}

// 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
std::size_t gpt2_end(std::string_view text, std::size_t at) {
  if (const std::size_t end = contraction_end(text, at, false); end > at) return end;
  const std::size_t start = text[at] == ' ' && at + 1 < text.size() ? at + 1 : at;
  if (const CharClass kind = char_at(text, start).kind; kind != CharClass::kSpace) return run_end(text, start, kind);
  const std::size_t end = run_end(text, at, CharClass::kSpace);
  return space_end(text, at, end, end == text.size());
}

// Every \p{N} alone; what lies between them is cut as by GPT-2, each stretch as if it were a text of its own.
std::size_t smollm_end(std::string_view text, std::size_t at) {
  const Utf8Char first = char_at(text, at);
  if (first.kind == CharClass::kNumber) return at + first.length;
  if (first.kind != CharClass::kSpace) return gpt2_end(text, at);
  const std::size_t end = run_end(text, at, CharClass::kSpace);
  if (end == text.size() || char_at(text, end).kind == CharClass::kNumber) return end;
  return gpt2_end(text, at);
}

// \s*[\r\n]+|\s+(?!\S)|\s+ : through the last line break of the run, if there is one.
std::size_t space_or_lines_end(std::string_view text, std::size_t at) {
  std::size_t end = at;
  std::size_t behind_newline = at;
  while (end < text.size()) {
    const Utf8Char c = char_at(text, end);
    if (c.kind != CharClass::kSpace) break;
    end += c.length;
    if (is_newline(c)) behind_newline = end;
  }
  if (behind_newline > at) return behind_newline;
  return space_end(text, at, end, end == text.size());
}

// (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,max_digits}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+
std::size_t llama3_end(std::string_view text, std::size_t at, std::size_t max_digits) {
  if (const std::size_t end = contraction_end(text, at, true); end > at) return end;
  const Utf8Char first = char_at(text, at);
  const std::size_t next = at + first.length;
  if (first.kind == CharClass::kLetter) return run_end(text, next, CharClass::kLetter);
  if (first.kind == CharClass::kNumber) {
    std::size_t end = next;
    for (std::size_t digits = 1; digits < max_digits && end < text.size(); ++digits) {
      const Utf8Char c = char_at(text, end);
      if (c.kind != CharClass::kNumber) break;
      end += c.length;
    }
    return end;
  }
  const CharClass following = next < text.size() ? char_at(text, next).kind : CharClass::kSpace;
  if (!is_newline(first) && following == CharClass::kLetter) return run_end(text, next, CharClass::kLetter);
  if (first.kind == CharClass::kOther || (first.code == ' ' && following == CharClass::kOther)) {
    std::size_t end = run_end(text, next, CharClass::kOther);
    while (end < text.size() && (text[end] == '\r' || text[end] == '\n')) ++end;
    return end;
  }
  return space_or_lines_end(text, at);
}

std::size_t qwen2_end(std::string_view text, std::size_t at) { return llama3_end(text, at, 1); }
std::size_t llama_bpe_end(std::string_view text, std::size_t at) { return llama3_end(text, at, 3); }

constexpr PreTokenizer kPreTokenizers[] = {
    {"smollm", smollm_end, false, false}, {"gpt-2", gpt2_end, false, false},        {"default", gpt2_end, false, false},
    {"qwen2", qwen2_end, false, false},   {"llama-bpe", llama_bpe_end, true, true},
};

}  // namespace

const PreTokenizer* find_pre_tokenizer(std::string_view name) {
  for (const PreTokenizer& entry : kPreTokenizers) {
    if (entry.name == name) return &entry;
  }
  return nullptr;
}

std::string supported_pre_tokenizers() {
  std::string out;
  for (const PreTokenizer& entry : kPreTokenizers) out += (out.empty() ? "" : ", ") + std::string(entry.name);
  return out;
}

}  // namespace baton
