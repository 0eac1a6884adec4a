// SPDX-License-Identifier: Apache-2.0
// Where a submission's time went: from what its edge saw when, and from what the workers counted, to a JobTimeline whose parts add
// up to the nanosecond. Pure. Clocks of other processes never come in: of them there are durations only, and where those do
// not fit into what the edge saw, what it saw counts.
#pragma once

#include <cstdint>
#include <optional>

#include "protocol/messages.h"
#include "runtime/base/time.h"

namespace baton {

// By the edge's clock.
struct JobMarks {
  Time submitted{};
  std::optional<Time> placed;  // first
  std::optional<Time> first;   // token that was delivered
  std::optional<Time> second;  // of the same choice
  std::optional<TokenTiming> prefill;  // what was said of the first token
  std::optional<TokenTiming> decode;   // and of the second
};

// The five parts, and what is inside them, of a job that has ended at `now` or goes on. `apart`: two workers have it.
JobTimeline job_timeline(const JobMarks& marks, bool apart, Time now);

inline std::uint64_t ttft_ns(const JobTimeline& timeline) { return timeline.queue_ns + timeline.prefill_ns; }
inline std::uint64_t total_ns(const JobTimeline& timeline) {
  return ttft_ns(timeline) + timeline.transfer_ns + timeline.first_step_ns + timeline.decode_ns;
}

}  // namespace baton
