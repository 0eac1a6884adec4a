// SPDX-License-Identifier: Apache-2.0
// TransferReceiver: the receiving half that all data planes share. It joins the books (TransferTable) to a pool: turns
// landed pieces into digests and every decision into the event the owner gets. Knows no transport. Called from the data
// plane's one thread; the pool and the sink outlive it.
#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "runtime/link/data_plane.h"
#include "runtime/link/transfer_table.h"

namespace baton {

class TransferReceiver {
 public:
  TransferReceiver(std::span<std::byte> pool, Duration grace, DataPlaneSink sink, PlaceDigest digest)
      : pool_(pool), table_(pool.size(), grace), sink_(std::move(sink)), digest_(std::move(digest)) {}

  void open(const TransferId& id, const PeerKey& from, std::vector<Place> places, Time now, Duration time_limit);
  void close(const TransferId& id, const std::string& reason, Time now);
  void close_all(const PeerKey& from, const std::string& reason, Time now);
  void close_all(const std::string& reason, Time now);
  // Where an accepted piece goes; empty if it is refused (and counted). Must be followed by one landed() or lost().
  std::span<std::byte> accept(const PieceClaim& claim);
  void landed(const PieceClaim& claim);
  void lost(const PieceClaim& claim, const std::string& reason, Time now);
  // Closes what is out of time; returns the transfers whose connection has to be torn down now.
  std::vector<TransferId> due(Time now);

  TransferTable& table() { return table_; }
  const TransferTable& table() const { return table_; }

 private:
  std::span<std::byte> pool_;
  TransferTable table_;
  DataPlaneSink sink_;
  PlaceDigest digest_;
};

}  // namespace baton
