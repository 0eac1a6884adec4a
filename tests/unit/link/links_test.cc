// SPDX-License-Identifier: Apache-2.0
// Links alone: two of them, or one and a script, over a channel that the test carries by hand.
#include "runtime/link/links.h"

#include <gtest/gtest.h>

#include <deque>
#include <map>

#include "runtime/base/check.h"

namespace baton {
namespace {
using namespace std::chrono_literals;

// Every connection of a wire is known to both ends by one number; frames lie in `carried` until the test moves them.
struct Wire;
struct HandChannel final : Channel {
  HandChannel(Wire& w, int s) : wire(w), side(s) {}
  Result<ConnectionId> connect(const std::string& address) override;
  bool send(ConnectionId to, std::string_view frame) override;
  void close(ConnectionId connection) override { closed.push_back(connection); }
  void set_receiver(std::function<void(ConnectionId, std::string_view)>) override {}
  Wire& wire;
  const int side;
  bool refuses = false;
  std::vector<ConnectionId> closed;
};
struct Wire {
  struct Carried {
    int to;
    ConnectionId connection;
    std::string bytes;
  };
  std::deque<Carried> carried;
  ConnectionId connections = 0;
};
Result<ConnectionId> HandChannel::connect(const std::string& address) {
  if (address == "bad") return fail(ErrorCode::kInvalidArgument, "bad");
  return ++wire.connections;
}
bool HandChannel::send(ConnectionId to, std::string_view frame) {
  if (refuses) return false;
  wire.carried.push_back({1 - side, to, std::string(frame)});
  return true;
}

class LinksPair : public ::testing::Test {
 protected:
  static constexpr NodeId kA{1};
  static constexpr NodeId kB{2};

  void carry() {
    for (int rounds = 0; rounds < 1000 && !wire.carried.empty(); ++rounds) {
      const Wire::Carried frame = wire.carried.front();
      wire.carried.pop_front();
      Links& to = frame.to == 0 ? a : b;
      to.receive(now, frame.connection, frame.bytes);
      a.flush(now);
      b.flush(now);
    }
    ASSERT_TRUE(wire.carried.empty()) << "they never stop talking";
  }
  void pass(Duration duration) {
    now += duration;
    a.advance(now);
    b.advance(now);
    a.flush(now);
    b.flush(now);
  }
  void send(Links& from, NodeId to, const std::string& text, Incarnation incarnation = {}) {
    from.send(now, {to, incarnation, 1, 0}, {3, 4, 0, 0, {1, text}});
    from.flush(now);
  }
  void connect() {
    a.introduce(kB, "b");
    send(a, kB, "hello");
    carry();
    pass(10ms);
    carry();
    a.take_events();
    b.take_events();
  }
  static std::vector<std::string> words(Links& links) {
    std::vector<std::string> all;
    for (const LinkEvent& event : links.take_events()) {
      if (const auto* up = std::get_if<LinkUp>(&event)) all.push_back("up " + std::to_string(up->incarnation.value));
      if (const auto* down = std::get_if<LinkDown>(&event)) all.push_back("down " + down->reason);
      if (const auto* arrived = std::get_if<Arrived>(&event))
        for (std::size_t i = 0; i < arrived->messages.size(); ++i) all.emplace_back(arrived->messages[i].payload.bytes);
    }
    return all;
  }
  using Words = std::vector<std::string>;

