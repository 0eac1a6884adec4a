// SPDX-License-Identifier: Apache-2.0
// Links: what turns a Channel, which may lose, repeat and reorder frames, into the Outbox's promise: to a given life of a
// node, messages arrive in order, at most once, and are resent until acknowledged, or somebody is told (LinkDown). A pure
// state machine: time is handed in, there is no socket, thread or clock here, and every iteration is ordered.
//
// Handshake. A life is believed only after it has answered us. Each side makes a token (`challenge`) for the other; a hello
// asks for an answer that echoes it:  A: hello{a}  ->  B: hello{b, echo a}  ->  A: {a, echo b}.  From then on the pair
// (a, b) names the session and stands in every frame. Tokens are renewed whenever the life we listen to changes, so a
// late frame of an earlier life can never pass as the newest one. A peer that comes with another token but our echo has
// forgotten the session: it is dropped at both ends, never quietly restarted at sequence 1.
//
// Lives. One life of a node is up at a time; a newer one that answers retires it (LinkDown, then LinkUp). A life that was
// retired, fenced, unreachable or over its queue bound stays so: its frames are refused with kFrameFenced, from which a
// zombie learns about itself (LinkDown "fenced"). LinkDown of incarnation 0: nobody answered at all. An idle link has no
// traffic and notices nothing: actors that depend on a silent peer send heartbeats.
//
// Owned by a Node, one thread. Bounded: peers by `peers_max` (the longest silent idle ones are forgotten), queues per peer
// by SessionLimits, retired lives remembered per node by `retired_max`.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "runtime/actor/actor.h"
#include "runtime/actor/timers.h"
#include "runtime/base/time.h"
#include "runtime/link/channel.h"
#include "runtime/link/frame.h"
#include "runtime/link/session.h"

namespace baton {

struct LinkLimits {
  SessionLimits session;
  Duration ack_delay = std::chrono::milliseconds(2);
  std::size_t ack_after_messages = 256;  // an acknowledgement is not delayed beyond this many
  Duration resend_initial = std::chrono::milliseconds(100);
  Duration resend_max = std::chrono::seconds(2);
  Duration hello_initial = std::chrono::milliseconds(20);
  Duration hello_max = std::chrono::milliseconds(500);
  Duration retry_initial = std::chrono::milliseconds(1);  // after the channel refused
  Duration retry_max = std::chrono::milliseconds(100);
  Duration unreachable_after = std::chrono::seconds(10);  // without progress while something waits
  // A node that others cannot dial speaks at least this often on a live session: after a broken connection redials, the
  // other side has nobody to answer until the first frame. Zero: never (the others dial back).
  Duration keepalive{};
  std::size_t peers_max = 65536;
  std::size_t retired_max = 1024;
  std::size_t routes_max = 4;
};

struct LinkCounters {
  std::uint64_t frames_sent = 0;
  std::uint64_t frames_received = 0;
  std::uint64_t messages_sent = 0;  // first transmissions and resends
  std::uint64_t messages_received = 0;
  std::uint64_t refused_by_channel = 0;
  std::uint64_t bogus_frames = 0;      // do not decode
  std::uint64_t misrouted_frames = 0;  // for another node
  std::uint64_t strange_frames = 0;    // of no session of ours: answered or ignored
  std::uint64_t retired_frames = 0;    // of a life that is over
  std::uint64_t duplicate_frames = 0;
  std::uint64_t dropped_frames = 0;  // no room to hold them until the gap closes
  std::uint64_t resends = 0;
  std::uint64_t hellos = 0;
  std::uint64_t dead_messages = 0;  // sent to a life that is over
  std::uint64_t overflows = 0;
};

// For a node that binds nothing.
inline constexpr Duration kClientKeepalive = std::chrono::seconds(1);

// Messages of a life, in the memory they came in.
struct Arrived {
  NodeId node;
  Incarnation life;
  std::uint64_t endings = 0;  // Links::endings() then: as long as that is the same, no life has ended
  MessageBatch messages;
};
using LinkEvent = std::variant<LinkUp, LinkDown, Arrived>;

class Links {
 public:
  Links(NodeId self, Incarnation incarnation, Channel& channel, const LinkLimits& limits);

  void introduce(NodeId node, const std::string& address);
  // `message.destination_*` are filled from `to`. Queues a copy; flush() sends.
  void send(Time now, const ActorRef& to, MessageView message);
  void fence(Time now, NodeId node, Incarnation incarnation);
  // The life misbehaved: the same as fence, with the reason the actors are told.
  void drop(Time now, NodeId node, Incarnation incarnation, const std::string& reason);
  void receive(Time now, ConnectionId connection, std::string_view frame);
  // Deadlines that have passed; flush() carries out what they ask for.
  void advance(Time now);
  // The end of a turn: everything queued goes out, coalesced per peer.
  void flush(Time now);
  // When advance() and flush() are wanted next; kNever when idle.
  Time next_deadline() { return timers_.next(); }

