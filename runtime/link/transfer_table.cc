// SPDX-License-Identifier: Apache-2.0
#include "runtime/link/transfer_table.h"

#include <algorithm>
#include <utility>

#include "runtime/base/check.h"

namespace baton {

std::string_view to_string(Refusal refusal) {
  switch (refusal) {
    case Refusal::kNone: return "accepted";
    case Refusal::kUnknownTransfer: return "unknown transfer";
    case Refusal::kWrongPeer: return "wrong peer";
    case Refusal::kClosing: return "transfer is closing";
    case Refusal::kOutOfRange: return "place out of range";
    case Refusal::kNotNeighbours: return "places are not neighbours";
    case Refusal::kWrongBytes: return "wrong number of bytes";
    case Refusal::kTwice: return "place was already used";
    case Refusal::kMalformed: return "malformed";
  }
  return "refused";
}

// Enters the transfer's places into held_, neighbours merged. Says what is wrong instead, having changed nothing.
std::string TransferTable::hold(Transfer& transfer) {
  std::vector<std::pair<std::uint64_t, std::uint64_t>> runs;
  runs.reserve(transfer.places.size());
  for (const Place& place : transfer.places) {
    if (place.bytes == 0) return "an empty place";
    if (place.offset > pool_bytes_ || place.bytes > pool_bytes_ - place.offset) return "a place outside the pool";
    runs.emplace_back(place.offset, place.offset + place.bytes);
  }
  std::sort(runs.begin(), runs.end());
  std::size_t kept = 0;
  for (std::size_t i = 1; i < runs.size(); ++i) {
    if (runs[i].first < runs[kept].second) return "overlapping places";
    if (runs[i].first == runs[kept].second) runs[kept].second = runs[i].second;
    else runs[++kept] = runs[i];
  }
  runs.resize(kept + 1);
  for (const auto& [begin, end] : runs) {
    const auto after = held_.lower_bound(end);
    if (after != held_.begin() && std::prev(after)->second > begin) return "a place of another unfinished transfer";
  }
  for (const auto& [begin, end] : runs) {
    held_.emplace(begin, end);
    transfer.runs.push_back(begin);
  }
  return {};
}

std::optional<TransferClosed> TransferTable::open(const TransferId& id, const PeerKey& from, std::vector<Place> places, Time now,
                                                  Duration time_limit) {
  CHECK(!transfers_.contains(id), "transfer id opened twice");
  if (places.empty()) return TransferClosed{id, "complete"};
  Transfer transfer;
  transfer.from = from;
  transfer.states.assign(places.size(), PlaceState::kFree);
  transfer.places = std::move(places);
  if (std::string wrong = hold(transfer); !wrong.empty()) return TransferClosed{id, "not allowed: " + wrong};
  transfers_.emplace(id, std::move(transfer));
  timers_.set(id, time_limit > kNever - now ? kNever : now + time_limit);
  return std::nullopt;
}

TransferClosed TransferTable::erase(Transfers::iterator at) {
  TransferClosed closed{at->first, std::move(at->second.reason)};
  for (const std::uint64_t begin : at->second.runs) held_.erase(begin);
  timers_.cancel(at->first);
  transfers_.erase(at);
  return closed;
}

std::optional<TransferClosed> TransferTable::begin_close(Transfers::iterator at, std::string reason, Time now) {
  Transfer& transfer = at->second;
  if (transfer.closing) return std::nullopt;
  transfer.closing = true;
  transfer.reason = std::move(reason);
  if (transfer.posted == 0) return erase(at);
  timers_.set(at->first, now + grace_);
  return std::nullopt;
}

std::optional<TransferClosed> TransferTable::close(const TransferId& id, std::string reason, Time now) {
  const auto at = transfers_.find(id);
  return at == transfers_.end() ? std::nullopt : begin_close(at, std::move(reason), now);
}

std::vector<TransferClosed> TransferTable::close_all(const PeerKey& from, const std::string& reason, Time now) {
  std::vector<TransferClosed> closed;
  for (auto at = transfers_.begin(); at != transfers_.end();) {
    const auto here = at++;
    if (here->second.from != from) continue;
    if (auto done = begin_close(here, reason, now)) closed.push_back(*std::move(done));
  }
  return closed;
}

std::vector<TransferClosed> TransferTable::close_all(const std::string& reason, Time now) {
  std::vector<TransferClosed> closed;
  for (auto at = transfers_.begin(); at != transfers_.end();)
    if (auto done = begin_close(at++, reason, now)) closed.push_back(*std::move(done));
  return closed;
}

Refusal TransferTable::judge(const Transfer& transfer, const PieceClaim& claim) const {
  if (transfer.from != claim.sender) return Refusal::kWrongPeer;
  if (transfer.closing) return Refusal::kClosing;
  if (claim.place_count == 0) return Refusal::kOutOfRange;
  if (claim.first_place >= transfer.places.size()) return Refusal::kOutOfRange;
  if (claim.place_count > transfer.places.size() - claim.first_place) return Refusal::kOutOfRange;
  std::uint64_t bytes = 0;  // cannot overflow: the places are disjoint and inside the pool
  for (std::uint32_t i = 0; i < claim.place_count; ++i) {
    const std::size_t index = claim.first_place + std::size_t{i};
    if (transfer.states[index] != PlaceState::kFree) return Refusal::kTwice;
    const Place& place = transfer.places[index];
    if (i > 0 && place.offset != transfer.places[index - 1].offset + transfer.places[index - 1].bytes)
      return Refusal::kNotNeighbours;
    bytes += place.bytes;
  }
  return bytes == claim.bytes ? Refusal::kNone : Refusal::kWrongBytes;
}

TransferTable::Verdict TransferTable::accept(const PieceClaim& claim) {
  const auto at = transfers_.find(claim.transfer);
  const Refusal refusal = at == transfers_.end() ? Refusal::kUnknownTransfer : judge(at->second, claim);
  if (refusal != Refusal::kNone) {
    count_refusal(refusal);
    return {refusal, 0, 0};
  }
  Transfer& transfer = at->second;
  std::fill_n(transfer.states.begin() + claim.first_place, claim.place_count, PlaceState::kPosted);
  transfer.posted += claim.place_count;
  return {Refusal::kNone, transfer.places[claim.first_place].offset, claim.bytes};
}

std::span<const Place> TransferTable::places(const PieceClaim& claim) const {
  const auto at = transfers_.find(claim.transfer);
  CHECK(at != transfers_.end(), "places of a claim that is not posted");
  return std::span(at->second.places).subspan(claim.first_place, claim.place_count);
}

TransferTable::Transfers::iterator TransferTable::posted_claim(const PieceClaim& claim) {
  const auto at = transfers_.find(claim.transfer);
  CHECK(at != transfers_.end(), "a claim ended that was not posted");
  CHECK(at->second.posted >= claim.place_count);
  for (std::uint32_t i = 0; i < claim.place_count; ++i)
    CHECK(at->second.states[claim.first_place + std::size_t{i}] == PlaceState::kPosted, "a place ended twice");
  at->second.posted -= claim.place_count;
  return at;
}

TransferTable::Landing TransferTable::land(const PieceClaim& claim) {
  const auto at = posted_claim(claim);
  Transfer& transfer = at->second;
  std::fill_n(transfer.states.begin() + claim.first_place, claim.place_count, PlaceState::kLanded);
  transfer.landed += claim.place_count;
  if (transfer.closing) return {false, transfer.posted == 0 ? std::optional(erase(at)) : std::nullopt};
  if (transfer.landed < transfer.places.size()) return {true, std::nullopt};
  transfer.reason = "complete";
  return {true, erase(at)};
}

std::optional<TransferClosed> TransferTable::lose(const PieceClaim& claim, const std::string& reason, Time now) {
  const auto at = posted_claim(claim);
  Transfer& transfer = at->second;
  std::fill_n(transfer.states.begin() + claim.first_place, claim.place_count, PlaceState::kFree);
  if (!transfer.closing) return begin_close(at, reason, now);
  return transfer.posted == 0 ? std::optional(erase(at)) : std::nullopt;
}

TransferTable::Due TransferTable::due(Time now) {
  Due due;
  while (const auto id = timers_.pop_due(now)) {
    const auto at = transfers_.find(*id);
    CHECK(at != transfers_.end());
    if (at->second.closing) {
      due.stuck.push_back(*id);
      timers_.set(*id, now + std::max(grace_, Duration{1}));
    } else if (auto closed = begin_close(at, "deadline", now)) {
      due.closed.push_back(*std::move(closed));
    }
  }
  return due;
}

bool TransferTable::closing(const TransferId& id) const {
  const auto at = transfers_.find(id);
  return at != transfers_.end() && at->second.closing;
}

std::uint64_t TransferTable::quarantined_places() const {
  std::uint64_t places = 0;
  for (const auto& [id, transfer] : transfers_)
    if (transfer.closing) places += transfer.posted;
  return places;
}

}  // namespace baton
