// SPDX-License-Identifier: Apache-2.0
// TestOutbox: an Outbox that carries nothing out and remembers everything, for tests that hand one message to an actor and
// assert what it wants done. The test sets the time and the sender; one thread.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "runtime/actor/outbox.h"
#include "runtime/base/result.h"

namespace baton {

class TestOutbox final : public Outbox {
 public:
  struct Sent {
    ActorRef to;
    Payload payload;
  };
  struct Introduced {
    NodeId node;
    std::string address;
  };
  struct Fenced {
    NodeId node;
    Incarnation incarnation;
  };

  explicit TestOutbox(const ActorRef& self = {NodeId{1}, Incarnation{1}, 1, 0}, std::uint64_t random_key = 1)
      : self_(self), random_(random_key) {}

  Time now() const override { return now_; }
  Random& random() override { return random_; }
  ActorRef self() const override { return self_; }
  ActorRef sender() const override { return sender_; }
  void post(const ActorRef& to, Payload message) override;
  void wake_at(Time when) override;
  void introduce(NodeId node, const std::string& address) override;
  void fence(NodeId node, Incarnation incarnation) override;

  void set_now(Time now) { now_ = now; }
  void advance(Duration duration) { now_ += duration; }
  void set_sender(const ActorRef& sender) { sender_ = sender; }
  void set_self(const ActorRef& self) { self_ = self; }

  const std::vector<Sent>& sent() const { return sent_; }
  const std::vector<Introduced>& introduced() const { return introduced_; }
  const std::vector<Fenced>& fenced() const { return fenced_; }
  // The earliest request since the last take_wake(); kNever if none.
  Time wake() const { return wake_; }
  Time take_wake() { return std::exchange(wake_, kNever); }
  void clear();

  // Every message of this type, decoded, with its addressee. Bytes that do not decode fail the test run.
  template <class Message>
  std::vector<std::pair<ActorRef, Message>> messages() const {
    std::vector<std::pair<ActorRef, Message>> found;
    for (const Sent& sent : sent_) {
      if (sent.payload.kind == Message::kKind) found.emplace_back(sent.to, decoded<Message>(sent.payload));
    }
    return found;
  }
  // Those to one addressee.
  template <class Message>
  std::vector<Message> messages_to(const ActorRef& to) const {
    std::vector<Message> found;
    for (const Sent& sent : sent_) {
      if (sent.to == to && sent.payload.kind == Message::kKind) found.push_back(decoded<Message>(sent.payload));
    }
    return found;
  }
  // The oldest message if it is of this type, removed: `expect<Grant>(out)` style assertions in order.
  template <class Message>
  std::optional<std::pair<ActorRef, Message>> take() {
    if (sent_.empty() || sent_.front().payload.kind != Message::kKind) return std::nullopt;
    std::pair<ActorRef, Message> first(sent_.front().to, decoded<Message>(sent_.front().payload));
    sent_.erase(sent_.begin());
    return first;
  }

 private:
  template <class Message>
  static Message decoded(const Payload& payload) {
    Message message;
    const Result<void> result = decode(payload, message);
    if (!result) undecodable(payload, result.error());
    return message;
  }
  [[noreturn]] static void undecodable(const Payload& payload, const Error& error);

  ActorRef self_;
  ActorRef sender_;
  Random random_;
  Time now_{};
  Time wake_ = kNever;
  std::vector<Sent> sent_;
  std::vector<Introduced> introduced_;
  std::vector<Fenced> fenced_;
};

}  // namespace baton
