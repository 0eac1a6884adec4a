// SPDX-License-Identifier: Apache-2.0
#include "runtime/actor/mailbox.h"

#include <gtest/gtest.h>

#include <array>
#include <deque>
#include <memory>

#include "runtime/base/random.h"

namespace baton {
namespace {

struct Small {
  static constexpr std::uint16_t kKind = 5;
  std::shared_ptr<int> value;
};
struct Big {
  std::shared_ptr<int> value;
  std::array<char, 1000> rest;
};

TEST(Mailbox, GivesBackInOrderWhatWasPutInWhereItLiesAndDestroysEachOnce) {
  Random random(3);
  const auto alive = std::make_shared<int>(0);
  for (int round = 0; round < 30; ++round) {
    Mailbox mailbox;
    std::deque<std::uint32_t> expected;
    std::uint32_t next = 0;
    const std::uint64_t pushes = 1 + random.below(4);  // of 4: the box fills, or empties again and again
    for (int step = 0; step < 20'000; ++step) {
      if (random.below(6) < pushes) {
        const LocalAddress address{next, 1, 2, 3};
        next % 3 == 0 ? mailbox.push(Big{alive, {}}, address) : mailbox.push(Small{alive}, address);
        expected.push_back(next++);
      } else if (!expected.empty()) {
        Mailbox::Record& record = mailbox.front();
        ASSERT_EQ(record.address.source_slot, expected.front());
        if (expected.front() % 3 == 0) {
          ASSERT_NE(record.as<Big>(), nullptr);
          ASSERT_EQ(record.type->kind, 0);
        } else {
          ASSERT_EQ(record.as<Big>(), nullptr);
          ASSERT_EQ(record.as<Small>()->value, alive);
          ASSERT_EQ(record.type->kind, Small::kKind);
        }
        mailbox.pop();
        expected.pop_front();
      }
      ASSERT_EQ(mailbox.size(), expected.size());
      ASSERT_EQ(static_cast<std::size_t>(alive.use_count()), 1 + expected.size());
    }
  }
  EXPECT_EQ(alive.use_count(), 1) << "what was left has been destroyed with the box";
}

}  // namespace
}  // namespace baton
