// SPDX-License-Identifier: Apache-2.0
// DataPlaneRig: two or more data planes of one kind with their pools and a record of what they reported, so that one script
// runs over UCX, over TCP, in process and simulated. Test thread; the record is guarded, since real planes report from their thread.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "runtime/link/data_plane.h"
#include "runtime/link/plane_core.h"

namespace baton::test {

using namespace std::chrono_literals;

enum class PlaneKind { kUcxShm, kUcxTcp, kTcp, kInproc, kSim };
std::string name_of(PlaneKind kind);

// What one plane reported, in order.
class EventLog {
 public:
  void add(DataPlaneEvent event);
  std::vector<PieceArrived> arrived(const TransferId& id) const;
  std::size_t places_arrived(const TransferId& id) const;
  std::vector<std::string> closed(const TransferId& id) const;  // reasons; more than one is a bug
  std::vector<PushDone> done(std::uint64_t ticket) const;
  std::vector<PeerFailed> failed(const PeerKey& peer) const;
  std::size_t closed_count() const;
  std::size_t done_count() const;

 private:
  template <class Event, class Wanted>
  std::vector<Event> all(const Wanted& wanted) const;
  mutable std::mutex mutex_;
  std::vector<DataPlaneEvent> events_;
};

struct RigOptions {
  std::size_t planes = 2;
  std::uint64_t pool_bytes = 8 << 20;
  Duration grace = 100ms;
  std::uint64_t seed = 1;
};

class DataPlaneRig {
 public:
  static std::unique_ptr<DataPlaneRig> make(PlaneKind kind, RigOptions options = {});
  virtual ~DataPlaneRig() = default;

  DataPlane& plane(std::size_t i) { return *ends_[i].plane; }
  std::span<std::byte> pool(std::size_t i) { return ends_[i].pool; }
  PeerKey key(std::size_t i) const { return ends_[i].key; }
  EventLog& log(std::size_t i) { return *ends_[i].log; }
  void connect(std::size_t from, std::size_t to) { plane(from).connect(key(to), plane(to).address()); }
  bool has(std::size_t i) const { return ends_[i].plane != nullptr; }

  // Ends plane i; its log stays. restart() makes it again with a new incarnation, a new pool and an empty log.
  void destroy(std::size_t i);
  void restart(std::size_t i);

  // Lets time pass until `condition` holds; false if it does not within `limit` (virtual time in the simulator).
  virtual bool wait(const std::function<bool()>& condition, Duration limit = 10s) = 0;
  void pass(Duration time) {
    wait([] { return false; }, time);
  }
  virtual PlaneCore::Stats stats(std::size_t i) = 0;

 protected:
  struct End {
    PeerKey key;
    std::shared_ptr<EventLog> log;
    std::unique_ptr<DataPlane> plane;
    std::span<std::byte> pool;
  };
  explicit DataPlaneRig(RigOptions options) : options_(options) {}
  void start();
  virtual void make_plane(End& end) = 0;

  RigOptions options_;
  std::uint64_t lives_ = 0;
  std::vector<End> ends_;
};

std::uint64_t test_digest(std::span<const std::byte> bytes, std::uint64_t tag);
void fill_pattern(std::span<std::byte> bytes, std::uint64_t seed);
inline TransferId transfer_id(std::uint64_t n) { return {0x1234567890abcdef ^ n, n}; }

}  // namespace baton::test
