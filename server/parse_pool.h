// SPDX-License-Identifier: Apache-2.0
// ParsePool: threads for the part of a request that takes long and touches nothing shared: reading its body, rendering its
// template, tokenising. Owns its threads ("baton-parse"); a bounded queue between. Constructed, used and destroyed on one thread.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace baton {

class ParsePool {
 public:
  ParsePool(unsigned threads, std::size_t queue_max, std::size_t bytes_max);
  ~ParsePool();  // what has not begun is dropped; waits for what has
  ParsePool(const ParsePool&) = delete;
  ParsePool& operator=(const ParsePool&) = delete;

  // False: the queue is full, or works that hold `bytes_max` in all wait or run. `work` runs, and is destroyed, on a thread of
  // the pool; what it throws is logged, and nobody told: it answers for its failures itself. `bytes`: what it holds until then.
  bool run(std::function<void()> work, std::size_t bytes);

 private:
  struct Work {
    std::function<void()> run;
    std::size_t bytes = 0;
  };
  void serve();

  const std::size_t queue_max_;
  const std::size_t bytes_max_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Work> waiting_;  // under the mutex
  std::size_t bytes_ = 0;     // of those that wait or run; under the mutex
  bool ends_ = false;         // under the mutex
  std::vector<std::thread> threads_;
};

}  // namespace baton
