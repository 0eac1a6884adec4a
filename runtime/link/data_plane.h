// SPDX-License-Identifier: Apache-2.0
// DataPlane: bulk bytes between the registered pools of two processes, pushed by the sender, placed by the receiver.
//
// The receiver opens a transfer: a 128-bit id, a list of places in its own pool and a time limit. The sender, who learnt
// the id over the control channel, pushes pieces: "my bytes at this offset are places [first, first + count) of transfer T".
// The receiver checks every piece against its own list before any byte is written and refuses the rest; an offset of the
// sender's choosing never reaches memory. Completion at the sender proves only that its memory is no longer read;
// delivery is proven by the receiver's PieceArrived (which carries a digest per place) and by the actors' own acknowledgement.
//
// Quarantine: after close() a place may be written until TransferClosed says that nothing of the transfer can land any
// more (its data arrived, or the connection it came on was torn down). Until then the owner must not reuse the place.
// Deadlines are the receiver's: a transfer that is not complete when its time is up closes itself. Transport errors only
// speed that up.
//
// Calls come from the actor's thread and never block. Events are handed to the sink on the data thread (UCX) or inside the
// loop (in-process, simulated); the wiring posts them to the actor.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "runtime/base/ids.h"
#include "runtime/base/result.h"
#include "runtime/base/time.h"

namespace baton {

// Who is at the other end: one life of one node.
struct PeerKey {
  NodeId node;
  Incarnation incarnation;
  friend constexpr auto operator<=>(const PeerKey&, const PeerKey&) = default;
};

// Receiver: where one unit may land, and the tag its digest is computed with.
struct Place {
  std::uint64_t offset = 0;  // bytes into this side's pool
  std::uint64_t bytes = 0;
  std::uint64_t tag = 0;
};

// Sender: one contiguous run. Covers `place_count` consecutive places that must be neighbours at the receiver too.
struct Piece {
  std::uint64_t source_offset = 0;  // bytes into this side's pool
  std::uint64_t bytes = 0;          // sum of the covered places' bytes
  std::uint32_t first_place = 0;
  std::uint32_t place_count = 1;
};

// Receiver side: these places now hold verified-length bytes; digests[i] is of place first_place + i.
struct PieceArrived {
  TransferId transfer;
  PeerKey from;
  std::uint32_t first_place = 0;
  std::vector<std::uint64_t> digests;
};
// Receiver side: nothing of this transfer can write any more. Sent exactly once for every open().
struct TransferClosed {
  TransferId transfer;
  std::string reason;  // "complete", "closed", "deadline", or what the transport said
};
// Sender side: the memory of the push with this ticket is no longer read. Sent exactly once for every push().
struct PushDone {
  std::uint64_t ticket = 0;
  TransferId transfer;
  bool ok = false;
  std::string reason;  // why not ok
};
// The connection to or from this peer broke; open transfers and pushes with it get their own events.
struct PeerFailed {
  PeerKey peer;
  std::string reason;
};

using DataPlaneEvent = std::variant<PieceArrived, TransferClosed, PushDone, PeerFailed>;
using DataPlaneSink = std::function<void(DataPlaneEvent)>;
// Digest of the bytes that landed in one place; pure, called on the data thread while the bytes are warm.
using PlaceDigest = std::function<std::uint64_t(std::span<const std::byte> bytes, std::uint64_t tag)>;

class DataPlane {
 public:
  virtual ~DataPlane() = default;
  // The opaque address peers dial; goes into the hello.
  virtual const std::string& address() const = 0;
  // Receiver. `from` is the only peer allowed to push into it.
  virtual void open(const TransferId& transfer, const PeerKey& from, std::vector<Place> places, Duration time_limit) = 0;
  virtual void close(const TransferId& transfer) = 0;
  // Sender. connect is idempotent; pushing to an unknown peer yields PushDone{ok=false}.
  virtual void connect(const PeerKey& peer, const std::string& address) = 0;
  virtual void disconnect(const PeerKey& peer) = 0;
  virtual void push(std::uint64_t ticket, const PeerKey& to, const TransferId& transfer, std::vector<Piece> pieces) = 0;
  // Stop reading for this transfer as soon as possible; its tickets still get PushDone.
  virtual void abandon(const TransferId& transfer) = 0;
  // What carries the bytes to this peer: "shm", "tcp", "inproc", ...; "none" if not connected.
  virtual std::string transport(const PeerKey& peer) const = 0;
};

}  // namespace baton
