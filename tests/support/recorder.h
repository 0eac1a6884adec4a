// SPDX-License-Identifier: Apache-2.0
// Recorder: the actor of the link tests. It remembers what it was told, answers pings, and sends what a test asks of it.
// Text is its message; Unknown is one that it does not accept. One thread, owned by a test.
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "runtime/actor/actor.h"

namespace baton {

struct Text {
  static constexpr std::uint16_t kKind = 1;
  std::string text;
};
struct Ping {
  static constexpr std::uint16_t kKind = 2;
  std::string text;
};
struct Unknown {
  static constexpr std::uint16_t kKind = 77;
};
inline Payload encode(const Text& message) { return {Text::kKind, message.text}; }
inline Payload encode(const Ping& message) { return {Ping::kKind, message.text}; }
inline Payload encode(const Unknown&) { return {Unknown::kKind, {}}; }
inline Result<void> decode(const PayloadView& payload, Text& message) {
  if (payload.bytes == "undecodable") return fail(ErrorCode::kInvalidArgument, "undecodable");
  message.text = payload.bytes;
  return {};
}
inline Result<void> decode(const PayloadView& payload, Ping& message) {
  message.text = payload.bytes;
  return {};
}

struct Recorder {
  using Inbox = std::variant<Text, Ping, LinkUp, LinkDown>;

  void on(const Text& message, Outbox& out) {
    texts.push_back(message.text);
    senders.push_back(out.sender());
    log.push_back("text " + message.text);
    if (on_text) on_text(message, out);
  }
  void on(const Ping& message, Outbox& out) { out.send(out.sender(), Text{"pong " + message.text}); }
  void on(const LinkUp& up, Outbox&) {
    ups.push_back(up);
    log.push_back("up");
  }
  void on(const LinkDown& down, Outbox&) {
    downs.push_back(down);
    log.push_back((down.how == LinkEnd::kReplaced ? "ended, " : "down ") + down.reason);
  }
  void tick(Outbox& out) {
    ++ticks;
    if (on_tick) on_tick(out);
  }

  std::vector<std::string> texts;
  std::vector<ActorRef> senders;
  std::vector<LinkUp> ups;
  std::vector<LinkDown> downs;
  std::vector<std::string> log;
  int ticks = 0;
  std::function<void(const Text&, Outbox&)> on_text;
  std::function<void(Outbox&)> on_tick;
};

}  // namespace baton
