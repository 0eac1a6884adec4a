// SPDX-License-Identifier: Apache-2.0
#include "server/parse_pool.h"

#include <utility>

#include "runtime/base/thread_name.h"
#include "server/guarded.h"

namespace baton {

ParsePool::ParsePool(unsigned threads, std::size_t queue_max, std::size_t bytes_max) : queue_max_(queue_max), bytes_max_(bytes_max) {
  for (unsigned i = 0; i < threads; ++i) threads_.emplace_back([this] { serve(); });
}

ParsePool::~ParsePool() {
  {
    const std::lock_guard lock(mutex_);
    ends_ = true;
    waiting_.clear();
  }
  changed_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

bool ParsePool::run(std::function<void()> work, std::size_t bytes) {
  {
    const std::lock_guard lock(mutex_);
    if (waiting_.size() >= queue_max_ || bytes > bytes_max_ - bytes_) return false;
    waiting_.push_back({std::move(work), bytes});
    bytes_ += bytes;
  }
  changed_.notify_one();
  return true;
}

void ParsePool::serve() {
  name_this_thread("baton-parse");
  for (;;) {
    Work work;
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return ends_ || !waiting_.empty(); });
      if (ends_) return;
      work = std::move(waiting_.front());
      waiting_.pop_front();
    }
    run_guarded("work of the pool", work.run);
    work.run = nullptr;
    const std::lock_guard lock(mutex_);
    bytes_ -= work.bytes;
  }
}

}  // namespace baton
