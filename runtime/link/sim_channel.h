// SPDX-License-Identifier: Apache-2.0
// SimNetwork: ZeroMQ's manners on an EventHeap. A dialled connection is up or not (then it refuses, as with ZMQ_IMMEDIATE),
// redials by itself, keeps order, holds at most `high_water` frames each way and loses them all when it breaks; the accepting
// side sees every new connection under a new id and can send to it only while it lives. Frames to a paused process wait
// (and fill the queue); frames into a partition wait and are lost with the connection when its heartbeats have failed.
// On top come drawn faults: loss, repetition, reordering inside a connection, refusals and resets. Every delivered frame is
// folded into the heap's hash.
//
// SimChannel is one process's end, the Channel of its Links; destroying it is the death of the process. Single-threaded,
// inside the simulator's one thread; the network borrows the heap and must outlive the channels.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "runtime/actor/event_heap.h"
#include "runtime/base/ids.h"
#include "runtime/link/channel.h"

namespace baton {

struct SimNetworkOptions {
  Duration latency = std::chrono::microseconds(50);
  Duration latency_spread = std::chrono::microseconds(50);
  // One frame in `tail_one_in` (0: none) takes up to `tail` more, doubled again with probability 1/4, at most 6 times.
  std::uint64_t tail_one_in = 100;
  Duration tail = std::chrono::milliseconds(1);
  // Faults per million frames (refuse: per million sends).
  std::uint64_t loss_ppm = 0;
  std::uint64_t duplicate_ppm = 0;
  std::uint64_t reorder_ppm = 0;
  std::uint64_t refuse_ppm = 0;
  std::uint64_t reset_ppm = 0;
  std::size_t high_water = 1000;
  Duration redial = std::chrono::milliseconds(100);
  Duration heartbeat_timeout = std::chrono::seconds(3);
};

// A swarm's draw: each fault is absent in about half of all seeds.
SimNetworkOptions draw_network_options(Random& random);

struct SimNetworkCounters {
  std::uint64_t delivered = 0;
  std::uint64_t lost = 0;
  std::uint64_t duplicated = 0;
  std::uint64_t reordered = 0;
  std::uint64_t refused = 0;
  std::uint64_t resets = 0;
};

class SimChannel;

class SimNetwork {
 public:
  SimNetwork(EventHeap& heap, const SimNetworkOptions& options) : heap_(heap), options_(options) {}

  // An empty address: a process that only dials. An address in use is refused.
  Result<std::unique_ptr<SimChannel>> open(NodeId node, const std::string& address);
  // Frames from a to b do not pass (and back, unless one_way) until heal(). Nor do new connections between them.
  void partition(NodeId a, NodeId b, bool one_way);
  void heal();
  // A bounded outage of every connection of one process: all break, what they carried is lost.
  void reset(NodeId node);

  EventHeap& heap() { return heap_; }
  SimNetworkOptions& options() { return options_; }
  const SimNetworkCounters& counters() const { return counters_; }

 private:
  friend class SimChannel;
  struct Direction {
    std::size_t queued = 0;
    Time last_arrival{};
    std::deque<std::string> stalled;  // behind a partition
  };
  // A live connection; the key is the id the acceptor knows it by.
  struct Pipe {
    ConnectionId dial = 0;
    SimChannel* dialler = nullptr;
    SimChannel* acceptor = nullptr;
    Direction directions[2];  // [0] to the acceptor, [1] to the dialler
    bool failing = false;     // a partition is being noticed
  };
  struct Dial {
    SimChannel* dialler = nullptr;
    std::string address;
    ConnectionId pipe = 0;
  };

  ConnectionId dial(SimChannel& dialler, const std::string& address);
  void attempt(ConnectionId dial);
  void redial_later(ConnectionId dial);
  void hang_up(ConnectionId dial);
  bool send(SimChannel& from, ConnectionId connection, std::string_view frame);
  void carry(ConnectionId pipe, bool to_acceptor, std::string frame);
  void arrive(ConnectionId pipe, bool to_acceptor, std::string frame);
  void hand_over(ConnectionId pipe, bool to_acceptor, const std::string& frame);
  void break_pipe(ConnectionId pipe);
  void detach(SimChannel& channel);
  bool blocked(NodeId from, NodeId to) const { return blocked_.contains({from, to}); }
  Duration draw_latency();

  EventHeap& heap_;
  SimNetworkOptions options_;
  SimNetworkCounters counters_;
  std::map<std::string, SimChannel*> listeners_;
  std::map<ConnectionId, Dial> dials_;
  std::map<ConnectionId, Pipe> pipes_;
  std::set<std::pair<NodeId, NodeId>> blocked_;
  ConnectionId ids_ = 0;
};

class SimChannel final : public Channel {
 public:
  ~SimChannel() override;
  SimChannel(const SimChannel&) = delete;
  SimChannel& operator=(const SimChannel&) = delete;

  Result<ConnectionId> connect(const std::string& address) override;
  bool send(ConnectionId to, std::string_view frame) override;
  void close(ConnectionId connection) override;
  void set_receiver(std::function<void(ConnectionId, std::string_view)> receiver) override;

  const std::string& address() const { return address_; }
  // The death of the process ahead of the object's: nothing passes any more in either direction.
  void die();
  // SIGSTOP and SIGCONT: nothing is read meanwhile.
  void pause();
  void resume();

 private:
  friend class SimNetwork;
  struct Waiting {
    ConnectionId pipe;
    bool to_acceptor;
    std::string frame;
  };
  SimChannel(SimNetwork& network, NodeId node, std::string address)
      : network_(network), node_(node), address_(std::move(address)) {}

  SimNetwork& network_;
  const NodeId node_;
  const std::string address_;
  std::function<void(ConnectionId, std::string_view)> receiver_;
  bool dead_ = false;
  bool paused_ = false;
  std::deque<Waiting> waiting_;  // arrived while paused; bounded by the high-water marks
};

}  // namespace baton