  Wire wire;
  HandChannel channel_a{wire, 0};
  HandChannel channel_b{wire, 1};
  LinkLimits limits;
  Links a{kA, Incarnation{10}, channel_a, limits};
  Links b{kB, Incarnation{20}, channel_b, limits};
  Time now{1s};
};

TEST_F(LinksPair, TheHandshakeTakesThreeFramesAndTheThirdCarriesTheMessage) {
  a.introduce(kB, "b");
  send(a, kB, "hello");
  ASSERT_EQ(wire.carried.size(), 1u);
  carry();
  EXPECT_EQ(words(a), Words{"up 20"});
  EXPECT_EQ(words(b), (Words{"up 10", "hello"}));
  // hello, answer, the empty echo and the message.
  EXPECT_LE(a.counters().frames_sent + b.counters().frames_sent, 4u);
}

TEST_F(LinksPair, NothingIsDialledBeforeThereIsSomethingToSend) {
  a.introduce(kB, "b");
  a.flush(now);
  EXPECT_EQ(wire.connections, 0u);
  EXPECT_EQ(a.next_deadline(), kNever);
}

TEST_F(LinksPair, AnAcknowledgementWaitsALittleAndRidesOnAnAnswer) {
  connect();
  send(a, kB, "question");
  carry();
  send(b, kA, "answer");
  carry();
  pass(5ms);
  carry();
  const auto before = b.counters().frames_sent;
  pass(1s);
  EXPECT_EQ(b.counters().frames_sent, before) << "nothing is left to acknowledge at b";
}

TEST_F(LinksPair, MessagesOfOneTurnLeaveAsOneFrameInTheirOrder) {
  connect();
  Words sent;
  for (int i = 0; i < 300; ++i) {
    sent.push_back(std::to_string(i) + std::string(static_cast<std::size_t>(i % 50), 'x'));
    a.send(now, {kB, {}, 1, 0}, {3, 4, 0, 0, {1, sent.back()}});
  }
  EXPECT_TRUE(wire.carried.empty()) << "nothing leaves before the turn ends";
  a.flush(now);
  ASSERT_EQ(wire.carried.size(), 1u);
  EXPECT_EQ(decode_frame(wire.carried.front().bytes)->messages.size(), 300u);
  carry();
  EXPECT_EQ(words(b), sent);
}

TEST_F(LinksPair, AFrameHoldsNoMoreThanItsBoundOrOneMessage) {
  connect();
  Words sent;
  for (int i = 0; i < 1000; ++i) {
    sent.push_back(std::to_string(i) + std::string(i == 500 ? 2 * kFrameBytesTarget : 200, 'x'));
    a.send(now, {kB, {}, 1, 0}, {3, 4, 0, 0, {1, sent.back()}});
  }
  a.flush(now);
  std::size_t bytes = 0;
  for (const Wire::Carried& frame : wire.carried) {
    EXPECT_TRUE(frame.bytes.size() <= kFrameBytesTarget || decode_frame(frame.bytes)->messages.size() == 1u);
    bytes += frame.bytes.size();
  }
  EXPECT_LE(wire.carried.size(), bytes / kFrameBytesTarget + 4) << "frames are full";
  carry();
  EXPECT_EQ(words(b), sent);
}

TEST_F(LinksPair, ManyMessagesAreAcknowledgedWithoutDelay) {
  connect();
  for (int i = 0; i < 300; ++i) a.send(now, {kB, {}, 1, 0}, {3, 4, 0, 0, {1, "x"}});
  a.flush(now);
  carry();
  EXPECT_TRUE(a.drained());
}

TEST_F(LinksPair, ARefusingChannelIsTriedAgainWithGrowingPauses) {
  connect();
  channel_a.refuses = true;
  send(a, kB, "one");
  std::uint64_t tries = a.counters().refused_by_channel;
  EXPECT_GT(tries, 0u);
  for (int i = 0; i < 1000; ++i) pass(1ms);
  EXPECT_LE(a.counters().refused_by_channel - tries, 40u);
  channel_a.refuses = false;
  pass(200ms);
  carry();
  EXPECT_EQ(words(b), Words{"one"});
}

TEST_F(LinksPair, ResendsBackOffAndStopWhenThePeerIsUnreachable) {
  connect();
  send(a, kB, "one");
  std::size_t frames = 0;
  for (int i = 0; i < 20'000; ++i) {
    frames += wire.carried.size();
    wire.carried.clear();
    pass(1ms);
  }
  EXPECT_GE(frames, 5u);
  EXPECT_LE(frames, 12u);
  EXPECT_EQ(words(a), Words{"down unreachable"});
  EXPECT_FALSE(channel_a.closed.empty());
  EXPECT_TRUE(a.retired(kB, Incarnation{20}));
  EXPECT_EQ(a.next_deadline(), kNever);
}

TEST_F(LinksPair, ALostFrameIsSentAgainAsSoonAsTheGapIsSeen) {
  connect();
  send(a, kB, "one");
  wire.carried.clear();
  pass(30ms);
  send(a, kB, "two");
  carry();
  EXPECT_EQ(words(b), (Words{"one", "two"})) << "before the resend timer";
}

TEST_F(LinksPair, OnlyOneFrameProbesASilentPeer) {
  connect();
  for (int i = 0; i < 100; ++i) a.send(now, {kB, {}, 1, 0}, {3, 4, 0, 0, {1, std::string(10'000, 'x')}});
  a.flush(now);
  EXPECT_GT(wire.carried.size(), 10u);
  wire.carried.clear();
  pass(100ms);
  EXPECT_EQ(wire.carried.size(), 1u);
  carry();
  EXPECT_TRUE(b.counters().messages_received > 0);
  pass(5ms);
  carry();
  pass(5ms);
  carry();
  EXPECT_EQ(words(b).size(), 100u);
}

TEST_F(LinksPair, TheWindowBoundsWhatIsInFlight) {
  limits.session.window_bytes = 100'000;
  Links small(NodeId{3}, Incarnation{30}, channel_a, limits);
  small.introduce(kB, "b");
  for (int i = 0; i < 40; ++i) small.send(now, {kB, {}, 1, 0}, {3, 4, 0, 0, {1, std::string(10'000, 'x')}});
  small.flush(now);
  for (int rounds = 0; rounds < 400 && !small.drained(); ++rounds) {
    std::size_t bytes = 0;
    const std::deque<Wire::Carried> frames = std::exchange(wire.carried, {});
    for (const Wire::Carried& frame : frames) {
      if (frame.to == 1) bytes += frame.bytes.size();
      (frame.to == 0 ? small : b).receive(now, frame.connection, frame.bytes);
    }
    EXPECT_LE(bytes, 101'000u);
    now += 3ms;
    small.advance(now);
    b.advance(now);
    small.flush(now);
    b.flush(now);
  }
  EXPECT_TRUE(small.drained());
  EXPECT_EQ(words(b).size(), 41u);
}

TEST_F(LinksPair, AFenceWhileTheNewLifeGreetsDoesNotHurtIt) {
  Links next(kA, Incarnation{11}, channel_a, limits);
  connect();
  next.introduce(kB, "b");
  next.send(now, {kB, {}, 1, 0}, {3, 4, 0, 0, {1, "new life"}});
  next.flush(now);
  const Wire::Carried hello = wire.carried.front();
  wire.carried.clear();
  b.receive(now, hello.connection, hello.bytes);
  const Wire::Carried answer = wire.carried.front();
  wire.carried.clear();
  next.receive(now, answer.connection, answer.bytes);
  next.flush(now);
  // The coordinator's decision falls between the answer and its echo.
  b.fence(now, kA, Incarnation{10});
  b.flush(now);
  for (int rounds = 0; rounds < 50; ++rounds) {
    while (!wire.carried.empty()) {
      const Wire::Carried frame = wire.carried.front();
      wire.carried.pop_front();
      (frame.to == 0 ? next : b).receive(now, frame.connection, frame.bytes);
      next.flush(now);
      b.flush(now);
    }
    now += 10ms;
    next.advance(now);
    next.flush(now);
  }
  EXPECT_EQ(words(b), (Words{"down fenced by this node", "up 11", "new life"}));
  EXPECT_EQ(words(next), Words{"up 20"});
}

TEST_F(LinksPair, SilentStrangersAreForgottenBeforeThoseInUse) {
  limits.peers_max = 16;
  Links small(NodeId{3}, Incarnation{30}, channel_b, limits);
  FrameHeader header;
  header.flags = kFrameHello;
  header.destination = NodeId{3};
  header.challenge = 1;
  for (std::uint64_t stranger = 100; stranger < 10'000; ++stranger) {
    header.source = NodeId{stranger};
    header.source_incarnation = Incarnation{stranger};
    small.receive(now, 1, FrameWriter(header).take());
    small.flush(now);
    ASSERT_LE(small.peers(), 16u);
    wire.carried.clear();
  }
}

TEST_F(LinksPair, RetiredLivesAreRememberedUpToABound) {
  limits.retired_max = 4;
  Links small(NodeId{3}, Incarnation{30}, channel_a, limits);
  for (std::uint64_t life = 1; life <= 6; ++life) small.fence(now, kB, Incarnation{life});
  EXPECT_FALSE(small.retired(kB, Incarnation{2}));
  EXPECT_TRUE(small.retired(kB, Incarnation{3}));
  EXPECT_TRUE(small.retired(kB, Incarnation{6}));
}

TEST_F(LinksPair, MutatedFramesOfALiveSessionNeverCrashIt) {
  connect();
  Random random(3);
  for (int round = 0; round < 20'000; ++round) {
    send(a, kB, "text");
    send(b, kA, "text");
    std::deque<Wire::Carried> frames = std::exchange(wire.carried, {});
    for (Wire::Carried& frame : frames) {
      if (random.chance(1, 2)) frame.bytes[random.below(frame.bytes.size())] = static_cast<char>(random.next());
      if (random.chance(1, 8)) frame.bytes.resize(random.below(frame.bytes.size()) + 1);
      (frame.to == 0 ? a : b).receive(now, frame.connection, frame.bytes);
    }
    pass(Duration(static_cast<std::int64_t>(random.below(50'000'000))));
    a.take_events();
    b.take_events();
  }
  EXPECT_GT(a.counters().bogus_frames + b.counters().bogus_frames, 100u);
}

}  // namespace
}  // namespace baton
