// SPDX-License-Identifier: Apache-2.0
// Outbox: the only door through which an actor reaches the world, valid for one turn (one message or one tick).
// Effects are queued and carried out by the loop after the turn; no call blocks, none fails synchronously. The real
// loop and the simulator implement it; actors cannot tell which.
//
// Delivery promise of post/send: to a given life of a node, messages arrive in order, at most once, and are resent until
// acknowledged; if the peer's life ends or it cannot be reached, the actor gets LinkDown and later messages to that life
// go nowhere. Queues to a peer are bounded: overflow also ends in LinkDown, never in silent loss.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "runtime/actor/actor_ref.h"
#include "runtime/actor/mailbox.h"
#include "runtime/base/random.h"
#include "runtime/base/time.h"

namespace baton {

// An encoded message: what crosses the wire. `kind` selects the decoder; 0 is never used.
struct Payload {
  std::uint16_t kind = 0;
  std::string bytes;
};

// The same where it lies: what decode() reads. Valid as long as whoever handed it out says.
struct PayloadView {
  PayloadView(std::uint16_t k, std::string_view b) : kind(k), bytes(b) {}
  PayloadView(const Payload& payload) : kind(payload.kind), bytes(payload.bytes) {}
  std::uint16_t kind;
  std::string_view bytes;
};

class Outbox {
 public:
  virtual ~Outbox() = default;

  virtual Time now() const = 0;
  virtual Random& random() = 0;
  virtual ActorRef self() const = 0;
  // Who sent the message being handled; invalid during tick and local events.
  virtual ActorRef sender() const = 0;

  virtual void post(const ActorRef& to, Payload message) = 0;
  // Asks for tick() at or soon after `when`. The earliest of all requests counts; each tick clears it.
  virtual void wake_at(Time when) = 0;
  // Where `node` can be dialled ("tcp://host:port"). Connections are made on first send and kept.
  virtual void introduce(NodeId node, const std::string& address) = 0;
  // This life of `node` is over for us: drop its queue, never accept a frame of it again.
  virtual void fence(NodeId node, Incarnation incarnation) = 0;

  // To another node the message is encoded, by argument-dependent lookup: `Payload encode(const Message&)` lives beside it, or `void
  // encode(const Message&, std::string& bytes)`, which needs no memory of its own. To an actor of this node it goes as it is.
  template <class Message>
  void send(const ActorRef& to, Message&& message) {
    static_assert(std::remove_cvref_t<Message>::kKind != 0, "message kind 0 is never used");
    if (mailbox_ != nullptr && to.node == here_.node && (to.incarnation == here_.incarnation || to.incarnation.value == 0)) {
      mailbox_->push(std::forward<Message>(message), {here_.slot, here_.generation, to.slot, to.generation});
      return;
    }
    if constexpr (requires(std::string& bytes) { encode(message, bytes); }) {
      if (encoded_ != nullptr) {
        encode(message, *encoded_);
        post_encoded(to, {std::remove_cvref_t<Message>::kKind, *encoded_});
        return;
      }
    }
    post(to, encode(message));
  }

 protected:
  Outbox() = default;
  // `here` is the actor that sends; mailbox and memory are borrowed.
  Outbox(Mailbox& mailbox, std::string& encoded, const ActorRef& here) : mailbox_(&mailbox), encoded_(&encoded), here_(here) {}
  const ActorRef& here() const { return here_; }
  // post() of what lies in `encoded`; called only if that was given.
  virtual void post_encoded(const ActorRef& to, const PayloadView& message) { post(to, {message.kind, std::string(message.bytes)}); }

 private:
  Mailbox* mailbox_ = nullptr;
  std::string* encoded_ = nullptr;
  ActorRef here_;
};

}  // namespace baton
