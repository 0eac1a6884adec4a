// SPDX-License-Identifier: Apache-2.0
#include "launcher/watched_plane.h"

#include <variant>

namespace baton {

void WatchedPlane::note(Tenancies& tenancies, std::uint64_t offset, std::uint64_t bytes) const {
  for (std::uint64_t at = offset; at < offset + bytes; at += block_bytes_) {
    const auto block = static_cast<BlockId>(at / block_bytes_);
    tenancies.emplace_back(block, generation_(block));
  }
}

void WatchedPlane::expect(const Tenancies& tenancies, const char* what) const {
  for (const auto& [block, generation] : tenancies)
    if (generation_(block) != generation) complain_("block " + std::to_string(block) + " changed hands while it could still be " + what);
}

void WatchedPlane::open(const TransferId& transfer, const PeerKey& from, std::vector<Place> places, Duration time_limit) {
  if (!known_.insert(transfer).second) complain_("transfer " + to_string(transfer) + " was opened twice");
  for (const Place& place : places) note(written_[transfer], place.offset, place.bytes);
  plane_.open(transfer, from, std::move(places), time_limit);
}

void WatchedPlane::push(std::uint64_t ticket, const PeerKey& to, const TransferId& transfer, std::vector<Piece> pieces) {
  for (const Piece& piece : pieces) note(read_[ticket], piece.source_offset, piece.bytes);
  plane_.push(ticket, to, transfer, std::move(pieces));
}

void WatchedPlane::check(const DataPlaneEvent& event) {
  if (const auto* closed = std::get_if<TransferClosed>(&event)) {
    if (const auto noted = written_.extract(closed->transfer)) expect(noted.mapped(), "written");
  } else if (const auto* done = std::get_if<PushDone>(&event)) {
    if (const auto noted = read_.extract(done->ticket)) expect(noted.mapped(), "read");
  }
}

}  // namespace baton
