// SPDX-License-Identifier: Apache-2.0
// Journal: a small durable map, written by one actor, read back by its next life. Records are put under a key and erased; what was put
// and not erased is what a new life finds. put() takes effect in order; `durable` runs as a later turn of the actor once this
// record and all before it are safe from the end of the process. Nothing blocks, nothing fails synchronously.
// FileJournal is the real one (FileJournalThread gives it a thread), SimJournal the simulator's.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <map>
#include <string>

#include "runtime/actor/outbox.h"

namespace baton {

struct JournalKey {
  std::uint8_t kind = 0;  // the writer's own; kinds have ids of their own
  std::uint64_t id = 0;
  friend constexpr auto operator<=>(const JournalKey&, const JournalKey&) = default;
};
using JournalRecords = std::map<JournalKey, std::string>;

class Journal {
 public:
  virtual ~Journal() = default;
  // In place of what was under the key. `durable` may be empty; `ok` false: it could not be written (the disk is full).
  virtual void put(const JournalKey& key, std::string record, std::function<void(bool ok, Outbox&)> durable) = 0;
  virtual void erase(const JournalKey& key) = 0;
};

// For clusters that end with their coordinator: nothing is kept, everything is durable at once.
class NoJournal final : public Journal {
 public:
  void put(const JournalKey&, std::string, std::function<void(bool, Outbox&)>) override {}
  void erase(const JournalKey&) override {}
};

}  // namespace baton
