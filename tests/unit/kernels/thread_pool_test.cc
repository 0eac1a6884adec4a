// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/thread_pool.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <chrono>

namespace baton {
namespace {

TEST(ThreadPool, EveryItemIsDoneExactlyOnceInManyShortLoops) {
  for (const std::uint32_t threads : {1u, 2u, 4u}) {
    ThreadPool pool(threads);
    EXPECT_EQ(pool.threads(), threads);
    std::vector<std::uint32_t> done(97);
    for (std::uint32_t loop = 1; loop <= 500; ++loop) {
      pool.parallel_for(static_cast<std::uint32_t>(done.size()), 1 + loop % 13, [&](std::uint32_t begin, std::uint32_t end, std::uint32_t thread) {
        ASSERT_LT(thread, threads);
        for (std::uint32_t i = begin; i < end; ++i) ++done[i];  // distinct items: no two threads touch the same
      });
      for (const std::uint32_t count : done) ASSERT_EQ(count, loop);
    }
  }
}

TEST(ThreadPool, NothingToDoRunsNothing) {
  ThreadPool pool(2);
  pool.parallel_for(0, 1, [](std::uint32_t, std::uint32_t, std::uint32_t) { FAIL(); });
}

double cpu_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) { return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec); };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

TEST(ThreadPool, IdleThreadsSleep) {
  ThreadPool pool(4);
  pool.parallel_for(64, 1, [](std::uint32_t, std::uint32_t, std::uint32_t) {});
  std::this_thread::sleep_for(std::chrono::milliseconds(20));  // past the spinning
  const double before = cpu_seconds();
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  EXPECT_LT(cpu_seconds() - before, 0.05);
}

}  // namespace
}  // namespace baton
