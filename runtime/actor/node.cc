// SPDX-License-Identifier: Apache-2.0
#include "runtime/actor/node.h"

#include <algorithm>
#include <string>
#include <utility>
#include <variant>

#include "runtime/base/check.h"

namespace baton {

// The outbox of one turn of one slot.
class Node::Turn final : public Outbox {
 public:
  Turn(Node& node, Time now, std::uint32_t slot, Slot& state, const ActorRef& sender)
      : Outbox(node.mailbox_, node.encoded_, {node.node(), node.incarnation(), slot, state.generation}), node_(node), now_(now), state_(state), sender_(sender) {}

  Time now() const override { return now_; }
  Random& random() override { return state_.random; }
  ActorRef self() const override { return here(); }
  ActorRef sender() const override { return sender_; }

  void post(const ActorRef& to, Payload message) override {
    if (to.node != node_.node()) {
      post_encoded(to, message);
    } else if (to.incarnation.value == 0 || to.incarnation == node_.incarnation()) {
      node_.mailbox_.push(std::move(message), {here().slot, here().generation, to.slot, to.generation});
    } else {
      ++node_.counters_.dead_letters;
    }
  }
  void post_encoded(const ActorRef& to, const PayloadView& message) override {
    if (to.node == node_.node()) ++node_.counters_.dead_letters;  // an earlier life of ours
    else node_.links_.send(now_, to, {here().slot, here().generation, to.slot, to.generation, message});
  }
  void wake_at(Time when) override { state_.wake = std::min(state_.wake, when); }
  void introduce(NodeId node, const std::string& address) override { node_.links_.introduce(node, address); }
  void fence(NodeId node, Incarnation incarnation) override { node_.links_.fence(now_, node, incarnation); }

 private:
  Node& node_;
  Time now_;
  Slot& state_;
  ActorRef sender_;
};

Node::Node(const NodeOptions& options, Channel& channel)
    : options_(options), links_(options.node, options.incarnation, channel, options.links) {}

ActorRef Node::add(std::uint32_t slot, Cell& cell) {
  Slot& state = slots_[slot];
  if (slot < low_slots_.size()) low_slots_[slot] = &state;
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

void Node::post(std::uint32_t slot, std::function<void(Outbox&)> turn) {
  mailbox_.push(Posted{std::move(turn)}, {0, 0, slot, 0});
  check_mailbox();
}

void Node::enqueue(LinkEvent event) {
  std::visit([this](auto& e) { mailbox_.push(std::move(e)); }, event);
  check_mailbox();
}

void Node::take_link_events() {
  for (LinkEvent& event : links_.take_events()) enqueue(std::move(event));
}

bool Node::run(Time now) {
  links_.advance(now);
  take_link_events();
  tick_due(now);
  for (std::size_t turns = 0; turns < options_.turns_max && !mailbox_.empty(); ++turns) {
    Mailbox::Record& record = mailbox_.front();
    bool done = true;
    if (record.type->kind != 0) handle_local(now, record, record.body());
    else done = handle(now, record);
    if (done) mailbox_.pop();
    check_mailbox();
    if (links_.has_events()) take_link_events();
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

Node::Slot* Node::tenant_beyond(std::uint32_t slot) {
  const auto it = slots_.find(slot);
  if (it != slots_.end() && it->second.cell != nullptr) return &it->second;
  ++counters_.dead_letters;
  return nullptr;
}

bool Node::handle(Time now, Mailbox::Record& record) {
  if (auto* arrived = record.as<Arrived>()) {
    return handle_arrived(now, *arrived);
  } else if (record.as<Payload>() != nullptr) {
    handle_local(now, record, nullptr);
  } else if (const auto* up = record.as<LinkUp>()) {
    tell_all(now, [&](Cell& cell, Outbox& out) { cell.link_up(*up, out); });
  } else if (const auto* down = record.as<LinkDown>()) {
    tell_all(now, [&](Cell& cell, Outbox& out) { cell.link_down(*down, out); });
  } else if (auto* posted = record.as<Posted>()) {
    const std::uint32_t slot = record.address.destination_slot;
    Slot* state = tenant(slot);
    if (state == nullptr) return true;
    ++counters_.turns;
    Turn turn(*this, now, slot, *state, ActorRef{});
    posted->turn(turn);
  }
  return true;
}

// A message of this node: the value that was sent, or (null) what an actor had encoded itself.
void Node::handle_local(Time now, Mailbox::Record& record, const void* message) {
  const LocalAddress& address = record.address;
  Slot* state = tenant(address.destination_slot);
  if (state == nullptr) return;
  if (state->generation != address.destination_generation) {
    ++counters_.dead_letters;
    return;
  }
  ++counters_.turns;
  Turn turn(*this, now, address.destination_slot, *state, {node(), incarnation(), address.source_slot, address.source_generation});
  if (message != nullptr) {
    const bool taken = state->cell->deliver_local(*record.type, message, turn);
    CHECK(taken, "an actor sent its own node a message that is not accepted: kind " + std::to_string(record.type->kind));
    return;
  }
  const Result<void> taken = state->cell->deliver(*record.as<Payload>(), turn);
  CHECK(taken.has_value(), "an actor sent its own node a message that is not accepted: " + taken.error().message);
}

// Whatever an earlier turn fenced is not heard any more, even if it had arrived.
bool Node::handle_arrived(Time now, Arrived& arrived) {
  if (arrived.endings != links_.endings() && links_.retired(arrived.node, arrived.life)) return true;
  const MessageView message = arrived.messages.front();
  Slot* state = tenant(message.destination_slot);
  if (state != nullptr && state->generation != message.destination_generation) {
    ++counters_.dead_letters;
    state = nullptr;
  }
  if (state != nullptr) {
    ++counters_.turns;
    Turn turn(*this, now, message.destination_slot, *state, {arrived.node, arrived.life, message.source_slot, message.source_generation});
    if (const Result<void> taken = state->cell->deliver(message.payload, turn); !taken) {
      ++counters_.refused_messages;
      links_.drop(now, arrived.node, arrived.life, "bad message: " + taken.error().message);
    }
  }
  arrived.messages.pop_front();
  if (!arrived.messages.empty()) return false;
  links_.recycle(arrived);
  return true;
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
