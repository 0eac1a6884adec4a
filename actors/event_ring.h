// SPDX-License-Identifier: Apache-2.0
// EventRing: what happened to the cluster, in order, each with a number that is one more than the last's. Owned by the coordinator;
// the latest kMost are kept. Times leave it as ages, since no clock crosses the wire.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <string>
#include <utility>

#include "protocol/messages.h"
#include "runtime/base/time.h"

namespace baton {

class EventRing {
 public:
  static constexpr std::size_t kMost = 1024;
  static constexpr std::size_t kPerReport = 256;
  static constexpr std::size_t kTextBytesMax = 1024;

  void note(EventKind kind, const std::string& subject, const std::string& detail, Time now) {
    events_.push_back({now, {++last_, kind, 0, subject.substr(0, 256), detail.substr(0, kTextBytesMax)}});
    if (events_.size() > kMost) events_.pop_front();
  }

  // The oldest that are newer than number `after`; `missed` are gone already.
  EventsReport report(std::uint64_t after, Time now) const {
    EventsReport report;
    report.last = last_;
    const std::uint64_t gone = last_ - events_.size();
    report.missed = gone - std::min(after, gone);
    const std::uint64_t skip = std::min<std::uint64_t>(after - std::min(after, gone), events_.size());
    for (std::size_t i = skip; i < events_.size() && report.events.size() < kPerReport; ++i) {
      report.events.push_back(events_[i].second);
      report.events.back().age_ns = static_cast<std::uint64_t>(std::max<std::int64_t>((now - events_[i].first).count(), 0));
    }
    return report;
  }

 private:
  std::deque<std::pair<Time, ClusterEvent>> events_;
  std::uint64_t last_ = 0;
};

}  // namespace baton
