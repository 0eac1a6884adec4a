// SPDX-License-Identifier: Apache-2.0
// Timers<Key>: an actor's own deadlines. A binary heap with lazy removal: set, cancel and pop cost O(log n), `next` tells
// the Outbox when to tick. A key has at most one deadline; setting it again moves it (an expiry list in insertion order
// breaks as soon as leases are renewed). Owned by one actor; bounded by the number of live keys (dead heap entries are
// swept once they outnumber the live ones).
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "runtime/base/time.h"

namespace baton {

template <class Key>
class Timers {
 public:
  void set(const Key& key, Time when) {
    live_[key] = when;
    heap_.push_back({when, key});
    std::push_heap(heap_.begin(), heap_.end(), Later{});
    if (heap_.size() > 2 * live_.size() + 64) sweep();
  }
  void cancel(const Key& key) { live_.erase(key); }
  bool contains(const Key& key) const { return live_.contains(key); }
  std::size_t size() const { return live_.size(); }

  Time next() {
    drop_dead();
    return heap_.empty() ? kNever : heap_.front().first;
  }
  // The earliest key that is due at `now`, removed; nothing if none is.
  std::optional<Key> pop_due(Time now) {
    drop_dead();
    if (heap_.empty() || heap_.front().first > now) return std::nullopt;
    Key key = heap_.front().second;
    live_.erase(key);
    pop();
    return key;
  }

 private:
  using Entry = std::pair<Time, Key>;
  struct Later {
    bool operator()(const Entry& a, const Entry& b) const { return b < a; }
  };
  bool dead(const Entry& entry) const {
    const auto it = live_.find(entry.second);
    return it == live_.end() || it->second != entry.first;
  }
  void pop() {
    std::pop_heap(heap_.begin(), heap_.end(), Later{});
    heap_.pop_back();
  }
  void drop_dead() {
    while (!heap_.empty() && dead(heap_.front())) pop();
  }
  void sweep() {
    std::erase_if(heap_, [this](const Entry& entry) { return dead(entry); });
    std::make_heap(heap_.begin(), heap_.end(), Later{});
  }

  std::map<Key, Time> live_;
  std::vector<Entry> heap_;
};

}  // namespace baton
