// SPDX-License-Identifier: Apache-2.0
#include "runtime/actor/timers.h"

#include <gtest/gtest.h>

namespace baton {
namespace {

Time at(int ns) { return Time{Duration{ns}}; }

TEST(Timers, PopsInOrderOfDeadlineAndOnlyWhatIsDue) {
  Timers<int> timers;
  timers.set(1, at(30));
  timers.set(2, at(10));
  timers.set(3, at(20));
  EXPECT_EQ(timers.next(), at(10));
  EXPECT_EQ(timers.pop_due(at(20)), 2);
  EXPECT_EQ(timers.pop_due(at(20)), 3);
  EXPECT_EQ(timers.pop_due(at(20)), std::nullopt);
  EXPECT_EQ(timers.next(), at(30));
}

TEST(Timers, RenewingALeaseMovesItsDeadlineBothWays) {
  Timers<int> timers;
  timers.set(1, at(10));
  timers.set(1, at(50));
  EXPECT_EQ(timers.pop_due(at(49)), std::nullopt);
  timers.set(1, at(20));
  EXPECT_EQ(timers.pop_due(at(20)), 1);
  EXPECT_EQ(timers.next(), kNever);
}

TEST(Timers, ACancelledKeyNeverFiresAndTheHeapStaysBounded) {
  Timers<int> timers;
  for (int i = 0; i < 10000; ++i) timers.set(7, at(i + 1));
  timers.cancel(7);
  EXPECT_EQ(timers.pop_due(at(20000)), std::nullopt);
  EXPECT_EQ(timers.size(), 0u);
}

}  // namespace
}  // namespace baton