  // What happened since the last call, in order.
  std::vector<LinkEvent> take_events();
  bool has_events() const { return !events_.empty(); }
  // Memory of an event that was handled, for what comes next.
  void recycle(Arrived& arrived) { pool_.give(arrived.messages.take_storage()); }
  // Grows whenever a life is retired.
  std::uint64_t endings() const { return endings_; }
  bool retired(NodeId node, Incarnation incarnation) const;
  // Nothing waits to be sent or acknowledged.
  bool drained() const;
  std::size_t peers() const { return peers_.size(); }
  const LinkCounters& counters() const { return counters_; }

 private:
  struct Pending {
    Incarnation wanted;
    FrameMessage message;
  };
  struct Peer {
    explicit Peer(NodeId id) : node(id) {}
    NodeId node;
    std::string address;
    ConnectionId dialled = 0;
    std::vector<ConnectionId> routes;  // connections the life was heard on, the latest first
    std::uint64_t challenge = 0;       // for lives that are not up
    std::deque<Incarnation> retired;
    // Messages to a life that has not answered yet.
    std::deque<Pending> pending;
    std::size_t pending_bytes = 0;
    Time pending_since{};
    Time hello_at = kNever;
    Duration hello_delay{};
    // The life that is up.
    Incarnation life;
    std::optional<Session> session;
    std::uint64_t token = 0;  // ours: the peer echoes it
    std::uint64_t echo = 0;   // the peer's
    bool confirmed = false;   // the peer has spoken inside the session
    Time progress_at{};
    Time resend_at = kNever;
    Duration resend_delay{};
    Time resent_oldest_at{};
    Time ack_at = kNever;
    Time keepalive_at = kNever;
    std::size_t unacknowledged = 0;
    bool ack_now = false;
    bool probing = false;        // one frame at a time until the peer is heard again
    bool resend_oldest = false;  // the peer misses a frame
    Time retry_at = kNever;
    Duration retry_delay{};
    Time heard_at{};
    Time armed = kNever;
    bool dirty = false;
  };

  Peer& peer_of(NodeId node);
  void forget_silent_peers();
  void mark(Peer& peer);
  void arm(Peer& peer);
  void renew_challenge(Peer& peer) { peer.challenge = ++challenges_; }

  // links_receive.cc: what a frame does.
  bool retired(const Peer& peer, Incarnation incarnation) const;
  void answer(ConnectionId connection, const Peer& peer, const FrameHeader& to, bool hello);
  void refuse(ConnectionId connection, NodeId node, Incarnation incarnation);
  void on_fenced(Time now, Peer& peer, Incarnation incarnation);
  bool belongs(Time now, ConnectionId connection, Peer& peer, const FrameHeader& header);
  bool renewed(Time now, ConnectionId connection, Peer& peer, const FrameHeader& header);
  void establish(Time now, Peer& peer, const FrameHeader& header);
  void note_route(Peer& peer, ConnectionId connection);
  void in_session(Time now, Peer& peer, Frame frame);

  void queue(Time now, Peer& peer, const MessageView& message);
  void retire(Peer& peer, Incarnation incarnation);
  void end_life(Peer& peer, Incarnation incarnation, const std::string& reason, LinkEnd how = LinkEnd::kLost);
  void drop_pending(Peer& peer, Incarnation wanted);
  void give_up_pending(Peer& peer, const std::string& reason);
  void expire(Time now, Peer& peer);

  FrameHeader header_for(const Peer& peer) const;
  bool dial(Peer& peer);
  // `frame` was written into the channel's buffer().
  bool transmit(Peer& peer, std::string frame);
  void refused(Time now, Peer& peer);
  void say_hello(Time now, Peer& peer);
  void send_acknowledgement(Time now, Peer& peer);
  void send_queued(Time now, Peer& peer);
  void after_send(Time now, Peer& peer, std::size_t messages);
  void rotate_routes(Peer& peer);

  const NodeId self_;
  const Incarnation incarnation_;
  Channel& channel_;
  const LinkLimits limits_;
  BufferPool pool_;
  std::map<NodeId, Peer> peers_;
  Timers<NodeId> timers_;
  std::vector<NodeId> dirty_;
  std::vector<LinkEvent> events_;
  std::uint64_t challenges_ = 0;
  std::uint64_t endings_ = 0;
  LinkCounters counters_;
};

}  // namespace baton
