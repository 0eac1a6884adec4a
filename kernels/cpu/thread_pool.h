// SPDX-License-Identifier: Apache-2.0
// ThreadPool: splits loops of a step over a few threads. The calling thread works too and is "thread 0", so a pool of one
// has no threads of its own. Pieces are handed out by an atomic counter: which thread computes a piece is not
// determined, so a piece's result must not depend on it. Idle workers spin for some tens of microseconds (the gap
// between two loops of a step) and then sleep in the kernel. The caller never waits for a worker that has not started on
// the loop: a late one finds it closed.
// One caller at a time (the engine thread). Owns its threads; the destructor joins them.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <thread>
#include <vector>

namespace baton {

class ThreadPool {
 public:
  // `first_cpu`: pin worker i to CPU first_cpu + i (the caller, worker 0, is not moved). Several engines share a machine,
  // so whoever starts them says which CPUs are whose; without it nothing is pinned.
  explicit ThreadPool(std::uint32_t threads, std::optional<std::uint32_t> first_cpu = std::nullopt);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  std::uint32_t threads() const { return static_cast<std::uint32_t>(workers_.size()) + 1; }

  // body(begin, end, thread) over [0, items) in pieces of `grain`; returns when all are done. Not to be nested.
  template <class Body>
  void parallel_for(std::uint32_t items, std::uint32_t grain, const Body& body) {
    if (workers_.empty() || items <= grain) {
      if (items > 0) body(std::uint32_t{0}, items, std::uint32_t{0});
      return;
    }
    run(Loop{[](const void* context, std::uint32_t begin, std::uint32_t end, std::uint32_t thread) {
               (*static_cast<const Body*>(context))(begin, end, thread);
             },
             &body, items, grain});
  }

 private:
  struct Loop {
    void (*call)(const void* context, std::uint32_t begin, std::uint32_t end, std::uint32_t thread) = nullptr;
    const void* context = nullptr;
    std::uint32_t items = 0;
    std::uint32_t grain = 1;
  };

  void run(const Loop& loop);
  void work(std::uint32_t thread);
  void take_pieces(std::uint32_t thread);
  bool enter();

  static constexpr std::uint32_t kOpen = 1u << 31;

  std::vector<std::thread> workers_;
  Loop loop_;                                       // written while closed and nobody is inside
  alignas(64) std::atomic<std::uint32_t> next_{0};  // first item not handed out
  alignas(64) std::atomic<std::uint32_t> state_{0};  // kOpen | number of workers inside the loop
  alignas(64) std::atomic<std::uint32_t> generation_{0};  // counts loops; workers sleep on it
  std::atomic<bool> stopping_{false};
};

}  // namespace baton
