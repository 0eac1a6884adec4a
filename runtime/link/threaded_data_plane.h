// SPDX-License-Identifier: Apache-2.0
// ThreadedDataPlane: the DataPlane between processes: PlaneCore's rules, PathWorker's transports (UCX, sockets), one data thread
// that owns both. It allocates and owns the pool. The thread spins while pieces are moving and sleeps otherwise. Calls from the
// actor's thread are queued and wake it; events leave on the data thread. What is bounded: see PlaneCore.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "runtime/base/result.h"
#include "runtime/link/data_plane.h"
#include "runtime/link/plane_core.h"
#include "runtime/link/path_worker.h"

namespace baton {

struct ThreadedPlaneOptions {
  std::string interface_name = "lo";
  std::string node_name;                                 // processes of different nodes never share memory
  std::vector<std::string> transports = {"shm", "tcp"};  // those allowed to carry bytes, see PathWorkerOptions
  PeerKey self;
  std::uint64_t pool_bytes = 0;
  DataPlaneSink sink;  // called on the data thread; must not block
  PlaceDigest digest;  // called on the data thread; may be empty (digests are 0)
  Duration grace = std::chrono::milliseconds(200);  // from close or abandon to tearing the connection down
  std::uint32_t pieces_in_flight = 64;              // per peer
};

class ThreadedDataPlane final : public DataPlane {
 public:
  static Result<std::unique_ptr<ThreadedDataPlane>> create(ThreadedPlaneOptions options);
  // Ends every transfer and push (their events still come), then the thread. Nothing of the pool is used afterwards.
  ~ThreadedDataPlane() override;

  // Zero-filled at first; lives as long as this object.
  std::span<std::byte> pool() const { return paths_->pool(); }

  const std::string& address() const override { return paths_->address(); }
  void open(const TransferId& transfer, const PeerKey& from, std::vector<Place> places, Duration time_limit) override;
  void close(const TransferId& transfer) override;
  void connect(const PeerKey& peer, const std::string& address) override;
  void disconnect(const PeerKey& peer) override;
  void push(std::uint64_t ticket, const PeerKey& to, const TransferId& transfer, std::vector<Piece> pieces) override;
  void abandon(const TransferId& transfer) override;
  std::string transport(const PeerKey& peer) const override;

  // Taken when the data thread last went to sleep. Any thread.
  struct Stats {
    PlaneCore::Stats plane;
    std::uint64_t endpoints = 0;
    std::uint64_t sleeps = 0;
  };
  Stats stats() const;

 private:
  explicit ThreadedDataPlane(ThreadedPlaneOptions options);
  using Commands = std::vector<std::function<void()>>;
  void post(Commands& queue, std::function<void()> command);
  void run();
  bool take_commands();
  void take_opens();
  void sleep();
  void publish();

  PlaneCore core_;  // the data thread's
  std::unique_ptr<PathWorker> paths_;
  int wake_fd_ = -1;
  bool stopping_ = false;     // the data thread's
  std::uint64_t sleeps_ = 0;  // the data thread's
  std::uint64_t transports_seen_ = 0;

  mutable std::mutex mutex_;  // guards the next four
  Commands opens_;            // taken before commands_, and when a piece of an unknown transfer arrives
  Commands commands_;
  std::map<PeerKey, std::string> transports_;
  Stats published_;

  std::thread thread_;
};

}  // namespace baton
