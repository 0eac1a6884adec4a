// SPDX-License-Identifier: Apache-2.0
#include "runtime/actor/node.h"

#include <algorithm>
#include <utility>

#include "runtime/base/check.h"

namespace baton {

// The outbox of one turn of one slot.
class Node::Turn final : public Outbox {
 public:
  Turn(Node& node, Time now, std::uint32_t slot, Slot& state, const ActorRef& sender)
      : node_(node), now_(now), slot_(slot), state_(state), sender_(sender) {}

  Time now() const override { return now_; }
  Random& random() override { return state_.random; }
  ActorRef self() const override { return {node_.node(), node_.incarnation(), slot_, state_.generation}; }
  ActorRef sender() const override { return sender_; }

  void post(const ActorRef& to, Payload message) override {
    if (to.node != node_.node()) {
      node_.links_.send(now_, to, {slot_, state_.generation, to.slot, to.generation, std::move(message)});
    } else if (to.incarnation.value == 0 || to.incarnation == node_.incarnation()) {
      node_.enqueue(Delivered{self(), to, std::move(message)});
    } else {
      ++node_.counters_.dead_letters;
    }
  }
  void wake_at(Time when) override { state_.wake = std::min(state_.wake, when); }
  void introduce(NodeId node, const std::string& address) override { node_.links_.introduce(node, address); }
  void fence(NodeId node, Incarnation incarnation) override { node_.links_.fence(now_, node, incarnation); }

 private:
  Node& node_;
  Time now_;
  std::uint32_t slot_;
  Slot& state_;
  ActorRef sender_;
};

Node::Node(const NodeOptions& options, Channel& channel)
    : options_(options), links_(options.node, options.incarnation, channel, options.links) {}

ActorRef Node::add(std::uint32_t slot, Cell& cell) {
  Slot& state = slots_[slot];
  CHECK(state.cell == nullptr, "the slot has a tenant");
  state.cell = &cell;
  state.random = Random(mix64(options_.random_key, mix64(slot, state.generation)));
  state.wake = Time::min();
  return ref(slot);
}

void Node::remove(std::uint32_t slot) {
  Slot& state = slots_.at(slot);
  CHECK(state.cell != nullptr, "the slot has no tenant");
  state.cell = nullptr;
  state.wake = kNever;
  ++state.generation;
}

ActorRef Node::ref(std::uint32_t slot) const { return {options_.node, options_.incarnation, slot, slots_.at(slot).generation}; }

void Node::receive(Time now, ConnectionId connection, std::string_view frame) {
  links_.receive(now, connection, frame);
  take_link_events();
}

void Node::post(std::uint32_t slot, std::function<void(Outbox&)> turn) { enqueue(Posted{slot, std::move(turn)}); }

void Node::enqueue(Item item) {
  CHECK(mailbox_.size() < options_.mailbox_max, "actors of this node flood each other");
  mailbox_.push_back(std::move(item));
}

void Node::take_link_events() {
  for (LinkEvent& event : links_.take_events()) {
    std::visit([this](auto& e) { enqueue(std::move(e)); }, event);
  }
}

bool Node::run(Time now) {
  links_.advance(now);
  take_link_events();
  tick_due(now);
  for (std::size_t turns = 0; turns < options_.turns_max && !mailbox_.empty(); ++turns) {
    Item item = std::move(mailbox_.front());
    mailbox_.pop_front();
    handle(now, item);
    take_link_events();
  }
  links_.flush(now);
  return !mailbox_.empty();
}

Time Node::next_deadline() {
  Time next = links_.next_deadline();
  for (const auto& [slot, state] : slots_) next = std::min(next, state.wake);
  return next;
}

void Node::tick_due(Time now) {
  for (auto& [slot, state] : slots_) {
    if (state.cell == nullptr || state.wake > now) continue;
    state.wake = kNever;
    ++counters_.turns;
    Turn turn(*this, now, slot, state, ActorRef{});
    state.cell->tick(turn);
  }
  take_link_events();
}

void Node::handle(Time now, Item& item) {
  if (const auto* message = std::get_if<Delivered>(&item)) {
    deliver(now, *message);
  } else if (const auto* up = std::get_if<LinkUp>(&item)) {
    tell_all(now, [&](Cell& cell, Outbox& out) { cell.link_up(*up, out); });
  } else if (const auto* down = std::get_if<LinkDown>(&item)) {
    tell_all(now, [&](Cell& cell, Outbox& out) { cell.link_down(*down, out); });
  } else if (auto* posted = std::get_if<Posted>(&item)) {
    const auto it = slots_.find(posted->slot);
    if (it == slots_.end() || it->second.cell == nullptr) {
      ++counters_.dead_letters;
      return;
    }
    ++counters_.turns;
    Turn turn(*this, now, posted->slot, it->second, ActorRef{});
    posted->turn(turn);
  }
}

void Node::deliver(Time now, const Delivered& message) {
  const bool remote = message.from.node != options_.node;
  // Whatever an earlier turn fenced is not heard any more, even if it had arrived.
  if (remote && links_.retired(message.from.node, message.from.incarnation)) return;
  const auto it = slots_.find(message.to.slot);
  if (it == slots_.end() || it->second.cell == nullptr || it->second.generation != message.to.generation) {
    ++counters_.dead_letters;
    return;
  }
  ++counters_.turns;
  Turn turn(*this, now, message.to.slot, it->second, message.from);
  const Result<void> taken = it->second.cell->deliver(message.payload, turn);
  if (taken) return;
  CHECK(remote, "an actor sent its own node a message that is not accepted: " + taken.error().message);
  ++counters_.refused_messages;
  links_.drop(now, message.from.node, message.from.incarnation, "bad message: " + taken.error().message);
}

void Node::tell_all(Time now, const std::function<void(Cell&, Outbox&)>& event) {
  for (auto& [slot, state] : slots_) {
    if (state.cell == nullptr) continue;
    ++counters_.turns;
    Turn turn(*this, now, slot, state, ActorRef{});
    event(*state.cell, turn);
  }
}

}  // namespace baton
