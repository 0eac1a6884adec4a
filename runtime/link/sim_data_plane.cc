// SPDX-License-Identifier: Apache-2.0
#include "runtime/link/sim_data_plane.h"

#include <utility>

namespace baton {
namespace {

std::string address_of(const PeerKey& peer) { return "sim:" + to_hex(peer.node.value) + ":" + to_hex(peer.incarnation.value); }

}  // namespace

// Events leave as events of the heap, never from inside a call of the actor; a stopped process hears them when it goes on.
SimDataPlane::SimDataPlane(SimFabric& fabric, const PeerKey& self, std::uint64_t pool_bytes, DataPlaneSink sink, PlaceDigest digest)
    : fabric_(fabric),
      self_(self),
      address_(address_of(self)),
      pool_(pool_bytes),
      sink_(std::move(sink)),
      core_({self, {}, fabric.options_.grace, fabric.options_.pieces_in_flight},
            [this](DataPlaneEvent event) {
              events_.push_back(std::move(event));
              fabric_.heap_.after(Duration{0}, [&owner = fabric_, peer = self_] {
                owner.at_node(peer, [](SimDataPlane& plane) { plane.deliver_one(); });
              });
            },
            std::move(digest)) {
  core_.attach(*this, pool_);
}

SimDataPlane::~SimDataPlane() {
  if (killed_) return;
  core_.set_now(fabric_.heap_.now());
  core_.stop();
  fabric_.end_cancelled(self_);
  while (!events_.empty()) deliver_one();
  fabric_.remove(self_, false);
}

void SimDataPlane::deliver_one() {
  if (events_.empty()) return;
  DataPlaneEvent event = std::move(events_.front());
  events_.pop_front();
  sink_(std::move(event));
}

void SimDataPlane::settle() {
  core_.pump();
  const Time due = core_.next_due();
  if (due >= wake_at_) return;
  wake_at_ = due;
  fabric_.heap_.at(due, [&fabric = fabric_, self = self_, due] {
    fabric.at_node(self, [due](SimDataPlane& plane) {
      if (plane.wake_at_ != due) return;  // an earlier check has replaced this one
      plane.wake_at_ = kNever;
      plane.turn([](PlaneCore& core) { core.check_timers(); });
    });
  });
}

void SimDataPlane::open(const TransferId& transfer, const PeerKey& from, std::vector<Place> places, Duration time_limit) {
  turn([&](PlaneCore& core) { core.open(transfer, from, std::move(places), time_limit); });
}
void SimDataPlane::close(const TransferId& transfer) {
  turn([&](PlaneCore& core) { core.close(transfer); });
}
void SimDataPlane::connect(const PeerKey& peer, const std::string& address) {
  turn([&](PlaneCore& core) { core.connect(peer, address); });
}
void SimDataPlane::disconnect(const PeerKey& peer) {
  turn([&](PlaneCore& core) { core.disconnect(peer); });
}
void SimDataPlane::push(std::uint64_t ticket, const PeerKey& to, const TransferId& transfer, std::vector<Piece> pieces) {
  turn([&](PlaneCore& core) { core.push(ticket, to, transfer, std::move(pieces)); });
}
void SimDataPlane::abandon(const TransferId& transfer) {
  turn([&](PlaneCore& core) { core.abandon(transfer); });
}

std::string SimDataPlane::transport(const PeerKey& peer) const {
  const auto at = core_.transports().find(peer);
  return at == core_.transports().end() ? "none" : at->second;
}

Result<EndpointId> SimDataPlane::connect(const std::string& address) { return fabric_.connect(self_, address); }

MessageLink::Sent SimDataPlane::send(EndpointId to, std::uint64_t operation, const MessageHeaderBytes& header,
                                     std::span<const std::byte> payload, std::string& reason) {
  const auto at = fabric_.connections_.find(to / 2);
  if (at == fabric_.connections_.end() || !at->second.from_open) {
    reason = "not connected";
    return Sent::kFailed;
  }
  fabric_.send(self_, to, operation, header, payload);
  return Sent::kPending;
}

void SimDataPlane::force_close(EndpointId endpoint) {
  fabric_.close_side(endpoint / 2, endpoint % 2 == 0, "closed by the peer", fabric_.options_.latency);
}

}  // namespace baton
