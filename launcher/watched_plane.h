// SPDX-License-Identifier: Apache-2.0
// WatchedPlane: a data plane with a witness. From open() to TransferClosed no destination block may change hands, from push() to
// PushDone no source block may, and no transfer id comes twice: the tenancies (generations) noted at the call must still hold at the event. Simulation only: the
// digests turn such a bug into a recomputed prompt, so no token would ever show it. Borrows the plane; one thread.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "kernels/block_id.h"
#include "runtime/link/data_plane.h"

namespace baton {

class WatchedPlane final : public DataPlane {
 public:
  using Generation = std::function<std::uint32_t(BlockId)>;
  using Complain = std::function<void(const std::string&)>;

  WatchedPlane(DataPlane& plane, std::uint64_t block_bytes, Generation generation, Complain complain)
      : plane_(plane), block_bytes_(block_bytes), generation_(std::move(generation)), complain_(std::move(complain)) {}

  // To be called with every event before the actor hears it.
  void check(const DataPlaneEvent& event);

  const std::string& address() const override { return plane_.address(); }
  void open(const TransferId& transfer, const PeerKey& from, std::vector<Place> places, Duration time_limit) override;
  void close(const TransferId& transfer) override { plane_.close(transfer); }
  void connect(const PeerKey& peer, const std::string& address) override { plane_.connect(peer, address); }
  void disconnect(const PeerKey& peer) override { plane_.disconnect(peer); }
  void push(std::uint64_t ticket, const PeerKey& to, const TransferId& transfer, std::vector<Piece> pieces) override;
  void abandon(const TransferId& transfer) override { plane_.abandon(transfer); }
  std::string transport(const PeerKey& peer) const override { return plane_.transport(peer); }

 private:
  using Tenancies = std::vector<std::pair<BlockId, std::uint32_t>>;

  void note(Tenancies& tenancies, std::uint64_t offset, std::uint64_t bytes) const;
  void expect(const Tenancies& tenancies, const char* what) const;

  DataPlane& plane_;
  const std::uint64_t block_bytes_;
  const Generation generation_;
  const Complain complain_;
  std::set<TransferId> known_;
  std::map<TransferId, Tenancies> written_;
  std::map<std::uint64_t, Tenancies> read_;
};

}  // namespace baton
