// SPDX-License-Identifier: Apache-2.0
#include "config/memory.h"

#include <gtest/gtest.h>

namespace baton {
namespace {

TEST(Memory, ReadsTheLineOfMeminfo) {
  EXPECT_EQ(available_in("MemTotal:       24684096 kB\nMemAvailable:   1000 kB\nBuffers: 5 kB\n"), 1'024'000u);
  EXPECT_EQ(available_in("MemAvailable:"), 0u);
  EXPECT_EQ(available_in("MemAvailable: x kB"), 0u);
  EXPECT_EQ(available_in(""), 0u);
  EXPECT_GT(available_memory(), 0u);
}

}  // namespace
}  // namespace baton
