// SPDX-License-Identifier: Apache-2.0
#include "config/diagnostic.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "config/utf8.h"

namespace baton {
namespace {

constexpr std::size_t kQuotedCharactersMax = 110;

bool continues_character(char c) { return (static_cast<unsigned char>(c) & 0xc0) == 0x80; }

std::size_t characters(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) { return !continues_character(c); }));
}

// Byte offset of the n-th character, or the end.
std::size_t offset_of_character(std::string_view text, std::size_t n) {
  std::size_t offset = 0;
  for (; offset < text.size(); ++offset) {
    if (continues_character(text[offset])) continue;
    if (n == 0) break;
    --n;
  }
  return offset;
}

}  // namespace

std::string render(const Diagnostic& diagnostic) {
  std::string text = diagnostic.file + ':' + std::to_string(diagnostic.line) + ':' + std::to_string(diagnostic.column);
  text += diagnostic.severity == Severity::kError ? ": error: " : ": note: ";
  text += diagnostic.message;
  if (!diagnostic.hint.empty()) text += " (" + diagnostic.hint + ')';
  text += '\n';
  if (diagnostic.source_line.empty()) return text;
  const std::string number = std::to_string(diagnostic.line);
  const std::string margin(number.size() < 5 ? 5 - number.size() : 0, ' ');
  text += margin + number + " | " + diagnostic.source_line + '\n';
  text += std::string(margin.size() + number.size(), ' ') + " | " + std::string(diagnostic.caret, ' ') + "^\n";
  return text;
}

std::string render(const std::vector<Diagnostic>& diagnostics) {
  std::string text;
  for (const Diagnostic& diagnostic : diagnostics) text += render(diagnostic);
  return text;
}

std::uint32_t Reporter::add_source(std::string name, std::string text) {
  sources_.push_back({std::move(name), std::move(text)});
  return static_cast<std::uint32_t>(sources_.size() - 1);
}

void Reporter::error(const Place& place, std::string message, std::string hint) {
  if (errors_.size() >= kDiagnosticsMax) {
    ++errors_dropped_;
    return;
  }
  errors_.push_back({place, make(Severity::kError, place, std::move(message), std::move(hint))});
}

void Reporter::note(const Place& place, std::string message, std::string hint) {
  if (notes_.size() < kDiagnosticsMax) notes_.push_back({place, make(Severity::kNote, place, std::move(message), std::move(hint))});
}

Diagnostic Reporter::make(Severity severity, const Place& place, std::string message, std::string hint) const {
  Diagnostic made;
  made.severity = severity;
  made.file = place.source < sources_.size() ? sources_[place.source].name : "?";
  made.line = place.line;
  made.message = std::move(message);
  made.hint = std::move(hint);
  const std::string_view line = line_of(place);
  const std::size_t before = characters(line.substr(0, std::min<std::size_t>(place.column - 1, line.size())));
  made.column = static_cast<std::uint32_t>(before + 1);
  const std::size_t first = before > kQuotedCharactersMax - 20 ? before - (kQuotedCharactersMax - 20) : 0;
  const std::size_t from = offset_of_character(line, first);
  const std::size_t to = offset_of_character(line, first + kQuotedCharactersMax);
  made.source_line = printable(line.substr(from, to - from));
  made.caret = static_cast<std::uint32_t>(before - first);
  return made;
}

std::string_view Reporter::line_of(const Place& place) const {
  if (place.source >= sources_.size()) return {};
  std::string_view rest = sources_[place.source].text;
  for (std::uint32_t line = 1; line < place.line; ++line) {
    const std::size_t end = rest.find('\n');
    if (end == std::string_view::npos) return {};
    rest.remove_prefix(end + 1);
  }
  return rest.substr(0, rest.find_first_of("\r\n"));
}

std::vector<Diagnostic> Reporter::sorted(std::vector<Entry> entries, std::size_t dropped) {
  std::stable_sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    return std::tie(a.place.source, a.place.line, a.place.column) < std::tie(b.place.source, b.place.line, b.place.column);
  });
  std::vector<Diagnostic> result;
  for (Entry& entry : entries) result.push_back(std::move(entry.diagnostic));
  if (dropped > 0) {
    Diagnostic more;
    more.file = result.back().file;
    more.line = result.back().line;
    more.message = std::to_string(dropped) + " more errors are not shown";
    result.push_back(std::move(more));
  }
  return result;
}

}  // namespace baton
