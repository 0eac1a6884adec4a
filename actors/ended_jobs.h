// SPDX-License-Identifier: Apache-2.0
// EndedJobs: timelines of the latest submissions that ended, by id. An id that comes again names the later one. Owned by the
// coordinator; at most kMost, the oldest go first; O(log kMost).
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <utility>

#include "protocol/messages.h"

namespace baton {

class EndedJobs {
 public:
  static constexpr std::size_t kMost = 4096;

  void note(const JobEnded& ended) {
    jobs_[ended.id] = {++last_, ended.timeline};
    order_.emplace_back(last_, ended.id);
    if (order_.size() <= kMost) return;
    const auto oldest = jobs_.find(order_.front().second);
    if (oldest != jobs_.end() && oldest->second.first == order_.front().first) jobs_.erase(oldest);
    order_.pop_front();
  }
  // nullptr: unknown, or too long ago.
  const JobTimeline* find(const std::string& id) const {
    const auto it = jobs_.find(id);
    return it == jobs_.end() ? nullptr : &it->second.second;
  }
  std::size_t size() const { return jobs_.size(); }

 private:
  std::map<std::string, std::pair<std::uint64_t, JobTimeline>> jobs_;  // with the number of their note
  std::deque<std::pair<std::uint64_t, std::string>> order_;
  std::uint64_t last_ = 0;
};

}  // namespace baton
