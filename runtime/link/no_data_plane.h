// SPDX-License-Identifier: Apache-2.0
// NoDataPlane: the data plane of a worker that is alone in its cluster: it owns the pool and moves nothing, so that neither
// UCX nor its shared memory is needed. Its address is empty, and a peer without an address is never connected to; a transfer
// that is asked for all the same ends at once, with its reason. The pool's pages are the kernel's until they are touched,
// huge ones where it has them. Calls and events: the actor's thread.
#pragma once

#include <cstddef>
#include <memory>
#include <span>

#include "runtime/base/result.h"
#include "runtime/link/data_plane.h"

namespace baton {

class NoDataPlane final : public DataPlane {
 public:
  // `sink` hears the events from inside the calls; it must not call back.
  static Result<std::unique_ptr<NoDataPlane>> create(std::uint64_t pool_bytes, DataPlaneSink sink);
  ~NoDataPlane() override;

  // Zero-filled at first; lives as long as this object.
  std::span<std::byte> pool() const { return pool_; }

  const std::string& address() const override { return address_; }
  void open(const TransferId& transfer, const PeerKey& from, std::vector<Place> places, Duration time_limit) override;
  void close(const TransferId&) override {}
  void connect(const PeerKey&, const std::string&) override {}
  void disconnect(const PeerKey&) override {}
  void push(std::uint64_t ticket, const PeerKey& to, const TransferId& transfer, std::vector<Piece> pieces) override;
  void abandon(const TransferId&) override {}
  std::string transport(const PeerKey&) const override { return "none"; }

 private:
  NoDataPlane(std::span<std::byte> pool, DataPlaneSink sink) : pool_(pool), sink_(std::move(sink)) {}
  const std::span<std::byte> pool_;
  const DataPlaneSink sink_;
  const std::string address_;
};

}  // namespace baton
