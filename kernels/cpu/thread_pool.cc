// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/thread_pool.h"

#include <pthread.h>
#include <sched.h>

#include <string>

#include "runtime/base/check.h"
#include "runtime/base/thread_name.h"

namespace baton {
namespace {

constexpr int kSpins = 3000;  // some tens of microseconds

void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

void pin(std::thread& thread, std::uint32_t cpu) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(cpu % CPU_SETSIZE, &set);
  // A CPU that is not there, or not ours to use, leaves the thread where it is: slower, never wrong.
  (void)pthread_setaffinity_np(thread.native_handle(), sizeof set, &set);
}

}  // namespace

ThreadPool::ThreadPool(std::uint32_t threads, std::optional<std::uint32_t> first_cpu) {
  CHECK(threads >= 1 && threads <= 1024);
  for (std::uint32_t i = 1; i < threads; ++i) {
    workers_.emplace_back([this, i] { work(i); });
    if (first_cpu) pin(workers_.back(), *first_cpu + i);
  }
}

ThreadPool::~ThreadPool() {
  stopping_.store(true, std::memory_order_release);
  generation_.fetch_add(1, std::memory_order_release);
  generation_.notify_all();
  for (std::thread& worker : workers_) worker.join();
}

void ThreadPool::run(const Loop& loop) {
  loop_ = loop;
  next_.store(0, std::memory_order_relaxed);
  state_.store(kOpen, std::memory_order_release);
  generation_.fetch_add(1, std::memory_order_release);
  generation_.notify_all();
  take_pieces(0);
  // Nothing is left to hand out: close, then wait for those still inside their last piece.
  std::uint32_t state = state_.fetch_and(~kOpen, std::memory_order_acq_rel) & ~kOpen;
  for (int spin = 0; state != 0; state = state_.load(std::memory_order_acquire)) {
    if (++spin < kSpins)
      pause();
    else
      state_.wait(state, std::memory_order_acquire);
  }
}

bool ThreadPool::enter() {
  std::uint32_t state = state_.load(std::memory_order_acquire);
  while ((state & kOpen) != 0)
    if (state_.compare_exchange_weak(state, state + 1, std::memory_order_acq_rel, std::memory_order_acquire)) return true;
  return false;
}

void ThreadPool::take_pieces(std::uint32_t thread) {
  const Loop loop = loop_;
  for (;;) {
    const std::uint32_t begin = next_.fetch_add(loop.grain, std::memory_order_relaxed);
    if (begin >= loop.items) return;
    const std::uint32_t end = loop.items - begin < loop.grain ? loop.items : begin + loop.grain;
    loop.call(loop.context, begin, end, thread);
  }
}

void ThreadPool::work(std::uint32_t thread) {
  name_this_thread(("baton-kernel-" + std::to_string(thread)).c_str());
  std::uint32_t seen = 0;
  for (;;) {
    std::uint32_t now = generation_.load(std::memory_order_acquire);
    for (int spin = 0; now == seen; now = generation_.load(std::memory_order_acquire)) {
      if (++spin < kSpins)
        pause();
      else
        generation_.wait(seen, std::memory_order_acquire);
    }
    seen = now;
    if (stopping_.load(std::memory_order_acquire)) return;
    if (!enter()) continue;
    take_pieces(thread);
    if (state_.fetch_sub(1, std::memory_order_acq_rel) == 1) state_.notify_all();  // the last one out of a closed loop
  }
}

}  // namespace baton
