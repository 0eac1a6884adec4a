// SPDX-License-Identifier: Apache-2.0
// PlaneCore: the rules of a DataPlane over any MessageLink: connections, greetings, posting within a window, time limits,
// quarantine. No thread, no clock, no I/O of its own: whoever drives it (UCX's data thread, the in-process hub's, the
// simulator's heap) sets the time, calls pump() after every turn and check_timers() when next_due() has come.
//
// Each direction between two nodes is a connection of its own, dialled by the sender. Its first message says who dials whom
// (both lives), every further one announces a piece; TransferReceiver decides where it goes. A connection is torn down by
// force when a closed transfer still has posted receives after the grace (or an abandoned one posted sends): nothing can
// land after that. Both ends notice, and the sender dials again; transfers that lost no piece survive this. The data
// network is trusted to name itself truthfully; what a stranger names is checked against the open transfers.
//
// Bounded: `pieces_in_flight` posted pieces per peer; the rest of the books by what the owner opens and pushes.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "runtime/actor/timers.h"
#include "runtime/link/data_plane.h"
#include "runtime/link/message_link.h"
#include "runtime/link/push_queue.h"
#include "runtime/link/transfer_receiver.h"

namespace baton {

struct PlaneHeader;

struct PlaneCoreOptions {
  PeerKey self;
  std::vector<std::string> transports;              // those allowed to carry bytes; empty: any
  Duration grace = std::chrono::milliseconds(200);  // from close or abandon to tearing the connection down
  std::uint32_t pieces_in_flight = 16;              // per peer
};

class PlaneCore final : public MessageEvents {
 public:
  // The link may be made after the core (it needs the core for its events), but before the first other call.
  PlaneCore(PlaneCoreOptions options, DataPlaneSink sink, PlaceDigest digest);
  void attach(MessageLink& link, std::span<std::byte> pool);
  // Called when a piece names a transfer that is not open: the owner's open() may have returned on another thread, and the
  // peer have heard of it, before this thread came to look. May call open() here, nothing else.
  void set_catch_up(std::function<void()> catch_up) { catch_up_ = std::move(catch_up); }

  void set_now(Time now) { now_ = now; }
  Time now() const { return now_; }

  void open(const TransferId& transfer, const PeerKey& from, std::vector<Place> places, Duration time_limit);
  void close(const TransferId& transfer);
  void connect(const PeerKey& peer, const std::string& address);
  void disconnect(const PeerKey& peer);
  void push(std::uint64_t ticket, const PeerKey& to, const TransferId& transfer, std::vector<Piece> pieces);
  void abandon(const TransferId& transfer);

  // Posts what the windows allow, and closes connections that may not be closed from inside an event.
  void pump();
  void check_timers();
  Time next_due();
  // Something is posted: progress is expected at any moment.
  bool moving() const { return queue_->in_flight() > 0 || !receiving_.empty(); }
  // Nothing is posted, open or waiting: only a call or a new connection can bring work.
  bool idle() const { return queue_->empty() && receiver_->table().size() == 0; }
  // Ends everything; the link must still be driven until moving() is false. Nothing may be called after that.
  void stop();

  // Whether a posted receive belongs to a transfer that is closing: what lands there lands in quarantine.
  bool closing(std::uint64_t receive_operation) const;

  const std::map<PeerKey, std::string>& transports() const { return transports_; }
  std::uint64_t transports_version() const { return transports_version_; }  // changes whenever transports() does

  struct Stats {
    std::uint64_t refused_pieces = 0;
    std::uint64_t torn_down = 0;  // connections closed by force to end a transfer
    std::uint64_t open_transfers = 0;
    std::uint64_t quarantined_places = 0;
    std::uint64_t posted_receives = 0;
    std::uint64_t posted_sends = 0;
  };
  Stats stats() const;

  Destination on_message(EndpointId from, std::span<const std::byte> header, std::uint64_t bytes) override;
  void on_received(std::uint64_t operation, bool ok, const std::string& reason) override;
  void on_sent(std::uint64_t operation, bool ok, const std::string& reason) override;
  void on_broken(EndpointId endpoint, const std::string& reason) override;

 private:
  // Connections in a row that brought nothing over, after which the pieces waiting for that peer fail.
  static constexpr int kFruitlessLimit = 2;

  struct Outgoing {
    std::string address;
    EndpointId endpoint = 0;  // 0: not connected
    bool connected = false;   // the first message was taken
    int fruitless = 0;        // see kFruitlessLimit
  };
  struct Incoming {
    PeerKey peer;
    bool known = false;  // has said who it is
  };
  struct Receiving {
    PieceClaim claim;
    EndpointId from = 0;
  };

  void pump(const PeerKey& peer, Outgoing& outgoing);
  void dial(const PeerKey& peer, Outgoing& outgoing);
  void dialled(const PeerKey& peer);
  void hang_up(Outgoing& outgoing);
  void outgoing_broke(const PeerKey& peer, const std::string& reason, bool was_connected);
  void incoming_broke(EndpointId endpoint, const std::string& reason);
  void tear_down_carriers(const TransferId& stuck);
  void tear_down_readers(const TransferId& abandoned);
  bool greet(EndpointId from, const PlaneHeader& header);
  void set_transport(const PeerKey& peer, const std::string& name);
  void emit(std::vector<PushDone> done);
  void emit(std::optional<PushDone> done);

  const PlaneCoreOptions options_;
  DataPlaneSink sink_;
  PlaceDigest digest_;
  std::function<void()> catch_up_;
  MessageLink* link_ = nullptr;
  std::span<std::byte> pool_;
  std::optional<TransferReceiver> receiver_;
  std::optional<PushQueue> queue_;

  std::map<PeerKey, Outgoing> outgoing_;
  std::map<EndpointId, PeerKey> dialled_;  // live outgoing endpoints
  std::map<EndpointId, Incoming> incoming_;
  std::map<std::uint64_t, Receiving> receiving_;
  std::vector<EndpointId> unwelcome_;  // to be closed outside of events
  Timers<PeerKey> bereaved_;           // peers whose connection broke: their transfers end unless they dial again
  std::map<PeerKey, std::string> bereaved_reasons_;
  Timers<TransferId> abandoned_;  // transfers whose posted sends have until then
  std::map<PeerKey, std::string> transports_;
  std::uint64_t transports_version_ = 0;
  std::uint64_t next_receive_ = 1;
  std::uint64_t torn_down_ = 0;
  Time now_{};
};

}  // namespace baton
