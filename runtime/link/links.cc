// SPDX-License-Identifier: Apache-2.0
#include "runtime/link/links.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "runtime/base/check.h"

namespace baton {

Links::Links(NodeId self, Incarnation incarnation, Channel& channel, const LinkLimits& limits)
    : self_(self), incarnation_(incarnation), channel_(channel), limits_(limits) {
  CHECK(self.value != 0 && incarnation.value != 0, "a node and its life have non-zero names");
}

Links::Peer& Links::peer_of(NodeId node) {
  auto it = peers_.find(node);
  if (it != peers_.end()) return it->second;
  if (peers_.size() >= limits_.peers_max) forget_silent_peers();
  Peer& peer = peers_.try_emplace(node, node).first->second;
  renew_challenge(peer);
  peer.hello_delay = limits_.hello_initial;
  peer.resend_delay = limits_.resend_initial;
  peer.retry_delay = limits_.retry_initial;
  return peer;
}

// Clients come and go under fresh names. An eighth at a time, so that the scan is paid rarely.
void Links::forget_silent_peers() {
  std::vector<std::tuple<bool, Time, NodeId>> idle;  // those who never proved themselves go first
  for (const auto& [node, peer] : peers_) {
    const bool busy = peer.dirty || !peer.pending.empty() || (peer.session && !peer.session->empty());
    if (!busy && peer.address.empty()) idle.emplace_back(peer.session.has_value(), peer.heard_at, node);
  }
  std::sort(idle.begin(), idle.end());
  idle.resize(std::min(idle.size(), peers_.size() / 8 + 1));
  for (const auto& [up, heard_at, node] : idle) {
    const Peer& peer = peers_.at(node);
    if (up) events_.emplace_back(LinkDown{node, peer.life, "silent for too long"});
    timers_.cancel(node);
    peers_.erase(node);
  }
}

void Links::mark(Peer& peer) {
  if (peer.dirty) return;
  peer.dirty = true;
  dirty_.push_back(peer.node);
}

// One timer per peer, moved only towards the present: a deadline that moved away is found not due when it fires.
void Links::arm(Peer& peer) {
  Time next = std::min({peer.ack_at, peer.resend_at, peer.retry_at, peer.hello_at, peer.keepalive_at});
  if (peer.session && !peer.session->empty()) next = std::min(next, peer.progress_at + limits_.unreachable_after);
  if (!peer.pending.empty()) next = std::min(next, peer.pending_since + limits_.unreachable_after);
  if (next >= peer.armed) return;
  peer.armed = next;
  timers_.set(peer.node, next);
}

void Links::introduce(NodeId node, const std::string& address) {
  if (node == self_ || node.value == 0) return;
  Peer& peer = peer_of(node);
  if (peer.address == address) return;
  peer.address = address;
  if (peer.dialled != 0) {
    channel_.close(peer.dialled);
    std::erase(peer.routes, peer.dialled);
    peer.dialled = 0;
  }
  // What waited for somewhere to go can go now.
  peer.retry_at = kNever;
  peer.hello_at = kNever;
  peer.retry_delay = limits_.retry_initial;
  mark(peer);
}

void Links::send(Time now, const ActorRef& to, MessageView message) {
  CHECK(to.node != self_, "local messages do not cross a link");
  CHECK(message.payload.kind != 0, "message kind 0 is never used");
  if (!to.valid()) {
    ++counters_.dead_messages;
    return;
  }
  message.destination_slot = to.slot;
  message.destination_generation = to.generation;
  Peer& peer = peer_of(to.node);
  if (to.incarnation.value != 0 && retired(peer, to.incarnation)) {
    ++counters_.dead_messages;
    return;
  }
  const bool up = peer.session.has_value() && (to.incarnation.value == 0 || to.incarnation == peer.life);
  if (message.payload.bytes.size() > kMessageBytesMax) {
    ++counters_.overflows;
    end_life(peer, up ? peer.life : to.incarnation, "message too big for a frame");
    return;
  }
  mark(peer);
  if (up) {
    queue(now, peer, message);
    return;
  }
  const std::size_t bytes = message.wire_bytes();
  if (peer.pending.size() >= limits_.session.queue_messages_max ||
      peer.pending_bytes + bytes > limits_.session.queue_bytes_max) {
    ++counters_.overflows;
    give_up_pending(peer, "queue overflow");
    return;
  }
  if (peer.pending.empty()) {
    peer.pending_since = now;
    peer.hello_delay = limits_.hello_initial;
    peer.retry_delay = limits_.retry_initial;
  }
  peer.pending_bytes += bytes;
  peer.pending.push_back({to.incarnation,
                          {message.source_slot, message.source_generation, message.destination_slot, message.destination_generation,
                           {message.payload.kind, std::string(message.payload.bytes)}}});
}

void Links::queue(Time now, Peer& peer, const MessageView& message) {
  if (peer.session->empty()) peer.progress_at = now;
  if (peer.session->push(message)) return;
  ++counters_.overflows;
  drop(now, peer.node, peer.life, "queue overflow");
}

void Links::fence(Time now, NodeId node, Incarnation incarnation) { drop(now, node, incarnation, "fenced by this node"); }

void Links::drop(Time, NodeId node, Incarnation incarnation, const std::string& reason) {
  if (node == self_ || node.value == 0 || incarnation.value == 0) return;
  Peer& peer = peer_of(node);
  if (peer.session && peer.life == incarnation) {
    // The other side is told at once where possible, or when it next speaks.
    if (!peer.routes.empty()) refuse(peer.routes.front(), node, incarnation);
  }
  end_life(peer, incarnation, reason);
}

void Links::retire(Peer& peer, Incarnation incarnation) {
  if (incarnation.value == 0 || std::find(peer.retired.begin(), peer.retired.end(), incarnation) != peer.retired.end()) return;
  if (peer.retired.size() >= limits_.retired_max) peer.retired.pop_front();
  peer.retired.push_back(incarnation);
  ++endings_;
  renew_challenge(peer);
}

// Ends a life for us, up or only wished for; incarnation 0 ends the wish for whichever answers first.
void Links::end_life(Peer& peer, Incarnation incarnation, const std::string& reason, LinkEnd how) {
  const bool up = peer.session && peer.life == incarnation;
  const bool wanted = std::any_of(peer.pending.begin(), peer.pending.end(), [&](const Pending& p) { return p.wanted == incarnation; });
  drop_pending(peer, incarnation);
  retire(peer, incarnation);
  if (up) {
    peer.session.reset();
    peer.life = {};
    peer.token = peer.echo = 0;
    peer.routes.clear();
    peer.resend_at = peer.ack_at = peer.retry_at = peer.keepalive_at = kNever;
    peer.ack_now = peer.probing = peer.resend_oldest = false;
    peer.unacknowledged = 0;
  }
  if (up || wanted || incarnation.value == 0) events_.emplace_back(LinkDown{peer.node, incarnation, reason, how});
}

void Links::drop_pending(Peer& peer, Incarnation wanted) {
  std::erase_if(peer.pending, [&](const Pending& p) {
    if (p.wanted != wanted) return false;
    peer.pending_bytes -= p.message.wire_bytes();
    return true;
  });
  if (peer.pending.empty()) peer.hello_at = kNever;
}

void Links::give_up_pending(Peer& peer, const std::string& reason) {
  while (!peer.pending.empty()) end_life(peer, peer.pending.front().wanted, reason);
}

bool Links::retired(NodeId node, Incarnation incarnation) const {
  const auto it = peers_.find(node);
  return it != peers_.end() && retired(it->second, incarnation);
}

bool Links::retired(const Peer& peer, Incarnation incarnation) const {
  if (peer.session && peer.life == incarnation) return false;
  return std::find(peer.retired.begin(), peer.retired.end(), incarnation) != peer.retired.end();
}

bool Links::drained() const {
  return std::all_of(peers_.begin(), peers_.end(), [](const auto& entry) {
    return entry.second.pending.empty() && (!entry.second.session || entry.second.session->empty());
  });
}

std::vector<LinkEvent> Links::take_events() { return std::exchange(events_, {}); }

void Links::advance(Time now) {
  // If we ourselves were stopped for long, silence proves nothing about the others: their answers may lie unread.
  const Time due = timers_.next();
  if (due != kNever && now - due > limits_.unreachable_after / 2) {
    for (auto& [node, peer] : peers_) peer.progress_at = peer.pending_since = now;
  }
  while (const std::optional<NodeId> node = timers_.pop_due(now)) {
    Peer& peer = peers_.at(*node);
    peer.armed = kNever;
    mark(peer);
    expire(now, peer);
  }
}

void Links::expire(Time now, Peer& peer) {
  if (!peer.pending.empty() && now - peer.pending_since >= limits_.unreachable_after) give_up_pending(peer, "unreachable");
  if (peer.session && !peer.session->empty() && now - peer.progress_at >= limits_.unreachable_after) {
    drop(now, peer.node, peer.life, "unreachable");
    if (peer.dialled != 0) channel_.close(std::exchange(peer.dialled, 0));
  }
  if (peer.keepalive_at <= now) {
    peer.keepalive_at = now + limits_.keepalive;
    peer.ack_now = true;
  }
  if (peer.ack_at <= now) {
    peer.ack_at = kNever;
    peer.ack_now = true;
  }
  if (peer.retry_at <= now) peer.retry_at = kNever;
  if (peer.hello_at <= now) peer.hello_at = kNever;
  if (peer.resend_at <= now) {
    peer.resend_at = kNever;
    peer.resend_delay = std::min(peer.resend_delay * 2, limits_.resend_max);
    ++counters_.resends;
    peer.session->rewind();
    peer.probing = true;
    rotate_routes(peer);
  }
}

}  // namespace baton
