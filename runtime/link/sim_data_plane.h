// SPDX-License-Identifier: Apache-2.0
// SimFabric: a simulated data network on an EventHeap. It makes SimDataPlanes, which run PlaneCore, the shipped rules, over
// real byte pools; only latency, bandwidth, order and failure are made up. Bytes of a piece land in several steps, pieces
// in any order, and between a close and its TransferClosed writes go on landing. All chance comes from the heap's random
// stream and every container is ordered, so a seed decides everything. Single-threaded, like the heap.
//
// The fabric owns messages and connections; whoever calls make() owns the planes, which must not outlive the fabric.
#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "runtime/actor/event_heap.h"
#include "runtime/link/data_plane.h"
#include "runtime/link/message_link.h"
#include "runtime/link/plane_core.h"

namespace baton {

// Chances per million pieces. A piece suffers at most one of them.
struct SimFaults {
  std::uint32_t refused = 0;          // turned away although it was right
  std::uint32_t tail_lost = 0;        // some bytes land, the rest and the completion never do
  std::uint32_t completion_lost = 0;  // every byte lands, the receiver is not told
  std::uint32_t late = 0;             // the last bytes land `late_by` later
  std::uint32_t bit_flipped = 0;      // one bit is wrong after landing
};

struct SimFabricOptions {
  Duration latency = std::chrono::microseconds(20);
  Duration jitter = std::chrono::microseconds(100);  // a piece starts up to this much later, so pieces overtake each other
  std::uint64_t bytes_per_second = 5'000'000'000;    // of one connection
  Duration late_by = std::chrono::milliseconds(500);
  Duration death_noticed = std::chrono::milliseconds(20);  // from a kill to its peers' broken connections
  Duration cut_noticed = std::chrono::seconds(3);          // from a partition to broken connections
  Duration grace = std::chrono::milliseconds(200);
  std::uint32_t pieces_in_flight = 16;
  SimFaults faults;
};

class SimDataPlane;

class SimFabric {
 public:
  SimFabric(EventHeap& heap, SimFabricOptions options) : heap_(heap), options_(options) {}

  std::unique_ptr<SimDataPlane> make(const PeerKey& self, std::uint64_t pool_bytes, DataPlaneSink sink, PlaceDigest digest);

  void set_faults(const SimFaults& faults) { options_.faults = faults; }
  // The process ends here and now: it hears and does nothing more, its peers' connections break a little later.
  void kill(const PeerKey& peer);
  // SIGSTOP and SIGCONT: nothing happens at this peer until it is resumed; then everything does, in order.
  void pause(const PeerKey& peer);
  void resume(const PeerKey& peer);
  // Nothing passes between the two; connections break if it lasts.
  void partition(const PeerKey& a, const PeerKey& b);
  void heal(const PeerKey& a, const PeerKey& b);

  std::uint64_t late_writes() const { return late_writes_; }    // bytes that landed in transfers that were closing
  std::uint64_t landed_bytes() const { return landed_bytes_; }  // all that landed
  std::size_t messages() const { return messages_.size(); }
  std::size_t connections() const { return connections_.size(); }

 private:
  friend class SimDataPlane;
  using Pair = std::pair<PeerKey, PeerKey>;  // the smaller first

  struct Connection {
    PeerKey from;
    PeerKey to;
    bool from_open = true;
    bool to_open = true;
    Time established{};
    Time busy_until{};
  };
  struct Cancelled {
    bool sent = false;  // else a receive
    std::uint64_t operation = 0;
    std::string reason;
  };
  enum class Fault { kNone, kRefused, kTailLost, kCompletionLost, kLate, kBitFlipped };
  struct Message {
    std::uint64_t connection = 0;
    std::uint64_t send_operation = 0;
    std::uint64_t receive_operation = 0;  // 0: not accepted
    MessageHeaderBytes header{};
    std::span<const std::byte> payload;
    std::byte* to = nullptr;
    Fault fault = Fault::kNone;
    bool sender_waits = true;
    bool receiver_waits = false;
  };

  // The endpoint ids of a connection: even at the dialling side, odd at the accepting one.
  static EndpointId dialling(std::uint64_t connection) { return connection * 2; }
  static EndpointId accepting(std::uint64_t connection) { return connection * 2 + 1; }
  static Pair pair_of(const PeerKey& a, const PeerKey& b) { return a < b ? Pair{a, b} : Pair{b, a}; }

