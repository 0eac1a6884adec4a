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

#include "runtime/actor/actor_ref.h"
#include "runtime/base/random.h"
#include "runtime/base/time.h"

namespace baton {

// An encoded message: what crosses the wire. `kind` selects the decoder; 0 is never used.
struct Payload {
  std::uint16_t kind = 0;
  std::string bytes;
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

  // Encodes by argument-dependent lookup: `Payload encode(const Message&)` lives beside the message.
  template <class Message>
  void send(const ActorRef& to, const Message& message) {
    post(to, encode(message));
  }
};

}  // namespace baton
