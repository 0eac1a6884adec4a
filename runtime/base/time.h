// SPDX-License-Identifier: Apache-2.0
// Time as actors see it: a monotonic instant with no origin that means anything, handed in from outside
// (the real loop reads the clock, the simulator counts). Only durations ever cross the wire.
#pragma once

#include <chrono>
#include <cstdint>

namespace baton {

using Duration = std::chrono::nanoseconds;

struct MonotonicTime {
  using rep = std::int64_t;
  using period = std::nano;
  using duration = Duration;
  using time_point = std::chrono::time_point<MonotonicTime>;
  static constexpr bool is_steady = true;
};

using Time = MonotonicTime::time_point;

inline constexpr Time kNever = Time::max();

}  // namespace baton
