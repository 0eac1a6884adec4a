// SPDX-License-Identifier: Apache-2.0
#include "tests/support/data_plane_rig.h"

#include <algorithm>
#include <cstring>
#include <thread>
#include <utility>

#include "runtime/actor/event_heap.h"
#include "runtime/base/check.h"
#include "runtime/base/hash.h"
#include "runtime/link/inproc_data_plane.h"
#include "runtime/link/sim_data_plane.h"
#include "runtime/link/threaded_data_plane.h"

// UCX is not built with the thread sanitizer: what it orders through shared memory looks like races of the memcpy it calls.
extern "C" const char* __tsan_default_suppressions();
extern "C" const char* __tsan_default_suppressions() {
  return "race:libucp.so\nrace:libucs.so\nrace:libuct.so\n";
}

namespace baton::test {

std::string name_of(PlaneKind kind) {
  switch (kind) {
    case PlaneKind::kUcxShm: return "UcxShm";
    case PlaneKind::kUcxTcp: return "UcxTcp";
    case PlaneKind::kTcp: return "Tcp";
    case PlaneKind::kInproc: return "Inproc";
    case PlaneKind::kSim: return "Sim";
  }
  return "?";
}

void EventLog::add(DataPlaneEvent event) {
  const std::lock_guard lock(mutex_);
  events_.push_back(std::move(event));
}

template <class Event, class Wanted>
std::vector<Event> EventLog::all(const Wanted& wanted) const {
  const std::lock_guard lock(mutex_);
  std::vector<Event> found;
  for (const DataPlaneEvent& event : events_)
    if (const Event* one = std::get_if<Event>(&event); one != nullptr && wanted(*one)) found.push_back(*one);
  return found;
}

std::vector<PieceArrived> EventLog::arrived(const TransferId& id) const {
  return all<PieceArrived>([&](const PieceArrived& event) { return event.transfer == id; });
}

std::size_t EventLog::places_arrived(const TransferId& id) const {
  std::size_t places = 0;
  for (const PieceArrived& event : arrived(id)) places += event.digests.size();
  return places;
}

std::vector<std::string> EventLog::closed(const TransferId& id) const {
  std::vector<std::string> reasons;
  for (TransferClosed& event : all<TransferClosed>([&](const TransferClosed& one) { return one.transfer == id; }))
    reasons.push_back(std::move(event.reason));
  return reasons;
}

std::vector<PushDone> EventLog::done(std::uint64_t ticket) const {
  return all<PushDone>([&](const PushDone& event) { return event.ticket == ticket; });
}

std::vector<PeerFailed> EventLog::failed(const PeerKey& peer) const {
  return all<PeerFailed>([&](const PeerFailed& event) { return event.peer == peer; });
}

std::size_t EventLog::closed_count() const {
  return all<TransferClosed>([](const TransferClosed&) { return true; }).size();
}

std::size_t EventLog::done_count() const {
  return all<PushDone>([](const PushDone&) { return true; }).size();
}

void DataPlaneRig::start() {
  ends_.resize(options_.planes);
  for (std::size_t i = 0; i < ends_.size(); ++i) restart(i);
}

void DataPlaneRig::destroy(std::size_t i) {
  ends_[i].plane.reset();
  ends_[i].pool = {};
}

void DataPlaneRig::restart(std::size_t i) {
  destroy(i);
  ends_[i].key = {NodeId{100 + i}, Incarnation{++lives_}};
  ends_[i].log = std::make_shared<EventLog>();
  make_plane(ends_[i]);
}

std::uint64_t test_digest(std::span<const std::byte> bytes, std::uint64_t tag) { return hash_bytes(bytes.data(), bytes.size(), tag); }

void fill_pattern(std::span<std::byte> bytes, std::uint64_t seed) {
  std::size_t at = 0;
  for (std::uint64_t i = 0; at < bytes.size(); ++i, at += 8) {
    const std::uint64_t word = mix64(seed, i);
    std::memcpy(bytes.data() + at, &word, std::min<std::size_t>(8, bytes.size() - at));
  }
}

namespace {

class RealTimeRig : public DataPlaneRig {
 public:
  using DataPlaneRig::DataPlaneRig;
  bool wait(const std::function<bool()>& condition, Duration limit) override {
    const auto end = std::chrono::steady_clock::now() + limit;
    while (!condition()) {
      if (std::chrono::steady_clock::now() >= end) return false;
      std::this_thread::sleep_for(500us);
    }
    return true;
  }
};

class ThreadedRig final : public RealTimeRig {
 public:
  ThreadedRig(RigOptions options, std::vector<std::string> transports) : RealTimeRig(options), transports_(std::move(transports)) {
    start();
  }
  PlaneCore::Stats stats(std::size_t i) override { return static_cast<ThreadedDataPlane&>(plane(i)).stats().plane; }

