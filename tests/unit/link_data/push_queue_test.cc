// SPDX-License-Identifier: Apache-2.0
#include "runtime/link/push_queue.h"

#include <gtest/gtest.h>

namespace baton {
namespace {

constexpr PeerKey kA{NodeId{1}, Incarnation{1}};
constexpr PeerKey kB{NodeId{2}, Incarnation{1}};
constexpr TransferId kId{1, 1};

std::vector<Piece> pieces(std::uint32_t count) {
  std::vector<Piece> list;
  for (std::uint32_t i = 0; i < count; ++i) list.push_back({i * 10, 10, i, 1});
  return list;
}

TEST(PushQueue, PostsInOrderWithinTheWindowAndEndsATicketOnce) {
  PushQueue queue(1000, 2);
  EXPECT_FALSE(queue.push(7, kA, kId, pieces(3)).has_value());
  const auto first = queue.next(kA);
  const auto second = queue.next(kA);
  ASSERT_TRUE(first && second);
  EXPECT_EQ(first->piece.first_place, 0u);
  EXPECT_FALSE(queue.next(kA).has_value());
  EXPECT_FALSE(queue.finished(second->operation, true, "").has_value());
  const auto third = queue.next(kA);
  ASSERT_TRUE(third.has_value());
  EXPECT_FALSE(queue.finished(third->operation, true, "").has_value());
  const auto done = queue.finished(first->operation, true, "");
  ASSERT_TRUE(done.has_value());
  EXPECT_TRUE(done->ok);
  EXPECT_EQ(done->ticket, 7u);
  EXPECT_TRUE(queue.empty());
  EXPECT_EQ(queue.in_flight(), 0u);
}

TEST(PushQueue, TheFirstFailureDecidesAndDropsTheRest) {
  PushQueue queue(1000, 2);
  ASSERT_FALSE(queue.push(7, kA, kId, pieces(5)).has_value());
  const auto first = queue.next(kA);
  const auto second = queue.next(kA);
  ASSERT_FALSE(queue.finished(first->operation, false, "refused").has_value());
  EXPECT_FALSE(queue.waiting(kA));
  const auto done = queue.finished(second->operation, false, "broken");
  ASSERT_TRUE(done.has_value());
  EXPECT_FALSE(done->ok);
  EXPECT_EQ(done->reason, "refused");
}

TEST(PushQueue, WindowsAreOfOnePeer) {
  PushQueue queue(1000, 1);
  ASSERT_FALSE(queue.push(1, kA, kId, pieces(2)).has_value());
  ASSERT_FALSE(queue.push(2, kB, kId, pieces(2)).has_value());
  EXPECT_TRUE(queue.next(kA).has_value());
  EXPECT_TRUE(queue.next(kB).has_value());
  EXPECT_FALSE(queue.next(kA).has_value());
  EXPECT_EQ(queue.readers(kId), (std::vector{kA, kB}));
}

TEST(PushQueue, AbandonDropsWhatIsNotPosted) {
  PushQueue queue(1000, 1);
  ASSERT_FALSE(queue.push(1, kA, kId, pieces(3)).has_value());
  ASSERT_FALSE(queue.push(2, kA, kId, pieces(3)).has_value());
  ASSERT_FALSE(queue.push(3, kA, TransferId{2, 2}, pieces(1)).has_value());
  const auto posted = queue.next(kA);
  const auto ended = queue.abandon(kId, "abandoned");
  ASSERT_EQ(ended.size(), 1u);
  EXPECT_EQ(ended[0].ticket, 2u);
  EXPECT_EQ(queue.readers(kId), std::vector{kA});
  const auto done = queue.finished(posted->operation, true, "");
  ASSERT_TRUE(done.has_value());
  EXPECT_FALSE(done->ok);  // its other pieces never went
  const auto other = queue.next(kA);
  ASSERT_TRUE(other.has_value());
  EXPECT_EQ(other->transfer, (TransferId{2, 2}));
}

TEST(PushQueue, ATicketWithEverythingPostedMaySurviveTheLossOfItsPeersQueue) {
  PushQueue queue(1000, 4);
  ASSERT_FALSE(queue.push(1, kA, kId, pieces(1)).has_value());
  const auto posted = queue.next(kA);
  EXPECT_TRUE(queue.drop(kA, "gone").empty());
  const auto done = queue.finished(posted->operation, true, "");
  ASSERT_TRUE(done.has_value());
  EXPECT_TRUE(done->ok);
}

TEST(PushQueue, RefusesSourcesOutsideThePool) {
  PushQueue queue(1000, 4);
  for (const Piece& wrong : {Piece{1000, 1, 0, 1}, Piece{999, 2, 0, 1}, Piece{~std::uint64_t{0}, 2, 0, 1}, Piece{0, 0, 0, 1}}) {
    const auto done = queue.push(1, kA, kId, {wrong});
    ASSERT_TRUE(done.has_value());
    EXPECT_FALSE(done->ok);
  }
  EXPECT_TRUE(queue.push(1, kA, kId, {})->ok);
  EXPECT_TRUE(queue.empty());
}

}  // namespace
}  // namespace baton
