// SPDX-License-Identifier: Apache-2.0
#include "runtime/actor/event_heap.h"

#include <algorithm>
#include <utility>

namespace baton {

void EventHeap::at(Time when, std::function<void()> run) {
  heap_.push_back({std::max(when, now_), sequence_++, std::move(run)});
  std::push_heap(heap_.begin(), heap_.end(), Later{});
}

bool EventHeap::step() {
  if (heap_.empty()) return false;
  std::pop_heap(heap_.begin(), heap_.end(), Later{});
  Event event = std::move(heap_.back());
  heap_.pop_back();
  now_ = event.when;
  ++events_;
  note(mix64(static_cast<std::uint64_t>(now_.time_since_epoch().count()), event.sequence));
  event.run();
  return true;
}

void EventHeap::run_until(Time until) {
  while (!heap_.empty() && heap_.front().when <= until) step();
  now_ = std::max(now_, until);
}

}  // namespace baton
