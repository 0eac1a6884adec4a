// SPDX-License-Identifier: Apache-2.0
// Node: the host of one process's actors, the same object in the real loop and in the simulator. It owns the Links and the
// mailbox, implements the Outbox, and borrows the channel and the cells (their actors belong to the wiring). Time, frames and
// finished work are handed in; the owner calls run() whenever something came or next_deadline() has passed, on one thread.
//
// A turn is one message, event, posted function or tick. run() takes at most `turns_max` of them and then flushes the links,
// so that all messages to one peer share frames and a chatty actor cannot starve the sockets. Messages between slots of the
// node go through the mailbox as the values they are; those of other nodes are decoded in the memory of their frame. Every cell gets a first tick when the node first runs.
// Bounded: the mailbox by `mailbox_max` (more is a bug of ours: it aborts); the loops stop reading while it is not empty.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <string_view>

#include "runtime/actor/actor.h"
#include "runtime/actor/mailbox.h"
#include "runtime/actor/outbox.h"
#include "runtime/base/check.h"
#include "runtime/link/links.h"

namespace baton {

struct NodeOptions {
  NodeId node;
  Incarnation incarnation;
  std::uint64_t random_key = 0;
  LinkLimits links;
  std::size_t turns_max = 256;
  std::size_t mailbox_max = 4u << 20;
};

struct NodeCounters {
  std::uint64_t turns = 0;
  std::uint64_t dead_letters = 0;      // no such slot, an earlier tenant, or an earlier life of ours
  std::uint64_t refused_messages = 0;  // a peer's message was not accepted or did not decode: its link was dropped
};

class Node {
 public:
  Node(const NodeOptions& options, Channel& channel);

  // The first tenant of a slot has generation 0, each later one the next. The cell is borrowed until removed.
  ActorRef add(std::uint32_t slot, Cell& cell);
  void remove(std::uint32_t slot);
  ActorRef ref(std::uint32_t slot) const;

  void receive(Time now, ConnectionId connection, std::string_view frame);
  void post(std::uint32_t slot, std::function<void(Outbox&)> turn);
  // Deadlines, then at most turns_max turns, then the flush. True: more is waiting, call again soon.
  bool run(Time now);
  // When run() is wanted next if nothing comes before; kNever if never.
  Time next_deadline();

  NodeId node() const { return options_.node; }
  Incarnation incarnation() const { return options_.incarnation; }
  const Links& links() const { return links_; }
  const NodeCounters& counters() const { return counters_; }

 private:
  class Turn;
  struct Slot {
    Cell* cell = nullptr;
    std::uint32_t generation = 0;
    Time wake = kNever;
    Random random{0};
  };
  struct Posted {
    std::function<void(Outbox&)> turn;
  };

  void enqueue(LinkEvent event);
  void check_mailbox() const { CHECK(mailbox_.size() < options_.mailbox_max, "actors of this node flood each other"); }
  void take_link_events();
  void tick_due(Time now);
  // One turn of the oldest record, which is no message that came as a value; true if the record is done with.
  bool handle(Time now, Mailbox::Record& record);
  void handle_local(Time now, Mailbox::Record& record, const void* message);
  bool handle_arrived(Time now, Arrived& arrived);
  void tell_all(Time now, const std::function<void(Cell&, Outbox&)>& event);
  // Null, and a dead letter, if nobody lives there.
  Slot* tenant(std::uint32_t slot) {
    if (slot < low_slots_.size() && low_slots_[slot] != nullptr && low_slots_[slot]->cell != nullptr) return low_slots_[slot];
    return tenant_beyond(slot);
  }
  Slot* tenant_beyond(std::uint32_t slot);

  const NodeOptions options_;
  Links links_;
  std::map<std::uint32_t, Slot> slots_;
  std::array<Slot*, 16> low_slots_{};  // of slots_, for those below 16
  Mailbox mailbox_;
  std::string encoded_;  // memory in which messages to other nodes are encoded
  NodeCounters counters_;
};

}  // namespace baton
