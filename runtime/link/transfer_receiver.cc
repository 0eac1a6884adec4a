// SPDX-License-Identifier: Apache-2.0
#include "runtime/link/transfer_receiver.h"

#include <utility>

namespace baton {

void TransferReceiver::open(const TransferId& id, const PeerKey& from, std::vector<Place> places, Time now, Duration time_limit) {
  if (auto closed = table_.open(id, from, std::move(places), now, time_limit)) sink_(*std::move(closed));
}

void TransferReceiver::close(const TransferId& id, const std::string& reason, Time now) {
  if (auto closed = table_.close(id, reason, now)) sink_(*std::move(closed));
}

void TransferReceiver::close_all(const PeerKey& from, const std::string& reason, Time now) {
  for (TransferClosed& closed : table_.close_all(from, reason, now)) sink_(std::move(closed));
}

void TransferReceiver::close_all(const std::string& reason, Time now) {
  for (TransferClosed& closed : table_.close_all(reason, now)) sink_(std::move(closed));
}

std::span<std::byte> TransferReceiver::accept(const PieceClaim& claim) {
  const TransferTable::Verdict verdict = table_.accept(claim);
  if (verdict.refusal != Refusal::kNone) return {};
  return pool_.subspan(verdict.offset, verdict.bytes);
}

void TransferReceiver::landed(const PieceClaim& claim) {
  std::vector<std::uint64_t> digests;
  digests.reserve(claim.place_count);
  for (const Place& place : table_.places(claim))
    digests.push_back(digest_ ? digest_(pool_.subspan(place.offset, place.bytes), place.tag) : 0);
  TransferTable::Landing landing = table_.land(claim);
  if (landing.wanted) sink_(PieceArrived{claim.transfer, claim.sender, claim.first_place, std::move(digests)});
  if (landing.closed) sink_(*std::move(landing.closed));
}

void TransferReceiver::lost(const PieceClaim& claim, const std::string& reason, Time now) {
  if (auto closed = table_.lose(claim, reason, now)) sink_(*std::move(closed));
}

std::vector<TransferId> TransferReceiver::due(Time now) {
  TransferTable::Due due = table_.due(now);
  for (TransferClosed& closed : due.closed) sink_(std::move(closed));
  return std::move(due.stuck);
}

}  // namespace baton