 private:
  void make_plane(End& end) override {
    ThreadedPlaneOptions options;
    options.transports = transports_;
    options.self = end.key;
    options.pool_bytes = options_.pool_bytes;
    options.sink = [log = end.log](DataPlaneEvent event) { log->add(std::move(event)); };
    options.digest = test_digest;
    options.grace = options_.grace;
    Result<std::unique_ptr<ThreadedDataPlane>> made = ThreadedDataPlane::create(std::move(options));
    CHECK(made.has_value(), made ? "" : made.error().message);
    end.pool = (*made)->pool();
    end.plane = *std::move(made);
  }
  std::vector<std::string> transports_;
};

class InprocRig final : public RealTimeRig {
 public:
  explicit InprocRig(RigOptions options) : RealTimeRig(options) { start(); }
  ~InprocRig() override { ends_.clear(); }
  PlaneCore::Stats stats(std::size_t i) override { return static_cast<InprocDataPlane&>(plane(i)).stats(); }

 private:
  void make_plane(End& end) override {
    auto made = std::make_unique<InprocDataPlane>(
        hub_, end.key, options_.pool_bytes, [log = end.log](DataPlaneEvent event) { log->add(std::move(event)); }, test_digest,
        options_.grace);
    end.pool = made->pool();
    end.plane = std::move(made);
  }
  InprocHub hub_;
};

class SimRig final : public DataPlaneRig {
 public:
  explicit SimRig(RigOptions options) : DataPlaneRig(options), heap_(options.seed), fabric_(heap_, fabric_options(options)) {
    start();
  }
  ~SimRig() override { ends_.clear(); }
  bool wait(const std::function<bool()>& condition, Duration limit) override {
    const Time end = heap_.now() + limit;
    const auto passed = std::make_shared<bool>(false);
    heap_.at(end, [passed] { *passed = true; });
    while (!condition() && !*passed) heap_.step();
    return condition();
  }
  PlaneCore::Stats stats(std::size_t i) override { return static_cast<SimDataPlane&>(plane(i)).stats(); }

 private:
  static SimFabricOptions fabric_options(const RigOptions& options) {
    SimFabricOptions fabric;
    fabric.grace = options.grace;
    return fabric;
  }
  void make_plane(End& end) override {
    auto made = fabric_.make(
        end.key, options_.pool_bytes, [log = end.log](DataPlaneEvent event) { log->add(std::move(event)); }, test_digest);
    end.pool = made->pool();
    end.plane = std::move(made);
  }
  EventHeap heap_;
  SimFabric fabric_;
};

}  // namespace

std::unique_ptr<DataPlaneRig> DataPlaneRig::make(PlaneKind kind, RigOptions options) {
  switch (kind) {
    case PlaneKind::kUcxShm: return std::make_unique<ThreadedRig>(options, std::vector<std::string>{"shm", "tcp"});
    case PlaneKind::kUcxTcp: return std::make_unique<ThreadedRig>(options, std::vector<std::string>{"ucx_tcp"});
    case PlaneKind::kTcp: return std::make_unique<ThreadedRig>(options, std::vector<std::string>{"tcp"});
    case PlaneKind::kInproc: return std::make_unique<InprocRig>(options);
    case PlaneKind::kSim: return std::make_unique<SimRig>(options);
  }
  return nullptr;
}

}  // namespace baton::test
