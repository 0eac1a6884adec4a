// SPDX-License-Identifier: Apache-2.0
// PlaneCore's connections and messages: dialling, greeting, what arrives, what breaks.
#include <algorithm>
#include <utility>

#include "runtime/base/check.h"
#include "runtime/link/plane_core.h"
#include "runtime/link/plane_wire.h"

namespace baton {

void PlaneCore::dial(const PeerKey& peer, Outgoing& outgoing) {
  Result<EndpointId> endpoint = link_->connect(outgoing.address);
  if (!endpoint) return outgoing_broke(peer, endpoint.error().message, false);
  outgoing.endpoint = *endpoint;
  outgoing.connected = false;
  dialled_[*endpoint] = peer;
  PlaneHeader hello = header_of(PlaneHeader::kHello, options_.self);
  hello.first = peer.node.value;
  hello.second = peer.incarnation.value;
  std::string reason;
  // Ends only when the connection is made, or could not be.
  switch (link_->send(*endpoint, PlaneHeader::kHelloOperation | *endpoint, to_bytes(hello), {}, reason)) {
    case MessageLink::Sent::kPending: return;
    case MessageLink::Sent::kDone: return dialled(peer);
    case MessageLink::Sent::kFailed:
      hang_up(outgoing);
      return outgoing_broke(peer, reason, false);
  }
}

// The connection is made and our name is on its way; pieces may follow.
void PlaneCore::dialled(const PeerKey& peer) {
  Outgoing& outgoing = outgoing_.at(peer);
  const std::string name = link_->transport(outgoing.endpoint);
  const std::vector<std::string>& allowed = options_.transports;
  if (name != "unknown" && !allowed.empty() && std::find(allowed.begin(), allowed.end(), name) == allowed.end()) {
    hang_up(outgoing);
    return outgoing_broke(peer, "only transport '" + name + "' reaches this peer, which is not allowed", false);
  }
  outgoing.connected = true;
  set_transport(peer, name);
}

// Closes without a word to anyone; the posted pieces end as failed.
void PlaneCore::hang_up(Outgoing& outgoing) {
  const EndpointId endpoint = std::exchange(outgoing.endpoint, 0);
  outgoing.connected = false;
  dialled_.erase(endpoint);
  link_->force_close(endpoint);
}

// The endpoint is closed already. What was posted fails on its own; what waits gets another connection, unless two in a
// row brought nothing over.
void PlaneCore::outgoing_broke(const PeerKey& peer, const std::string& reason, bool was_connected) {
  Outgoing& outgoing = outgoing_.at(peer);
  outgoing.connected = false;
  outgoing.endpoint = 0;
  set_transport(peer, "");
  sink_(PeerFailed{peer, reason});
  if (was_connected && ++outgoing.fruitless < kFruitlessLimit) return dial(peer, outgoing);
  outgoing.fruitless = 0;
  emit(queue_->drop(peer, reason));
}

void PlaneCore::incoming_broke(EndpointId endpoint, const std::string& reason) {
  const auto at = incoming_.find(endpoint);
  if (at == incoming_.end()) return;
  const Incoming link = at->second;
  incoming_.erase(at);
  if (!link.known) return;
  sink_(PeerFailed{link.peer, reason});
  const bool has_another = std::any_of(incoming_.begin(), incoming_.end(), [&](const auto& entry) {
    return entry.second.known && entry.second.peer == link.peer;
  });
  if (has_another) return;
  bereaved_.set(link.peer, now_ + options_.grace);
  bereaved_reasons_[link.peer] = reason;
}

void PlaneCore::on_broken(EndpointId endpoint, const std::string& reason) {
  const auto at = dialled_.find(endpoint);
  if (at == dialled_.end()) return incoming_broke(endpoint, reason);
  const PeerKey peer = at->second;
  dialled_.erase(at);
  outgoing_broke(peer, reason, outgoing_.at(peer).connected);
}

void PlaneCore::on_sent(std::uint64_t operation, bool ok, const std::string& reason) {
  if ((operation & PlaneHeader::kHelloOperation) != 0) {
    const auto at = dialled_.find(operation & ~PlaneHeader::kHelloOperation);
    // A hello that failed needs nothing here: the endpoint's own failure is reported by on_broken().
    if (ok && at != dialled_.end()) dialled(PeerKey{at->second});
    return;
  }
  const std::optional<PeerKey> peer = queue_->peer_of(operation);
  if (ok && peer)
    if (const auto at = outgoing_.find(*peer); at != outgoing_.end()) at->second.fruitless = 0;
  emit(queue_->finished(operation, ok, reason));
}

bool PlaneCore::greet(EndpointId from, const PlaneHeader& header) {
  const PeerKey called{NodeId{header.first}, Incarnation{header.second}};
  const PeerKey caller{NodeId{header.sender_node}, Incarnation{header.sender_incarnation}};
  if (called != options_.self) return false;  // dialled an earlier life at this address
  Incoming& link = incoming_[from];
  if (link.known) return false;
  link = {caller, true};
  bereaved_.cancel(caller);
  bereaved_reasons_.erase(caller);
  return true;
}

MessageEvents::Destination PlaneCore::on_message(EndpointId from, std::span<const std::byte> bytes, std::uint64_t payload) {
  PlaneHeader header;
  const bool wellformed = parse(bytes, header) && (header.kind == PlaneHeader::kHello) == (payload == 0);
  if (!wellformed || (header.kind == PlaneHeader::kHello && !greet(from, header))) {
    receiver_->table().count_refusal(Refusal::kMalformed);
    unwelcome_.push_back(from);
    return {};
  }
  if (header.kind == PlaneHeader::kHello) return {};
  const PieceClaim claim{{header.first, header.second},
                         {NodeId{header.sender_node}, Incarnation{header.sender_incarnation}},
                         header.first_place,
                         header.place_count,
                         header.bytes};
  const auto link = incoming_.find(from);
  const bool honest = link != incoming_.end() && link->second.known && link->second.peer == claim.sender;
  if (!honest || header.bytes != payload) {
    receiver_->table().count_refusal(honest ? Refusal::kWrongBytes : Refusal::kWrongPeer);
    return {};
  }
  if (catch_up_ && !receiver_->table().contains(claim.transfer)) catch_up_();
  const std::span<std::byte> to = receiver_->accept(claim);
  if (to.empty()) return {};
  const std::uint64_t operation = next_receive_++;
  receiving_.emplace(operation, Receiving{claim, from});
  return {to.data(), operation};
}

void PlaneCore::on_received(std::uint64_t operation, bool ok, const std::string& reason) {
  const auto entry = receiving_.extract(operation);
  CHECK(!entry.empty(), "a receive ended twice");
  if (ok) receiver_->landed(entry.mapped().claim);
  else receiver_->lost(entry.mapped().claim, "connection lost: " + reason, now_);
}

}  // namespace baton
