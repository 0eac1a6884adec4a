// SPDX-License-Identifier: Apache-2.0
#include "runtime/link/session.h"

#include <gtest/gtest.h>

#include "runtime/base/random.h"

namespace baton {
namespace {

FrameMessage text(std::uint64_t number, std::size_t bytes = 0) {
  return {0, 0, 0, 0, {1, std::to_string(number) + std::string(bytes, ' ')}};
}
std::vector<FrameMessage> texts(std::uint64_t first, std::uint64_t last) {
  std::vector<FrameMessage> all;
  for (std::uint64_t n = first; n <= last; ++n) all.push_back(text(n));
  return all;
}

TEST(Session, RefusesBeyondItsBoundsInMessagesAndBytes) {
  SessionLimits limits;
  limits.queue_messages_max = 3;
  limits.queue_bytes_max = 1000;
  Session session(limits);
  EXPECT_TRUE(session.push(text(1)));
  EXPECT_FALSE(session.push(text(2, 1000)));
  EXPECT_TRUE(session.push(text(2)));
  EXPECT_TRUE(session.push(text(3)));
  EXPECT_FALSE(session.push(text(4)));
}

TEST(Session, RewindingSendsAgainAndAcknowledgementsStillCount) {
  Session session(SessionLimits{});
  for (std::uint64_t n = 1; n <= 5; ++n) session.push(text(n));
  session.mark_sent(5);
  session.rewind();
  EXPECT_TRUE(session.ready());
  EXPECT_EQ(session.cursor_sequence(), 1u);
  EXPECT_TRUE(session.acknowledge(4)) << "sent before the rewind";
  EXPECT_EQ(session.cursor_sequence(), 5u);
  EXPECT_FALSE(session.acknowledge(4));
  EXPECT_FALSE(session.acknowledge(6));
  EXPECT_TRUE(session.acknowledge(5));
  EXPECT_TRUE(session.empty());
}

TEST(Session, HeldFramesAreBounded) {
  SessionLimits limits;
  limits.held_frames_max = 2;
  Session session(limits);
  EXPECT_FALSE(session.accept(3, texts(3, 3)).dropped);
  EXPECT_FALSE(session.accept(5, texts(5, 5)).dropped);
  EXPECT_TRUE(session.accept(7, texts(7, 7)).dropped);
  EXPECT_EQ(session.accept(1, texts(1, 2)).messages.size(), 3u);
  EXPECT_TRUE(session.gap());
}

TEST(Session, AnyMixOfPiecesIsHandedOnOnceAndInOrder) {
  Random random(5);
  for (int round = 0; round < 200; ++round) {
    Session session(SessionLimits{});
    std::uint64_t next = 1;
    while (next <= 50) {
      const std::uint64_t first = 1 + random.below(50);
      const std::uint64_t last = std::min<std::uint64_t>(50, first + random.below(8));
      for (const FrameMessage& message : session.accept(first, texts(first, last)).messages) {
        ASSERT_EQ(message.payload.bytes, std::to_string(next));
        ++next;
      }
      ASSERT_EQ(session.received(), next - 1);
    }
    EXPECT_FALSE(session.gap());
  }
}

}  // namespace
}  // namespace baton
