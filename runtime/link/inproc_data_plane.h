// SPDX-License-Identifier: Apache-2.0
// InprocHub and InprocDataPlane: the DataPlane between actors of one process, and in tests: PlaneCore's rules over memcpy.
// The hub is an ordinary object that the planes share; it has one data thread for all of them, which copies, makes digests
// and watches time limits, so that calls never block and events come from that thread, as with UCX. The hub must outlive
// its planes. Bounded by what the owners of the planes open and push.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "runtime/link/data_plane.h"
#include "runtime/link/message_link.h"
#include "runtime/link/plane_core.h"

namespace baton {

class InprocDataPlane;

class InprocHub {
 public:
  InprocHub();
  ~InprocHub();

 private:
  friend class InprocDataPlane;
  struct Connection {
    InprocDataPlane* from = nullptr;
    InprocDataPlane* to = nullptr;
  };
  // The endpoint ids of a connection: even at the dialling side, odd at the accepting one.
  static EndpointId dialling(std::uint64_t connection) { return connection * 2; }
  static EndpointId accepting(std::uint64_t connection) { return connection * 2 + 1; }

  void post(std::function<void()> command);
  void run_and_wait(std::function<void()> command);
  void run();
  void turn_all();

  std::mutex mutex_;  // guards the next three
  std::condition_variable changed_;
  std::vector<std::function<void()>> commands_;
  bool stopping_ = false;

  // The data thread's.
  std::map<std::string, InprocDataPlane*> planes_;
  std::map<std::uint64_t, Connection> connections_;
  std::vector<std::pair<InprocDataPlane*, EndpointId>> broken_;  // to be told outside of events
  std::uint64_t next_connection_ = 1;
  std::thread thread_;
};

class InprocDataPlane final : public DataPlane, private MessageLink {
 public:
  InprocDataPlane(InprocHub& hub, const PeerKey& self, std::uint64_t pool_bytes, DataPlaneSink sink, PlaceDigest digest,
                  Duration grace = std::chrono::milliseconds(200), std::uint32_t pieces_in_flight = 16);
  // Ends every transfer and push (their events still come). Not from the hub's thread.
  ~InprocDataPlane() override;

  std::span<std::byte> pool() { return pool_; }
  // Waits for the data thread.
  PlaneCore::Stats stats();

  const std::string& address() const override { return address_; }
  void open(const TransferId& transfer, const PeerKey& from, std::vector<Place> places, Duration time_limit) override;
  void close(const TransferId& transfer) override;
  void connect(const PeerKey& peer, const std::string& address) override;
  void disconnect(const PeerKey& peer) override;
  void push(std::uint64_t ticket, const PeerKey& to, const TransferId& transfer, std::vector<Piece> pieces) override;
  void abandon(const TransferId& transfer) override;
  std::string transport(const PeerKey& peer) const override;

 private:
  friend class InprocHub;
  Result<EndpointId> connect(const std::string& address) override;
  Sent send(EndpointId to, std::uint64_t operation, const MessageHeaderBytes& header, std::span<const std::byte> payload,
            std::string& reason) override;
  void force_close(EndpointId endpoint) override;
  std::string transport(EndpointId) const override { return "inproc"; }
  void publish();

  InprocHub& hub_;
  const std::string address_;
  std::vector<std::byte> pool_;
  PlaneCore core_;  // the data thread's
  std::uint64_t transports_seen_ = 0;
  mutable std::mutex mutex_;  // guards transports_
  std::map<PeerKey, std::string> transports_;
};

}  // namespace baton
