// SPDX-License-Identifier: Apache-2.0
// PushQueue: the sender's books. Tickets wait per peer in order of push(), a window bounds how many pieces of one peer are
// posted at a time, and each ticket ends in exactly one PushDone, when its last posted piece is no longer read. The first
// failed piece fails its ticket and drops what the ticket had not posted. A pure value like TransferTable: one thread, no
// I/O, shared by all data planes. Bounded by what the owner pushes.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "runtime/base/ids.h"
#include "runtime/link/data_plane.h"

namespace baton {

class PushQueue {
 public:
  PushQueue(std::uint64_t pool_bytes, std::uint32_t window) : pool_bytes_(pool_bytes), window_(window) {}

  // Ends at once if there is nothing to send or a piece lies outside the pool. A ticket in use is a bug.
  [[nodiscard]] std::optional<PushDone> push(std::uint64_t ticket, const PeerKey& to, const TransferId& transfer,
                                             std::vector<Piece> pieces);

  struct Posted {
    std::uint64_t operation = 0;  // name it in finished(); never reused
    TransferId transfer;
    Piece piece;
  };
  // The next piece to post to this peer; nothing when its window is full or its queue empty.
  [[nodiscard]] std::optional<Posted> next(const PeerKey& to);
  // A posted piece is no longer read.
  [[nodiscard]] std::optional<PushDone> finished(std::uint64_t operation, bool ok, const std::string& reason);

  std::optional<PeerKey> peer_of(std::uint64_t operation) const;

  // Drop what is not posted, of one transfer or to one peer. Tickets with posted pieces end when those do.
  [[nodiscard]] std::vector<PushDone> abandon(const TransferId& transfer, const std::string& reason);
  [[nodiscard]] std::vector<PushDone> drop(const PeerKey& to, const std::string& reason);

  // Peers that still read for this transfer.
  std::vector<PeerKey> readers(const TransferId& transfer) const;
  std::uint32_t in_flight(const PeerKey& to) const;
  std::uint32_t in_flight() const { return in_flight_; }
  bool waiting(const PeerKey& to) const;
  bool empty() const { return tickets_.empty(); }

 private:
  struct Ticket {
    PeerKey to;
    TransferId transfer;
    std::deque<Piece> pending;
    std::uint32_t in_flight = 0;
    bool ok = true;
    std::string reason;
  };
  struct Peer {
    std::deque<std::uint64_t> order;  // tickets that may have something pending
    std::uint32_t in_flight = 0;
  };
  using Tickets = std::map<std::uint64_t, Ticket>;

  std::optional<PushDone> fail(Tickets::iterator at, const std::string& reason);
  std::optional<PushDone> end_if_idle(Tickets::iterator at);
  template <class Matches>
  std::vector<PushDone> drop_if(const Matches& matches, const std::string& reason);

  std::uint64_t pool_bytes_;
  std::uint32_t window_;
  Tickets tickets_;
  std::map<PeerKey, Peer> peers_;  // entries exist while a peer has tickets
  std::map<std::uint64_t, std::uint64_t> operations_;  // operation -> ticket
  std::uint64_t next_operation_ = 1;
  std::uint32_t in_flight_ = 0;
};

}  // namespace baton
