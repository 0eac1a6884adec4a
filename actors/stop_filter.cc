// SPDX-License-Identifier: Apache-2.0
#include "actors/stop_filter.h"

#include <algorithm>
#include <utility>

#include "runtime/base/check.h"

namespace baton {

StopFilter::Stop::Stop(const std::string& string) : text(string), falls_back(string.size() + 1, 0) {
  CHECK(!text.empty(), "an empty stop string");
  std::uint32_t length = 0;
  for (std::size_t i = 1; i < text.size(); ++i) {
    length = advance(length, text[i]);
    falls_back[i + 1] = length;
  }
}

std::uint32_t StopFilter::Stop::advance(std::uint32_t length, char next) const {
  if (length == text.size()) length = falls_back[length];
  while (length > 0 && text[length] != next) length = falls_back[length];
  return text[length] == next ? length + 1 : length;
}

StopFilter::StopFilter(const std::vector<std::string>& stops, bool include)
    : stops_(std::make_shared<const std::vector<Stop>>(stops.begin(), stops.end())), lengths_(stops.size(), 0), include_(include) {}

std::optional<std::size_t> StopFilter::complete() const {
  std::optional<std::size_t> longest;
  for (std::size_t i = 0; i < lengths_.size(); ++i)
    if (lengths_[i] == (*stops_)[i].text.size() && (!longest || lengths_[i] > lengths_[*longest])) longest = i;
  return longest;
}

std::string StopFilter::push(std::string_view text, bool armed) {
  if (matched_) return {};
  if (lengths_.empty()) return std::string(text);
  for (const char next : text) {
    held_ += next;
    for (std::size_t i = 0; i < lengths_.size(); ++i) lengths_[i] = (*stops_)[i].advance(lengths_[i], next);
    if (!armed) continue;
    matched_ = complete();
    if (!matched_) continue;
    if (!include_) held_.resize(held_.size() - (*stops_)[*matched_].text.size());
    return std::exchange(held_, {});
  }
  std::size_t undecided = 0;
  for (std::size_t i = 0; i < lengths_.size(); ++i) {
    // A stop string that was complete and did not count may begin again in its own end, but not be complete again.
    const Stop& stop = (*stops_)[i];
    undecided = std::max<std::size_t>(undecided, lengths_[i] == stop.text.size() ? stop.falls_back[lengths_[i]] : lengths_[i]);
  }
  std::string certain = held_.substr(0, held_.size() - undecided);
  held_.erase(0, certain.size());
  return certain;
}

std::string StopFilter::flush() { return std::exchange(held_, {}); }

}  // namespace baton
