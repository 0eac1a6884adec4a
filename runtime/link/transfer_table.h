// SPDX-License-Identifier: Apache-2.0
// TransferTable: the receiver's books, and the only judge of what may land. Holds every open transfer with its places,
// decides about each announced piece before a byte is written, and knows when nothing of a transfer can land any more.
// A pure value: no I/O, no clock, no thread; its owner (a data plane) calls it from one thread. All data planes use it, so
// that the simulated one tests the shipped decisions.
//
// A place is free, posted (a write into it may be under way) or landed. A transfer is open until it is complete, closed by
// its owner, out of time or broken; then it accepts nothing, and it is reported closed once no place is posted. Places of
// a transfer that is not yet reported closed cannot be opened again: that would be reuse of memory still in quarantine.
// Bounded by what the owner opens; a peer cannot make it grow.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/actor/timers.h"
#include "runtime/base/ids.h"
#include "runtime/base/time.h"
#include "runtime/link/data_plane.h"

namespace baton {

// What a sender says about a piece. Nothing in it is trusted.
struct PieceClaim {
  TransferId transfer;
  PeerKey sender;
  std::uint32_t first_place = 0;
  std::uint32_t place_count = 0;
  std::uint64_t bytes = 0;
};

enum class Refusal : std::uint8_t {
  kNone,
  kUnknownTransfer,
  kWrongPeer,
  kClosing,
  kOutOfRange,
  kNotNeighbours,
  kWrongBytes,
  kTwice,
  kMalformed,  // not a claim at all; found by the transport
};
inline constexpr std::size_t kRefusalKinds = 9;
std::string_view to_string(Refusal refusal);

class TransferTable {
 public:
  // `grace`: how long a closed transfer may wait for posted places before its connection has to be torn down.
  TransferTable(std::uint64_t pool_bytes, Duration grace) : pool_bytes_(pool_bytes), grace_(grace) {}

  // Closed at once if it has no places or cannot be allowed (outside the pool, overlapping, still in quarantine).
  // An id that is already here is a bug.
  [[nodiscard]] std::optional<TransferClosed> open(const TransferId& id, const PeerKey& from, std::vector<Place> places,
                                                   Time now, Duration time_limit);
  // No further piece is accepted. Closed at once if nothing is posted. Unknown or closing ids: nothing happens.
  [[nodiscard]] std::optional<TransferClosed> close(const TransferId& id, std::string reason, Time now);
  // The same for every transfer of one peer, in order of id.
  [[nodiscard]] std::vector<TransferClosed> close_all(const PeerKey& from, const std::string& reason, Time now);
  // The same for every transfer there is.
  [[nodiscard]] std::vector<TransferClosed> close_all(const std::string& reason, Time now);

  struct Verdict {
    Refusal refusal = Refusal::kNone;
    std::uint64_t offset = 0;  // into the pool; valid if not refused
    std::uint64_t bytes = 0;
  };
  // On acceptance the places are posted, and each such claim must be ended by one land() or lose().
  [[nodiscard]] Verdict accept(const PieceClaim& claim);

  // The places of an accepted claim, for the digests.
  std::span<const Place> places(const PieceClaim& claim) const;

  struct Landing {
    bool wanted = false;  // false: it landed in a transfer that is closing, nobody may look at it
    std::optional<TransferClosed> closed;
  };
  [[nodiscard]] Landing land(const PieceClaim& claim);
  // The data of an accepted claim will never come and nothing writes there any more; the transfer is closed.
  [[nodiscard]] std::optional<TransferClosed> lose(const PieceClaim& claim, const std::string& reason, Time now);

  struct Due {
    std::vector<TransferClosed> closed;
    std::vector<TransferId> stuck;  // closing and still posted after the grace: tear down the connection
  };
  [[nodiscard]] Due due(Time now);
  Time next_due() { return timers_.next(); }

  std::size_t size() const { return transfers_.size(); }
  bool contains(const TransferId& id) const { return transfers_.contains(id); }
  bool closing(const TransferId& id) const;
  std::uint64_t refused(Refusal refusal) const { return refused_[static_cast<std::size_t>(refusal)]; }
  void count_refusal(Refusal refusal) { ++refused_[static_cast<std::size_t>(refusal)]; }
  std::uint64_t quarantined_places() const;

 private:
  enum class PlaceState : std::uint8_t { kFree, kPosted, kLanded };
  struct Transfer {
    PeerKey from;
    std::vector<Place> places;
    std::vector<PlaceState> states;
    std::vector<std::uint64_t> runs;  // where its runs of neighbouring places begin in held_
    std::uint64_t posted = 0;
    std::uint64_t landed = 0;
    bool closing = false;
    std::string reason;
  };
  using Transfers = std::map<TransferId, Transfer>;

  std::string hold(Transfer& transfer);
  std::optional<TransferClosed> begin_close(Transfers::iterator at, std::string reason, Time now);
  TransferClosed erase(Transfers::iterator at);
  Refusal judge(const Transfer& transfer, const PieceClaim& claim) const;
  Transfers::iterator posted_claim(const PieceClaim& claim);

  std::uint64_t pool_bytes_;
  Duration grace_;
  Transfers transfers_;
  std::map<std::uint64_t, std::uint64_t> held_;  // begin -> end of every run of an unfinished transfer
  Timers<TransferId> timers_;                    // deadline while open, grace while closing
  std::uint64_t refused_[kRefusalKinds] = {};
};

}  // namespace baton