  SimDataPlane* alive(const PeerKey& peer);
  void at_node(const PeerKey& peer, std::function<void(SimDataPlane&)> run);
  void across(const PeerKey& from, const PeerKey& to, Duration delay, std::function<void(SimDataPlane&)> run);

  EndpointId connect(const PeerKey& from, const std::string& address);
  void send(const PeerKey& from, EndpointId endpoint, std::uint64_t operation, const MessageHeaderBytes& header,
            std::span<const std::byte> payload);
  void arrive(std::uint64_t id, SimDataPlane& receiver);
  Fault draw_fault();
  void schedule_landing(std::uint64_t id);
  void land(std::uint64_t id, std::size_t begin, std::size_t end, bool last);
  void write(std::uint64_t id, std::size_t begin, std::size_t end, bool last, SimDataPlane& receiver);
  void tell_sender(std::uint64_t id, bool ok, const std::string& reason);
  void forget_if_done(std::uint64_t id);
  void close_side(std::uint64_t connection, bool dialling_side, const std::string& reason, Duration other_notices_after);
  void cancel(std::uint64_t connection, bool dialling_side, const std::string& reason);
  void end_cancelled(const PeerKey& peer);
  void remove(const PeerKey& peer, bool killed);

  EventHeap& heap_;
  SimFabricOptions options_;
  std::map<PeerKey, SimDataPlane*> planes_;
  std::map<PeerKey, std::vector<std::function<void(SimDataPlane&)>>> paused_;
  std::map<Pair, std::vector<std::function<void()>>> partitions_;
  std::map<PeerKey, std::vector<Cancelled>> cancelled_;  // ended by a close, the owner is not told yet
  std::map<std::uint64_t, Connection> connections_;
  std::map<std::uint64_t, Message> messages_;
  std::uint64_t next_connection_ = 1;
  std::uint64_t next_message_ = 1;
  std::uint64_t late_writes_ = 0;
  std::uint64_t landed_bytes_ = 0;
};

class SimDataPlane final : public DataPlane, private MessageLink {
 public:
  // Ends every transfer and push; all events still owed are delivered from inside, none afterwards. Silent if killed.
  ~SimDataPlane() override;

  std::span<std::byte> pool() { return pool_; }
  PlaneCore::Stats stats() const { return core_.stats(); }

  const std::string& address() const override { return address_; }
  void open(const TransferId& transfer, const PeerKey& from, std::vector<Place> places, Duration time_limit) override;
  void close(const TransferId& transfer) override;
  void connect(const PeerKey& peer, const std::string& address) override;
  void disconnect(const PeerKey& peer) override;
  void push(std::uint64_t ticket, const PeerKey& to, const TransferId& transfer, std::vector<Piece> pieces) override;
  void abandon(const TransferId& transfer) override;
  std::string transport(const PeerKey& peer) const override;

 private:
  friend class SimFabric;
  SimDataPlane(SimFabric& fabric, const PeerKey& self, std::uint64_t pool_bytes, DataPlaneSink sink, PlaceDigest digest);

  Result<EndpointId> connect(const std::string& address) override;
  Sent send(EndpointId to, std::uint64_t operation, const MessageHeaderBytes& header, std::span<const std::byte> payload,
            std::string& reason) override;
  void force_close(EndpointId endpoint) override;
  std::string transport(EndpointId) const override { return "sim"; }

  // Runs one turn of the rules at the current virtual time, and sees to the next one.
  template <class Turn>
  void turn(const Turn& run) {
    if (killed_) return;
    core_.set_now(fabric_.heap_.now());
    run(core_);
    settle();
  }
  void settle();
  void deliver_one();

  SimFabric& fabric_;
  const PeerKey self_;
  const std::string address_;
  std::vector<std::byte> pool_;
  DataPlaneSink sink_;
  std::deque<DataPlaneEvent> events_;  // made, not yet delivered
  PlaneCore core_;
  Time wake_at_ = kNever;  // the earliest scheduled check of timers
  bool killed_ = false;
};

}  // namespace baton
