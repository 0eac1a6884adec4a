// SPDX-License-Identifier: Apache-2.0
// What an actor is: a plain class with `using Inbox = std::variant<...>`, `void on(const M&, Outbox&)` for every
// alternative M, and `void tick(Outbox&)`. One thread, never blocks, owns its state; no globals, clocks or sockets.
//
// An alternative is either a wire message (it has `static constexpr std::uint16_t kKind` and `decode(PayloadView, M&)` found
// beside it; from an actor of the same node it comes as it was sent, without) or a local event (LinkUp, LinkDown, a finished engine step), which never crosses a wire.
#pragma once

#include <concepts>
#include <cstdint>
#include <string>
#include <type_traits>
#include <variant>

#include "runtime/actor/outbox.h"
#include "runtime/base/result.h"

namespace baton {

// Local events of the link layer, delivered to every actor of the node that lists them in its Inbox.
struct LinkUp {
  NodeId node;
  Incarnation incarnation;
};
// kFenced: the other side said so: that life lives and does not listen to us any more. kReplaced: another life of the node speaks, so
// that the process of this one has ended.
enum class LinkEnd : std::uint8_t { kLost, kFenced, kReplaced };
struct LinkDown {
  NodeId node;
  Incarnation incarnation;
  std::string reason;
  LinkEnd how = LinkEnd::kLost;
};

template <class M>
concept WireMessage = requires {
  { M::kKind } -> std::convertible_to<std::uint16_t>;
};

namespace detail {
// Named, because GCC 12 finds no parameter pack in a fold over a requires-expression.
template <class A, class M>
concept Handles = requires(A a, const M& m, Outbox& out) { a.on(m, out); };
template <class A, class Inbox>
struct HandlesAll;
template <class A, class... M>
struct HandlesAll<A, std::variant<M...>> : std::bool_constant<(Handles<A, M> && ...)> {};
}  // namespace detail

template <class A>
concept Actor = requires(A a, Outbox& out) {
  typename A::Inbox;
  a.tick(out);
} && detail::HandlesAll<A, typename A::Inbox>::value;

// Type-erased face of an actor for the loops. Decodes wire messages; an unknown kind or bytes that do not decode are a
// fault of the peer, returned as a value so that the loop can count it and drop the link.
class Cell {
 public:
  virtual ~Cell() = default;
  virtual Result<void> deliver(const PayloadView& message, Outbox& out) = 0;
  // A message of this node, as it was sent. False: it is of no type that the actor accepts.
  virtual bool deliver_local(const RecordType& type, const void* message, Outbox& out) = 0;
  virtual void link_up(const LinkUp& event, Outbox& out) = 0;
  virtual void link_down(const LinkDown& event, Outbox& out) = 0;
  virtual void tick(Outbox& out) = 0;
};

// Borrows the actor.
template <Actor A>
class ActorCell final : public Cell {
 public:
  explicit ActorCell(A& actor) : actor_(actor) {}

  Result<void> deliver(const PayloadView& message, Outbox& out) override {
    return dispatch(message, out, static_cast<typename A::Inbox*>(nullptr));
  }
  bool deliver_local(const RecordType& type, const void* message, Outbox& out) override {
    return dispatch_local(type, message, out, static_cast<typename A::Inbox*>(nullptr));
  }
  void link_up(const LinkUp& event, Outbox& out) override {
    if constexpr (requires { actor_.on(event, out); }) actor_.on(event, out);
  }
  void link_down(const LinkDown& event, Outbox& out) override {
    if constexpr (requires { actor_.on(event, out); }) actor_.on(event, out);
  }
  void tick(Outbox& out) override { actor_.tick(out); }

 private:
  template <class... M>
  Result<void> dispatch(const PayloadView& message, Outbox& out, std::variant<M...>*) {
    Result<void> result;
    if ((try_one<M>(message, out, result) || ...)) return result;
    return fail(ErrorCode::kInvalidArgument, "message kind " + std::to_string(message.kind) + " is not accepted here");
  }
  template <class... M>
  bool dispatch_local(const RecordType& type, const void* message, Outbox& out, std::variant<M...>*) {
    return (try_local<M>(type, message, out) || ...);
  }
  template <class M>
  bool try_local(const RecordType& type, const void* message, Outbox& out) {
    if constexpr (WireMessage<M>) {
      if (&type != &kRecordType<M>) return false;
      actor_.on(*static_cast<const M*>(message), out);
      return true;
    } else {
      return false;
    }
  }
  template <class M>
  bool try_one(const PayloadView& message, Outbox& out, Result<void>& result) {
    if constexpr (WireMessage<M>) {
      if (message.kind != M::kKind) return false;
      M decoded;
      result = decode(message, decoded);
      if (result) actor_.on(decoded, out);
      return true;
    } else {
      return false;
    }
  }

  A& actor_;
};

}  // namespace baton
