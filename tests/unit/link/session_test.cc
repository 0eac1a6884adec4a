// SPDX-License-Identifier: Apache-2.0
#include "runtime/link/session.h"

#include <gtest/gtest.h>

#include "runtime/base/random.h"

namespace baton {
namespace {

FrameMessage text(std::uint64_t number, std::size_t bytes = 0) {
  return {0, 0, 0, 0, {1, std::to_string(number) + std::string(bytes, ' ')}};
}
MessageBatch texts(std::uint64_t first, std::uint64_t last) {
  std::string bytes;
  for (std::uint64_t n = first; n <= last; ++n) append_message(bytes, text(n));
  return MessageBatch(bytes, last - first + 1);
}
std::vector<std::string> contents(const Session::Accepted& accepted) {
  std::vector<std::string> all;
  for (const MessageBatch& batch : accepted.batches)
    for (std::size_t i = 0; i < batch.size(); ++i) all.emplace_back(batch[i].payload.bytes);
  return all;
}

TEST(Session, RefusesBeyondItsBoundsInMessagesAndBytes) {
  SessionLimits limits;
  limits.queue_messages_max = 3;
  limits.queue_bytes_max = 1000;
  BufferPool pool;
  Session session(limits, pool);
  EXPECT_TRUE(session.push(text(1)));
  EXPECT_FALSE(session.push(text(2, 1000)));
  EXPECT_TRUE(session.push(text(2)));
  EXPECT_TRUE(session.push(text(3)));
  EXPECT_FALSE(session.push(text(4)));
}

TEST(Session, RewindingSendsAgainAndAcknowledgementsStillCount) {
  BufferPool pool;
  Session session(SessionLimits{}, pool);
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

// Against a plain list of the messages: whatever is sent, acknowledged, sent again and pushed in between.
TEST(Session, FramesHoldExactlyWhatFollowsTheCursor) {
  Random random(7);
  FrameHeader header;
  header.source = header.destination = NodeId{1};
  header.source_incarnation = Incarnation{1};
  header.challenge = header.first_sequence = 1;
  for (int round = 0; round < 300; ++round) {
    BufferPool pool;
    Session session(SessionLimits{}, pool);
    std::vector<std::string> all;
    std::size_t acknowledged = 0, sent = 0, most = 0;
    const std::size_t size = random.below(3) == 0 ? 30'000 : 200;
    for (int step = 0; step < 60; ++step) {
      for (std::uint64_t n = random.below(40); n > 0; --n) {
        all.push_back(std::to_string(all.size()) + std::string(random.below(size), ' '));
        ASSERT_TRUE(session.push({0, 0, 0, 0, {1, all.back()}}));
      }
      ASSERT_EQ(session.queued(), all.size() - acknowledged);
      ASSERT_EQ(session.ready(), sent < all.size());
      const bool oldest = random.below(4) == 0;
      FrameWriter frame(header);
      const std::size_t count = oldest ? session.fill_oldest(frame) : session.fill(frame);
      const std::size_t from = oldest ? acknowledged : sent;
      ASSERT_EQ(count == 0, from == all.size());
      const std::string bytes = frame.take();
      if (count > 0) {
        const Result<Frame> read = decode_frame(bytes);
        ASSERT_TRUE(read) << read.error().message;
        ASSERT_EQ(read->messages.size(), count);
        ASSERT_TRUE(bytes.size() <= kFrameBytesTarget || count == 1);
        for (std::size_t i = 0; i < count; ++i) ASSERT_EQ(read->messages[i].payload.bytes, all[from + i]);
      }
      if (!oldest) {
        session.mark_sent(count);
        sent += count;
        most = std::max(most, sent);
      }
      if (random.below(8) == 0) {
        session.rewind();
        sent = acknowledged;
      }
      if (const std::size_t ack = acknowledged + random.below(most - acknowledged + 1); ack > acknowledged && random.below(2) == 0) {
        ASSERT_TRUE(session.acknowledge(ack));
        acknowledged = ack;
        sent = std::max(sent, ack);
      }
    }
  }
}

TEST(Session, HeldFramesAreBounded) {
  SessionLimits limits;
  limits.held_frames_max = 2;
  BufferPool pool;
  Session session(limits, pool);
  EXPECT_FALSE(session.accept(3, texts(3, 3)).dropped);
  EXPECT_FALSE(session.accept(5, texts(5, 5)).dropped);
  EXPECT_TRUE(session.accept(7, texts(7, 7)).dropped);
  EXPECT_EQ(contents(session.accept(1, texts(1, 2))), (std::vector<std::string>{"1", "2", "3"}));
  EXPECT_TRUE(session.gap());
}

TEST(Session, AnyMixOfPiecesIsHandedOnOnceAndInOrder) {
  Random random(5);
  for (int round = 0; round < 200; ++round) {
    BufferPool pool;
    Session session(SessionLimits{}, pool);
    std::uint64_t next = 1;
    while (next <= 50) {
      const std::uint64_t first = 1 + random.below(50);
      const std::uint64_t last = std::min<std::uint64_t>(50, first + random.below(8));
      for (const std::string& content : contents(session.accept(first, texts(first, last)))) {
        ASSERT_EQ(content, std::to_string(next));
        ++next;
      }
      ASSERT_EQ(session.received(), next - 1);
    }
    EXPECT_FALSE(session.gap());
  }
}

}  // namespace
}  // namespace baton
