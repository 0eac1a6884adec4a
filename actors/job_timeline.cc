// SPDX-License-Identifier: Apache-2.0
#include "actors/job_timeline.h"

#include <algorithm>

namespace baton {
namespace {

std::uint64_t between(Time from, Time to) { return static_cast<std::uint64_t>(std::max<std::int64_t>((to - from).count(), 0)); }

}  // namespace

JobTimeline job_timeline(const JobMarks& marks, bool apart, Time now) {
  JobTimeline timeline;
  timeline.apart = apart;
  // Word of the placement and the first token come over different links.
  const Time until_first = marks.first.value_or(now);
  const Time placed = std::min(marks.placed.value_or(marks.first ? marks.submitted : now), until_first);
  timeline.state = marks.first ? JobState::kDecode : marks.placed ? JobState::kPrefill : JobState::kQueued;
  timeline.queue_ns = between(marks.submitted, placed);
  timeline.prefill_ns = between(placed, until_first);
  if (!marks.first) return timeline;
  if (marks.prefill) {
    timeline.waiting_ns = std::min(marks.prefill->waiting_ns, timeline.prefill_ns);
    timeline.computing_ns = std::min(marks.prefill->computing_ns, timeline.prefill_ns - timeline.waiting_ns);
    timeline.cached_tokens = marks.prefill->cached_tokens;
  }
  Time known = *marks.first;
  if (marks.second && (marks.decode || !apart)) {
    const std::uint64_t gap = between(*marks.first, *marks.second);
    timeline.first_step_ns = apart ? std::min(marks.decode->computing_ns, gap) : gap;
    timeline.transfer_ns = gap - timeline.first_step_ns;
    known = *marks.second;
  }
  if (marks.decode && apart) {
    timeline.kv_ns = marks.decode->transfer_ns;
    timeline.missed = marks.decode->missed;
  }
  timeline.decode_ns = between(known, now);
  return timeline;
}

}  // namespace baton
