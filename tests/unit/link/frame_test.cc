// SPDX-License-Identifier: Apache-2.0
#include "runtime/link/frame.h"

#include <gtest/gtest.h>

#include <cstring>

#include "runtime/base/random.h"

namespace baton {
namespace {

FrameHeader some_header() {
  FrameHeader header;
  header.flags = kFrameHello | kFrameGap;
  header.source = NodeId{11};
  header.source_incarnation = Incarnation{12};
  header.destination = NodeId{13};
  header.destination_incarnation = Incarnation{14};
  header.first_sequence = 15;
  header.ack = 16;
  header.challenge = 17;
  header.echo = 18;
  return header;
}

std::string some_frame(int messages) {
  FrameHeader header = some_header();
  if (messages == 0) header.first_sequence = 0;
  FrameWriter frame(header);
  for (int i = 0; i < messages; ++i) {
    const auto n = static_cast<std::uint32_t>(i);
    frame.add({n, n + 1, n + 2, n + 3, PayloadView(static_cast<std::uint16_t>(i + 1), std::string(static_cast<std::size_t>(i * 7), 'x'))});
  }
  return frame.take();
}

TEST(Frame, WhatIsWrittenIsRead) {
  const std::string bytes = some_frame(3);
  EXPECT_EQ(bytes.size(), kFrameHeaderBytes + 3 * kMessageHeaderBytes + 7 + 14);
  const Result<Frame> frame = decode_frame(bytes);
  ASSERT_TRUE(frame) << frame.error().message;
  EXPECT_EQ(frame->header.flags, kFrameHello | kFrameGap);
  EXPECT_EQ(frame->header.source, NodeId{11});
  EXPECT_EQ(frame->header.source_incarnation, Incarnation{12});
  EXPECT_EQ(frame->header.destination, NodeId{13});
  EXPECT_EQ(frame->header.destination_incarnation, Incarnation{14});
  EXPECT_EQ(frame->header.first_sequence, 15u);
  EXPECT_EQ(frame->header.ack, 16u);
  EXPECT_EQ(frame->header.challenge, 17u);
  EXPECT_EQ(frame->header.echo, 18u);
  ASSERT_EQ(frame->messages.size(), 3u);
  EXPECT_EQ(frame->messages[2].source_slot, 2u);
  EXPECT_EQ(frame->messages[2].source_generation, 3u);
  EXPECT_EQ(frame->messages[2].destination_slot, 4u);
  EXPECT_EQ(frame->messages[2].destination_generation, 5u);
  EXPECT_EQ(frame->messages[2].payload.kind, 3u);
  EXPECT_EQ(frame->messages[2].payload.bytes, std::string(14, 'x'));
}

// The layout is the wire: a change of it needs a new version.
TEST(Frame, TheLayoutIsTheDocumentedOne) {
  const std::string bytes = some_frame(1);
  const auto at = [&](std::size_t offset) { return static_cast<unsigned char>(bytes[offset]); };
  EXPECT_EQ(bytes.substr(0, 4), "BATN");
  EXPECT_EQ(at(4), 1);
  EXPECT_EQ(at(6), kFrameHello | kFrameGap);
  for (int field = 0; field < 8; ++field) EXPECT_EQ(at(8 + 8 * static_cast<std::size_t>(field)), 11 + field);
  EXPECT_EQ(at(72), 1);
}

TEST(Frame, EveryTruncationAndEveryExtensionIsRefused) {
  const std::string bytes = some_frame(3);
  for (std::size_t size = 0; size < bytes.size(); ++size) EXPECT_FALSE(decode_frame(std::string_view(bytes).substr(0, size)));
  EXPECT_FALSE(decode_frame(bytes + '\0'));
  EXPECT_FALSE(decode_frame(std::string(kFrameBytesMax + 1, '\0')));
}

TEST(Frame, LyingLengthsAreRefusedBeforeAnythingIsAllocated) {
  const auto with = [](std::size_t offset, std::uint32_t value) {
    std::string bytes = some_frame(2);
    std::memcpy(bytes.data() + offset, &value, sizeof value);
    return bytes;
  };
  EXPECT_FALSE(decode_frame(with(72, 0xffffffff)));
  EXPECT_FALSE(decode_frame(with(72, 3)));
  EXPECT_FALSE(decode_frame(with(72, 1)));
  EXPECT_FALSE(decode_frame(with(72, 0)));
  EXPECT_FALSE(decode_frame(with(kFrameHeaderBytes, 0xffffffff)));
  EXPECT_FALSE(decode_frame(with(76, 1))) << "reserved";
}

TEST(Frame, HeadersWithoutMeaningAreRefused) {
  const auto refused = [](auto change) {
    FrameHeader header = some_header();
    header.first_sequence = 0;
    change(header);
    return !decode_frame(FrameWriter(header).take());
  };
  EXPECT_FALSE(refused([](FrameHeader&) {}));
  EXPECT_TRUE(refused([](FrameHeader& h) { h.source.value = 0; }));
  EXPECT_TRUE(refused([](FrameHeader& h) { h.source_incarnation.value = 0; }));
  EXPECT_TRUE(refused([](FrameHeader& h) { h.destination.value = 0; }));
  EXPECT_TRUE(refused([](FrameHeader& h) { h.challenge = 0; }));
  EXPECT_TRUE(refused([](FrameHeader& h) { h.flags = 0x80; }));
  EXPECT_TRUE(refused([](FrameHeader& h) { h.flags = kFrameFenced; }));
  EXPECT_TRUE(refused([](FrameHeader& h) { h.first_sequence = 1; }));
}

TEST(Frame, RandomMutationsNeverCrashAndWhatDecodesEncodesToTheSameBytes) {
  Random random(1);
  int accepted = 0;
  for (int round = 0; round < 200'000; ++round) {
    std::string bytes = some_frame(static_cast<int>(random.below(4)));
    for (std::uint64_t changes = random.below(4); changes > 0; --changes) {
      const std::size_t at = random.below(bytes.size());
      switch (random.below(4)) {
        case 0: bytes[at] = static_cast<char>(random.next()); break;
        case 1: bytes[at] = static_cast<char>(bytes[at] ^ (1 << random.below(8))); break;
        case 2: bytes.resize(at); break;
        case 3: bytes.insert(at, 1 + random.below(8), static_cast<char>(random.next())); break;
      }
      if (bytes.empty()) break;
    }
    const Result<Frame> frame = decode_frame(bytes);
    if (!frame) continue;
    ++accepted;
    FrameWriter again(frame->header);
    for (std::size_t i = 0; i < frame->messages.size(); ++i) again.add(frame->messages[i]);
    ASSERT_EQ(again.take(), bytes);
  }
  EXPECT_GT(accepted, 10'000);
}

}  // namespace
}  // namespace baton
