// SPDX-License-Identifier: Apache-2.0
// The sending half of Links: what a turn's end puts on which connection.
#include <algorithm>
#include <utility>

#include "runtime/link/links.h"

namespace baton {
FrameHeader Links::header_for(const Peer& peer) const {
  FrameHeader header;
  header.source = self_;
  header.source_incarnation = incarnation_;
  header.destination = peer.node;
  if (peer.session) {
    header.destination_incarnation = peer.life;
    header.ack = peer.session->received();
    header.challenge = peer.token;
    header.echo = peer.echo;
    if (peer.session->gap()) header.flags |= kFrameGap;
  }
  return header;
}

bool Links::dial(Peer& peer) {
  if (peer.dialled != 0) return true;
  if (peer.address.empty()) return false;
  const Result<ConnectionId> connection = channel_.connect(peer.address);
  if (!connection) return false;
  peer.dialled = *connection;
  return true;
}

bool Links::transmit(Peer& peer, std::string frame) {
  bool sent = false;
  for (const ConnectionId route : peer.routes) {
    sent = channel_.send_buffer(route, frame);
    if (sent) break;
  }
  const bool tried = std::find(peer.routes.begin(), peer.routes.end(), peer.dialled) != peer.routes.end();
  if (!sent && !tried && dial(peer)) sent = channel_.send_buffer(peer.dialled, frame);
  ++(sent ? counters_.frames_sent : counters_.refused_by_channel);
  return sent;
}

void Links::refused(Time now, Peer& peer) {
  peer.retry_at = now + peer.retry_delay;
  peer.retry_delay = std::min(peer.retry_delay * 2, limits_.retry_max);
}

// After silence another way is tried first: the one in use may be half open.
void Links::rotate_routes(Peer& peer) {
  if (peer.routes.size() > 1) std::rotate(peer.routes.begin(), peer.routes.begin() + 1, peer.routes.end());
  if (dial(peer) && std::find(peer.routes.begin(), peer.routes.end(), peer.dialled) == peer.routes.end())
    peer.routes.insert(peer.routes.begin(), peer.dialled);
}

void Links::flush(Time now) {
  // Sending makes nothing dirty, but a drop inside may append; index, not iterator.
  for (std::size_t i = 0; i < dirty_.size(); ++i) {
    const auto it = peers_.find(dirty_[i]);
    if (it == peers_.end()) continue;
    Peer& peer = it->second;
    peer.dirty = false;
    if (peer.session) send_queued(now, peer);
    if (peer.session && peer.ack_now) send_acknowledgement(now, peer);
    if (!peer.pending.empty() && peer.hello_at == kNever) say_hello(now, peer);
    arm(peer);
  }
  dirty_.clear();
}

void Links::after_send(Time now, Peer& peer, std::size_t messages) {
  counters_.messages_sent += messages;
  peer.retry_delay = limits_.retry_initial;
  peer.ack_at = kNever;
  peer.ack_now = false;
  if (limits_.keepalive > Duration{0}) peer.keepalive_at = now + limits_.keepalive;
  peer.unacknowledged = 0;
  if (messages > 0 && peer.resend_at == kNever) peer.resend_at = now + peer.resend_delay;
}

void Links::send_queued(Time now, Peer& peer) {
  Session& session = *peer.session;
  FrameHeader header = header_for(peer);
  if (std::exchange(peer.resend_oldest, false) && session.in_flight()) {
    header.first_sequence = session.oldest_sequence();
    FrameWriter frame(header, channel_.buffer());
    const std::size_t messages = session.fill_oldest(frame);
    ++counters_.resends;
    if (transmit(peer, frame.take())) after_send(now, peer, messages);
  }
  while (session.ready() && peer.retry_at == kNever && !(peer.probing && session.in_flight())) {
    header.first_sequence = session.cursor_sequence();
    FrameWriter frame(header, channel_.buffer());
    const std::size_t messages = session.fill(frame);
    if (!transmit(peer, frame.take())) {
      refused(now, peer);
      return;
    }
    session.mark_sent(messages);
    after_send(now, peer, messages);
  }
}

void Links::send_acknowledgement(Time now, Peer& peer) {
  if (transmit(peer, FrameWriter(header_for(peer), channel_.buffer()).take())) {
    after_send(now, peer, 0);
  } else {
    peer.ack_now = false;
    peer.ack_at = now + peer.retry_delay;
    peer.retry_delay = std::min(peer.retry_delay * 2, limits_.retry_max);
  }
}

void Links::say_hello(Time now, Peer& peer) {
  FrameHeader header;
  header.flags = kFrameHello;
  header.source = self_;
  header.source_incarnation = incarnation_;
  header.destination = peer.node;
  header.destination_incarnation = peer.pending.front().wanted;
  header.challenge = peer.challenge;
  ++counters_.hellos;
  // Asked where the node can be dialled rather than where another life of it was heard.
  const bool sent = dial(peer) && channel_.send(peer.dialled, FrameWriter(header).take());
  if (sent) {
    ++counters_.frames_sent;
    peer.hello_at = now + peer.hello_delay;
    peer.hello_delay = std::min(peer.hello_delay * 2, limits_.hello_max);
  } else {
    ++counters_.refused_by_channel;
    peer.hello_at = now + peer.retry_delay;
    peer.retry_delay = std::min(peer.retry_delay * 2, limits_.retry_max);
  }
}

}  // namespace baton
