// SPDX-License-Identifier: Apache-2.0
#include "actors/stop_filter.h"

#include <algorithm>
#include <utility>

#include "runtime/base/check.h"

namespace baton {

StopFilter::StopFilter(const std::vector<std::string>& stops, bool include) : include_(include) {
  for (const std::string& text : stops) {
    CHECK(!text.empty(), "an empty stop string");
    Stop stop;
    stop.text = text;
    stop.falls_back.assign(text.size() + 1, 0);
    for (std::size_t i = 1; i < text.size(); ++i) {
      advance(stop, text[i]);
      stop.falls_back[i + 1] = stop.length;
    }
    stop.length = 0;
    stops_.push_back(std::move(stop));
  }
}

void StopFilter::advance(Stop& stop, char next) const {
  if (stop.length == stop.text.size()) stop.length = stop.falls_back[stop.length];
  while (stop.length > 0 && stop.text[stop.length] != next) stop.length = stop.falls_back[stop.length];
  if (stop.text[stop.length] == next) ++stop.length;
}

std::optional<std::size_t> StopFilter::complete() const {
  std::optional<std::size_t> longest;
  for (std::size_t i = 0; i < stops_.size(); ++i)
    if (stops_[i].length == stops_[i].text.size() && (!longest || stops_[i].length > stops_[*longest].length)) longest = i;
  return longest;
}

std::string StopFilter::push(std::string_view text, bool armed) {
  if (matched_) return {};
  if (stops_.empty()) return std::string(text);
  for (const char next : text) {
    held_ += next;
    for (Stop& stop : stops_) advance(stop, next);
    if (!armed) continue;
    matched_ = complete();
    if (!matched_) continue;
    if (!include_) held_.resize(held_.size() - stops_[*matched_].text.size());
    return std::exchange(held_, {});
  }
  std::size_t undecided = 0;
  for (const Stop& stop : stops_) {
    // A stop string that was complete and did not count may begin again in its own end, but not be complete again.
    const std::uint32_t length = stop.length == stop.text.size() ? stop.falls_back[stop.length] : stop.length;
    undecided = std::max<std::size_t>(undecided, length);
  }
  std::string certain = held_.substr(0, held_.size() - undecided);
  held_.erase(0, certain.size());
  return certain;
}

std::string StopFilter::flush() { return std::exchange(held_, {}); }

}  // namespace baton
