// SPDX-License-Identifier: Apache-2.0
// RetryBudget: work that is done again may not grow with the faults that cause it. Of the jobs admitted within the window a tenth may be
// drawn, and a small number in any case, so that a cluster with few jobs recovers too (as in Finagle's RetryBudget and Envoy's retry
// budgets). What draws on it is the owner's to say. Pure, integers; O(1), a handful of counters.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

#include "runtime/base/time.h"

namespace baton {

struct RetryBudgetOptions {
  std::uint32_t percent = 10;  // of the jobs admitted within the window
  std::uint32_t floor = 32;    // in any case
  Duration window = std::chrono::minutes(1);
};

class RetryBudget {
 public:
  explicit RetryBudget(const RetryBudgetOptions& options) : options_(options) {}

  void admitted(Time now) { ++slot(now).admitted; }
  // False: nothing is left.
  bool draw(Time now) {
    if (drawn(now) >= most(now)) return false;
    ++slot(now).drawn;
    return true;
  }
  std::uint64_t drawn(Time now) const { return sum(now, &Slot::drawn); }
  std::uint64_t most(Time now) const { return std::max<std::uint64_t>(options_.floor, sum(now, &Slot::admitted) * options_.percent / 100); }

 private:
  static constexpr std::int64_t kSlots = 6;  // the window moves by one of them at a time
  struct Slot {
    std::int64_t number = -1;
    std::uint64_t admitted = 0, drawn = 0;
  };
  std::int64_t number_at(Time now) const { return now.time_since_epoch() / std::max(options_.window / kSlots, Duration{1}); }
  Slot& slot(Time now) {
    const std::int64_t number = number_at(now);
    Slot& at = slots_[static_cast<std::size_t>(number % kSlots)];
    if (at.number != number) at = {number, 0, 0};
    return at;
  }
  std::uint64_t sum(Time now, std::uint64_t Slot::*figure) const {
    std::uint64_t all = 0;
    for (const Slot& each : slots_)
      if (each.number >= 0 && each.number > number_at(now) - kSlots) all += each.*figure;
    return all;
  }

  const RetryBudgetOptions options_;
  std::array<Slot, kSlots> slots_{};
};

}  // namespace baton
