// SPDX-License-Identifier: Apache-2.0
// EventHeap: the whole world of a simulation in one queue ordered by (virtual time, order of scheduling). Everything that
// is simulated (loops, network, data plane, devices, faults) schedules closures here and draws from its one random
// stream, so that a seed decides every event. Each executed event is folded into a rolling hash: equal seeds, equal
// hashes, or something read a clock, an address or an unordered container. Single-threaded.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "runtime/base/hash.h"
#include "runtime/base/random.h"
#include "runtime/base/time.h"

namespace baton {

class EventHeap {
 public:
  explicit EventHeap(std::uint64_t seed) : random_(seed) {}

  Time now() const { return now_; }
  Random& random() { return random_; }
  std::uint64_t events() const { return events_; }
  std::uint64_t hash() const { return hash_; }
  // Folds a fact into the rolling hash (a message kind, a node, a fault).
  void note(std::uint64_t fact) { hash_ = mix64(hash_, fact); }

  void at(Time when, std::function<void()> run);
  void after(Duration delay, std::function<void()> run) { at(now_ + delay, std::move(run)); }
  // Runs the earliest event; false if there is none.
  bool step();
  // Runs every event up to `until` and sets the time to it.
  void run_until(Time until);

 private:
  struct Event {
    Time when;
    std::uint64_t sequence;
    std::function<void()> run;
  };
  struct Later {
    bool operator()(const Event& a, const Event& b) const {
      return a.when != b.when ? a.when > b.when : a.sequence > b.sequence;
    }
  };

  Time now_{};
  Random random_;
  std::vector<Event> heap_;
  std::uint64_t sequence_ = 0;
  std::uint64_t events_ = 0;
  std::uint64_t hash_ = 0;
};

}  // namespace baton
