// SPDX-License-Identifier: Apache-2.0
// The receiving half of Links: whose frame it is, whether that life counts, and what the session makes of it.
#include <algorithm>
#include <utility>

#include "runtime/link/links.h"

namespace baton {
namespace {

// Smaller ones get memory of their own, which the allocator has at hand.
constexpr std::size_t kSmallBodyBytes = 4096;

}  // namespace

void Links::receive(Time now, ConnectionId connection, std::string_view bytes) {
  ++counters_.frames_received;
  Result<Frame> decoded = decode_frame(bytes, bytes.size() > kFrameHeaderBytes + kSmallBodyBytes ? pool_.take() : std::string());
  if (!decoded || decoded->header.source == self_) {
    ++counters_.bogus_frames;
    return;
  }
  const FrameHeader& header = decoded->header;
  if (header.destination != self_) {
    ++counters_.misrouted_frames;
    return;
  }
  Peer& peer = peer_of(header.source);
  peer.heard_at = now;
  mark(peer);
  if ((header.flags & kFrameFenced) != 0) {
    if (header.destination_incarnation == incarnation_) on_fenced(now, peer, header.source_incarnation);
    return;
  }
  if (retired(peer, header.source_incarnation)) {
    ++counters_.retired_frames;
    refuse(connection, peer.node, header.source_incarnation);
    return;
  }
  if (!belongs(now, connection, peer, header)) return;
  note_route(peer, connection);
  if ((header.flags & kFrameHello) != 0) answer(connection, peer, header, false);
  in_session(now, peer, std::move(*decoded));
}

// True if the frame is part of the session with the life that is up, which it may just have become. Anything else is
// answered with what its sender needs to know, so that a live one finds its way and a dead one is not believed.
bool Links::belongs(Time now, ConnectionId connection, Peer& peer, const FrameHeader& header) {
  const bool for_us = header.destination_incarnation == incarnation_;
  const bool greeting = (header.flags & kFrameHello) != 0;
  if (peer.session && peer.life == header.source_incarnation) {
    const bool echoed = for_us && header.echo == peer.token;
    if (echoed && header.challenge == peer.echo) {
      peer.confirmed = peer.confirmed || !greeting;
      return true;
    }
    ++counters_.strange_frames;
    if (echoed && header.challenge > peer.echo && greeting) return renewed(now, connection, peer, header);
    if (echoed) return false;
    // A hello repeated, or sent before it knew us.
    if (greeting || !for_us) answer(connection, peer, header, true);
    return false;
  }
  if (for_us && header.echo == peer.challenge) {
    establish(now, peer, header);
    return true;
  }
  if (!greeting) ++counters_.strange_frames;
  answer(connection, peer, header, true);
  return false;
}

// The life that is up answers us with a newer token. Before it has ever spoken inside the session it may have renewed its
// token between two answers (nothing of ours was taken yet); afterwards it means that it has forgotten what it received.
bool Links::renewed(Time now, ConnectionId connection, Peer& peer, const FrameHeader& header) {
  if (peer.confirmed) {
    drop(now, peer.node, peer.life, "session lost by the peer");
    return false;
  }
  peer.echo = header.challenge;
  peer.session->rewind();
  peer.resend_at = kNever;
  answer(connection, peer, header, false);
  return false;
}

void Links::answer(ConnectionId connection, const Peer& peer, const FrameHeader& to, bool hello) {
  FrameHeader header;
  header.flags = hello ? kFrameHello : 0;
  header.source = self_;
  header.source_incarnation = incarnation_;
  header.destination = peer.node;
  header.destination_incarnation = to.source_incarnation;
  const bool up = peer.session && peer.life == to.source_incarnation;
  header.challenge = up ? peer.token : peer.challenge;
  header.echo = to.challenge;
  if (up) header.ack = peer.session->received();
  ++counters_.frames_sent;
  if (!channel_.send(connection, FrameWriter(header).take())) ++counters_.refused_by_channel;
}

void Links::refuse(ConnectionId connection, NodeId node, Incarnation incarnation) {
  FrameHeader header;
  header.flags = kFrameFenced;
  header.source = self_;
  header.source_incarnation = incarnation_;
  header.destination = node;
  header.destination_incarnation = incarnation;
  ++counters_.frames_sent;
  if (!channel_.send(connection, FrameWriter(header).take())) ++counters_.refused_by_channel;
}

// That life will not listen to us any more. Never answered, or two sides would refuse each other for ever.
void Links::on_fenced(Time, Peer& peer, Incarnation incarnation) {
  const bool retired_before = retired(peer, incarnation);
  if (!retired_before) end_life(peer, incarnation, "fenced", LinkEnd::kFenced);
  // Whoever waits for "whichever lives now" gets this answer too.
  const bool waits = std::any_of(peer.pending.begin(), peer.pending.end(), [](const Pending& p) { return p.wanted.value == 0; });
  if (!waits) return;
  drop_pending(peer, Incarnation{});
  events_.emplace_back(LinkDown{peer.node, incarnation, "fenced", LinkEnd::kFenced});
}

void Links::establish(Time now, Peer& peer, const FrameHeader& header) {
  if (peer.session) end_life(peer, peer.life, "replaced by a new life", LinkEnd::kReplaced);
  peer.routes.clear();
  peer.life = header.source_incarnation;
  peer.session.emplace(limits_.session, pool_);
  peer.token = header.echo;
  peer.echo = header.challenge;
  peer.confirmed = (header.flags & kFrameHello) == 0;
  renew_challenge(peer);
  peer.progress_at = now;
  peer.retry_at = peer.hello_at = kNever;
  peer.resend_delay = limits_.resend_initial;
  peer.retry_delay = limits_.retry_initial;
  peer.hello_delay = limits_.hello_initial;
  events_.emplace_back(LinkUp{peer.node, peer.life});
  std::deque<Pending> pending = std::exchange(peer.pending, {});
  peer.pending_bytes = 0;
  for (Pending& waiting : pending) {
    const bool ours = waiting.wanted.value == 0 || waiting.wanted == peer.life;
    if (ours && peer.session) {
      queue(now, peer, waiting.message);
    } else if (!ours) {
      // Meant for a life that has not answered yet and may still do so.
      peer.pending_bytes += waiting.message.wire_bytes();
      peer.pending.push_back(std::move(waiting));
    }
  }
}

void Links::note_route(Peer& peer, ConnectionId connection) {
  if (!peer.session) return;
  if (!peer.routes.empty() && peer.routes.front() == connection) return;
  const auto it = std::find(peer.routes.begin(), peer.routes.end(), connection);
  if (it != peer.routes.end()) {
    std::rotate(peer.routes.begin(), it, it + 1);
    return;
  }
  peer.routes.insert(peer.routes.begin(), connection);
  if (peer.routes.size() > limits_.routes_max) peer.routes.pop_back();
  // A new connection tells that an old one may have died with what it carried.
  if (peer.session->in_flight()) {
    ++counters_.resends;
    peer.session->rewind();
    peer.resend_at = kNever;
  }
  peer.probing = false;
  peer.retry_at = kNever;
}

void Links::in_session(Time now, Peer& peer, Frame frame) {
  if (!peer.session) return;
  Session& session = *peer.session;
  if (session.acknowledge(frame.header.ack)) {
    peer.progress_at = now;
    peer.resend_delay = limits_.resend_initial;
    peer.resend_at = session.in_flight() ? now + peer.resend_delay : kNever;
    peer.probing = false;
    peer.resent_oldest_at = Time{};
  }
  if ((frame.header.flags & kFrameGap) != 0 && session.in_flight() && now - peer.resent_oldest_at > limits_.resend_initial / 4) {
    peer.resent_oldest_at = now;
    peer.resend_oldest = true;
  }
  if (frame.messages.empty()) return;
  const std::size_t count = frame.messages.size();
  Session::Accepted accepted = session.accept(frame.header.first_sequence, std::move(frame.messages));
  counters_.messages_received += count;
  if (accepted.duplicate) ++counters_.duplicate_frames;
  if (accepted.dropped) ++counters_.dropped_frames;
  peer.unacknowledged += count;
  if (accepted.duplicate || session.gap() || peer.unacknowledged >= limits_.ack_after_messages) peer.ack_now = true;
  if (peer.ack_at == kNever) peer.ack_at = now + limits_.ack_delay;
  for (MessageBatch& batch : accepted.batches) events_.emplace_back(Arrived{peer.node, peer.life, endings_, std::move(batch)});
}

}  // namespace baton
