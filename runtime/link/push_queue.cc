// SPDX-License-Identifier: Apache-2.0
#include "runtime/link/push_queue.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "runtime/base/check.h"

namespace baton {

std::optional<PushDone> PushQueue::push(std::uint64_t ticket, const PeerKey& to, const TransferId& transfer,
                                        std::vector<Piece> pieces) {
  CHECK(!tickets_.contains(ticket), "ticket pushed twice");
  if (pieces.empty()) return PushDone{ticket, transfer, true, {}};
  for (const Piece& piece : pieces)
    if (piece.bytes == 0 || piece.source_offset > pool_bytes_ || piece.bytes > pool_bytes_ - piece.source_offset)
      return PushDone{ticket, transfer, false, "a piece is empty or outside the pool"};
  Ticket entry{to, transfer, {pieces.begin(), pieces.end()}, 0, true, {}};
  tickets_.emplace(ticket, std::move(entry));
  peers_[to].order.push_back(ticket);
  return std::nullopt;
}

std::optional<PushQueue::Posted> PushQueue::next(const PeerKey& to) {
  const auto at = peers_.find(to);
  if (at == peers_.end() || at->second.in_flight >= window_) return std::nullopt;
  Peer& peer = at->second;
  while (!peer.order.empty()) {
    const auto ticket = tickets_.find(peer.order.front());
    if (ticket == tickets_.end() || ticket->second.pending.empty()) {
      peer.order.pop_front();
      continue;
    }
    Ticket& entry = ticket->second;
    const Posted posted{next_operation_++, entry.transfer, entry.pending.front()};
    entry.pending.pop_front();
    ++entry.in_flight;
    ++peer.in_flight;
    ++in_flight_;
    operations_.emplace(posted.operation, ticket->first);
    return posted;
  }
  return std::nullopt;
}

std::optional<PushDone> PushQueue::end_if_idle(Tickets::iterator at) {
  Ticket& ticket = at->second;
  if (ticket.in_flight > 0 || !ticket.pending.empty()) return std::nullopt;
  PushDone done{at->first, ticket.transfer, ticket.ok, std::move(ticket.reason)};
  const auto peer = peers_.find(ticket.to);
  tickets_.erase(at);
  std::deque<std::uint64_t>& order = peer->second.order;
  while (!order.empty() && !tickets_.contains(order.front())) order.pop_front();
  if (order.empty() && peer->second.in_flight == 0) peers_.erase(peer);
  return done;
}

std::optional<PushDone> PushQueue::fail(Tickets::iterator at, const std::string& reason) {
  Ticket& ticket = at->second;
  if (ticket.ok) ticket.reason = reason;
  ticket.ok = false;
  ticket.pending.clear();
  return end_if_idle(at);
}

std::optional<PushDone> PushQueue::finished(std::uint64_t operation, bool ok, const std::string& reason) {
  const auto found = operations_.find(operation);
  CHECK(found != operations_.end(), "an operation ended twice");
  const auto at = tickets_.find(found->second);
  CHECK(at != tickets_.end());
  operations_.erase(found);
  --at->second.in_flight;
  --peers_.at(at->second.to).in_flight;
  --in_flight_;
  return ok ? end_if_idle(at) : fail(at, reason);
}

std::optional<PeerKey> PushQueue::peer_of(std::uint64_t operation) const {
  const auto found = operations_.find(operation);
  if (found == operations_.end()) return std::nullopt;
  return tickets_.at(found->second).to;
}

template <class Matches>
std::vector<PushDone> PushQueue::drop_if(const Matches& matches, const std::string& reason) {
  std::vector<PushDone> ended;
  for (auto at = tickets_.begin(); at != tickets_.end();) {
    const auto here = at++;
    // A ticket whose last pieces are all posted is left to them: it may still succeed.
    if (here->second.pending.empty() || !matches(here->second)) continue;
    if (auto done = fail(here, reason)) ended.push_back(*std::move(done));
  }
  return ended;
}

std::vector<PushDone> PushQueue::abandon(const TransferId& transfer, const std::string& reason) {
  return drop_if([&](const Ticket& ticket) { return ticket.transfer == transfer; }, reason);
}

std::vector<PushDone> PushQueue::drop(const PeerKey& to, const std::string& reason) {
  return drop_if([&](const Ticket& ticket) { return ticket.to == to; }, reason);
}

std::vector<PeerKey> PushQueue::readers(const TransferId& transfer) const {
  std::vector<PeerKey> peers;
  for (const auto& [id, ticket] : tickets_)
    if (ticket.transfer == transfer && ticket.in_flight > 0) peers.push_back(ticket.to);
  std::sort(peers.begin(), peers.end());
  peers.erase(std::unique(peers.begin(), peers.end()), peers.end());
  return peers;
}

std::uint32_t PushQueue::in_flight(const PeerKey& to) const {
  const auto at = peers_.find(to);
  return at == peers_.end() ? 0 : at->second.in_flight;
}

bool PushQueue::waiting(const PeerKey& to) const {
  const auto at = peers_.find(to);
  if (at == peers_.end()) return false;
  return std::any_of(at->second.order.begin(), at->second.order.end(), [&](std::uint64_t id) {
    const auto ticket = tickets_.find(id);
    return ticket != tickets_.end() && !ticket->second.pending.empty();
  });
}

}  // namespace baton
