// SPDX-License-Identifier: Apache-2.0
// StopFilter: lets text through until one of the stop strings is complete, and holds back whatever may yet turn out to be the
// beginning of one, so that nothing delivered ever has to be withdrawn. The text ends with the stop string that is complete
// first; of several that end at the same place, with the longest. Pieces may be cut anywhere between characters.
//
// One per stream, on its edge's loop. Cost: O(stop strings) per byte, whatever the strings and the text (Knuth, Morris, Pratt).
// Copies share the strings and their tables, five bytes for each of a string's, so that many answers to one prompt cost no more.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace baton {

class StopFilter {
 public:
  // `stops`: none of them empty, UTF-8. `include`: what ended the text is delivered too.
  StopFilter(const std::vector<std::string>& stops, bool include);

  // The text that became certain. Nothing after a match. `armed`: false, and stop strings that become complete in this piece
  // do not count (one may still begin in it).
  std::string push(std::string_view text, bool armed);
  // What is held back, at the end of a stream that nothing ended.
  std::string flush();
  // Which stop string has ended the text.
  std::optional<std::size_t> matched() const { return matched_; }

 private:
  struct Stop {
    explicit Stop(const std::string& string);
    // Of the longest prefix that the text ends with: before `next`, and with it.
    std::uint32_t advance(std::uint32_t length, char next) const;

    std::string text;
    std::vector<std::uint32_t> falls_back;  // of each length: the longest shorter prefix that is also its suffix
  };
  // What the text ends with at this byte; the longest.
  std::optional<std::size_t> complete() const;

  std::shared_ptr<const std::vector<Stop>> stops_;
  std::vector<std::uint32_t> lengths_;  // of each stop string: of the longest prefix that the text so far ends with
  bool include_;
  std::string held_;  // the end of the text so far that is a prefix of a stop string, the longest such
  std::optional<std::size_t> matched_;
};

}  // namespace baton
