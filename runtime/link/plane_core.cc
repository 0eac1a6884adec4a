// SPDX-License-Identifier: Apache-2.0
#include "runtime/link/plane_core.h"

#include <algorithm>
#include <utility>

#include "runtime/base/check.h"
#include "runtime/link/plane_wire.h"

namespace baton {

PlaneCore::PlaneCore(PlaneCoreOptions options, DataPlaneSink sink, PlaceDigest digest)
    : options_(std::move(options)), sink_(std::move(sink)), digest_(std::move(digest)) {
  CHECK(sink_ != nullptr && options_.pieces_in_flight > 0);
}

void PlaneCore::attach(MessageLink& link, std::span<std::byte> pool) {
  link_ = &link;
  pool_ = pool;
  receiver_.emplace(pool, options_.grace, sink_, digest_);
  queue_.emplace(pool.size(), options_.pieces_in_flight);
}

void PlaneCore::open(const TransferId& transfer, const PeerKey& from, std::vector<Place> places, Duration time_limit) {
  receiver_->open(transfer, from, std::move(places), now_, time_limit);
}

void PlaneCore::close(const TransferId& transfer) { receiver_->close(transfer, "closed", now_); }

void PlaneCore::connect(const PeerKey& peer, const std::string& address) {
  Outgoing& outgoing = outgoing_[peer];
  if (outgoing.address != address) {
    if (outgoing.endpoint != 0) hang_up(outgoing);
    outgoing.address = address;
    outgoing.fruitless = 0;
  }
  if (outgoing.endpoint == 0) dial(peer, outgoing);
}

void PlaneCore::disconnect(const PeerKey& peer) {
  emit(queue_->drop(peer, "disconnected"));
  const auto at = outgoing_.find(peer);
  if (at == outgoing_.end()) return;
  if (at->second.endpoint != 0) hang_up(at->second);
  outgoing_.erase(at);
  set_transport(peer, "");
}

void PlaneCore::push(std::uint64_t ticket, const PeerKey& to, const TransferId& transfer, std::vector<Piece> pieces) {
  const auto at = outgoing_.find(to);
  if (at == outgoing_.end()) return sink_(PushDone{ticket, transfer, false, "unknown peer"});
  emit(queue_->push(ticket, to, transfer, std::move(pieces)));
  if (at->second.endpoint == 0 && queue_->waiting(to)) dial(to, at->second);
}

void PlaneCore::abandon(const TransferId& transfer) {
  emit(queue_->abandon(transfer, "abandoned"));
  if (!queue_->readers(transfer).empty()) abandoned_.set(transfer, now_ + options_.grace);
}

void PlaneCore::pump() {
  close_noted();
  for (auto& [peer, outgoing] : outgoing_)
    if (outgoing.connected) pump(peer, outgoing);
}

void PlaneCore::pump(const PeerKey& peer, Outgoing& outgoing) {
  const EndpointId endpoint = outgoing.endpoint;
  while (outgoing.endpoint == endpoint) {
    const std::optional<PushQueue::Posted> posted = queue_->next(peer);
    if (!posted) return;
    PlaneHeader header = header_of(PlaneHeader::kPiece, options_.self);
    header.first = posted->transfer.high;
    header.second = posted->transfer.low;
    header.first_place = posted->piece.first_place;
    header.place_count = posted->piece.place_count;
    header.bytes = posted->piece.bytes;
    std::string reason;
    const MessageLink::Sent sent = link_->send(endpoint, posted->operation, to_bytes(header),
                                               pool_.subspan(posted->piece.source_offset, posted->piece.bytes), reason);
    if (sent == MessageLink::Sent::kPending) continue;
    if (sent == MessageLink::Sent::kDone) outgoing.fruitless = 0;
    emit(queue_->finished(posted->operation, sent == MessageLink::Sent::kDone, reason));
  }
}

void PlaneCore::check_timers() {
  for (const TransferId& stuck : receiver_->due(now_)) tear_down_carriers(stuck);
  while (const auto transfer = abandoned_.pop_due(now_)) tear_down_readers(*transfer);
  while (const auto peer = bereaved_.pop_due(now_)) {
    const auto reason = bereaved_reasons_.extract(*peer);
    receiver_->close_all(*peer, "connection lost: " + (reason.empty() ? "" : reason.mapped()), now_);
  }
}

Time PlaneCore::next_due() {
  if (!unwelcome_.empty() || !misrouted_.empty()) return now_;
  return std::min({receiver_->table().next_due(), abandoned_.next(), bereaved_.next()});
}

void PlaneCore::tear_down_carriers(const TransferId& stuck) {
  std::vector<EndpointId> carriers;
  for (const auto& [operation, receiving] : receiving_)
    if (receiving.claim.transfer == stuck) carriers.push_back(receiving.from);
  std::sort(carriers.begin(), carriers.end());
  carriers.erase(std::unique(carriers.begin(), carriers.end()), carriers.end());
  for (const EndpointId carrier : carriers) {
    ++torn_down_;
    link_->force_close(carrier);
    incoming_broke(carrier, "torn down: a closed transfer was unfinished");
  }
}

void PlaneCore::tear_down_readers(const TransferId& abandoned) {
  for (const PeerKey& peer : queue_->readers(abandoned)) {
    const auto at = outgoing_.find(peer);
    if (at == outgoing_.end() || at->second.endpoint == 0) continue;
    ++torn_down_;
    const bool was_connected = at->second.connected;
    hang_up(at->second);
    outgoing_broke(peer, "torn down: an abandoned transfer was unfinished", was_connected);
  }
}

void PlaneCore::stop() {
  receiver_->close_all("data plane stopped", now_);
  std::vector<PeerKey> peers;
  for (const auto& [peer, outgoing] : outgoing_) peers.push_back(peer);
  for (const PeerKey& peer : peers) disconnect(peer);
  for (const auto& [endpoint, incoming] : std::exchange(incoming_, {})) link_->force_close(endpoint);
}

bool PlaneCore::closing(std::uint64_t receive_operation) const {
  const auto at = receiving_.find(receive_operation);
  return at != receiving_.end() && receiver_->table().closing(at->second.claim.transfer);
}

PlaneCore::Stats PlaneCore::stats() const {
  Stats stats;
  for (std::size_t kind = 1; kind < kRefusalKinds; ++kind) stats.refused_pieces += receiver_->table().refused(Refusal(kind));
  stats.torn_down = torn_down_;
  stats.open_transfers = receiver_->table().size();
  stats.quarantined_places = receiver_->table().quarantined_places();
  stats.posted_receives = receiving_.size();
  stats.posted_sends = queue_->in_flight();
  return stats;
}

void PlaneCore::set_transport(const PeerKey& peer, const std::string& name) {
  if (name.empty()) transports_.erase(peer);
  else transports_[peer] = name;
  ++transports_version_;
}

void PlaneCore::emit(std::vector<PushDone> done) {
  for (PushDone& one : done) sink_(std::move(one));
}

void PlaneCore::emit(std::optional<PushDone> done) {
  if (done) sink_(*std::move(done));
}

}  // namespace baton
