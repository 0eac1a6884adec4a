// SPDX-License-Identifier: Apache-2.0
// Diagnostic: one thing wrong (or worth knowing) about a configuration, at one place, in the form compilers use:
//   file:line:column: error: what (did you mean "…"?)
//     3 | the source line
//       |     ^
// Reporter collects them, so that all errors are shown at once. Single-threaded; owns the source texts it quotes.
// Bounded: at most kDiagnosticsMax of each severity are kept, the rest is counted.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace baton {

inline constexpr std::size_t kDiagnosticsMax = 100;

enum class Severity : std::uint8_t { kError, kNote };

struct Diagnostic {
  Severity severity = Severity::kError;
  std::string file;         // as it was named; "--set" and "environment" for overrides
  std::uint32_t line = 1;   // from 1
  std::uint32_t column = 1; // from 1, in characters
  std::string message;
  std::string hint;         // shown in parentheses; may be empty
  std::string source_line;  // cut to a window around the column; may be empty
  std::uint32_t caret = 0;  // characters of source_line before the caret
};

std::string render(const Diagnostic& diagnostic);
std::string render(const std::vector<Diagnostic>& diagnostics);

// Where a node began: which source, line from 1, column from 1 in bytes.
struct Place {
  std::uint32_t source = 0;
  std::uint32_t line = 1;
  std::uint32_t column = 1;
};

class Reporter {
 public:
  // The text is kept for quoting; returns the number to put into Places.
  std::uint32_t add_source(std::string name, std::string text);

  void error(const Place& place, std::string message, std::string hint = {});
  void note(const Place& place, std::string message, std::string hint = {});

  bool failed() const { return !errors_.empty(); }
  // In order of source, line and column.
  std::vector<Diagnostic> errors() const { return sorted(errors_, errors_dropped_); }
  std::vector<Diagnostic> notes() const { return sorted(notes_, 0); }

 private:
  struct Source {
    std::string name;
    std::string text;
  };
  struct Entry {
    Place place;
    Diagnostic diagnostic;
  };
  Diagnostic make(Severity severity, const Place& place, std::string message, std::string hint) const;
  std::string_view line_of(const Place& place) const;
  static std::vector<Diagnostic> sorted(std::vector<Entry> entries, std::size_t dropped);

  std::vector<Source> sources_;
  std::vector<Entry> errors_;
  std::vector<Entry> notes_;
  std::size_t errors_dropped_ = 0;
};

}  // namespace baton
