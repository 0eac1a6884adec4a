// SPDX-License-Identifier: Apache-2.0
// Conformance, second part: a peer written by hand, which repeats, reorders, forges and forgets frames, against a host on
// ZeroMQ and on the simulated network.
#include <gtest/gtest.h>

#include <chrono>
#include <memory>

#include "runtime/base/check.h"
#include "tests/support/link_rig.h"

namespace baton {
namespace {
using namespace std::chrono_literals;
using Names = std::vector<std::string>;

// One life of the node "raw" as a script plays it.
struct RawLife {
  Incarnation incarnation;
  std::uint64_t challenge = 0;
  std::uint64_t echo = 0;
};

class FrameConformance : public ::testing::TestWithParam<const char*> {
 protected:
  void open(const HostOptions& options = {}) {
    host = &rig.start("host", options);
    raw = rig.raw();
    connection = dial();
  }
  ConnectionId dial() { return *raw->channel().connect(rig.address("host")); }

  void send_bytes(const std::string& bytes, ConnectionId on = 0) {
    const ConnectionId to = on == 0 ? connection : on;
    ASSERT_TRUE(rig.until([&] { return raw->channel().send(to, bytes); }));
  }
  FrameHeader header(const RawLife& who) const {
    FrameHeader h;
    h.source = node_id("raw");
    h.source_incarnation = who.incarnation;
    h.destination = node_id("host");
    h.destination_incarnation = host->incarnation();
    h.challenge = who.challenge;
    h.echo = who.echo;
    return h;
  }
  static std::string with_texts(FrameHeader h, std::uint64_t first, const Names& texts) {
    h.first_sequence = first;
    FrameWriter frame(h);
    for (const std::string& text : texts) frame.add({3, 0, 1, 0, {Text::kKind, text}});
    return frame.take();
  }
  void send_texts(const RawLife& who, std::uint64_t first, const Names& texts, ConnectionId on = 0) {
    send_bytes(with_texts(header(who), first, texts), on);
  }
  void send_ack(const RawLife& who, std::uint64_t ack, ConnectionId on = 0) {
    FrameHeader h = header(who);
    h.ack = ack;
    send_bytes(FrameWriter(h).take(), on);
  }
  // The first two frames of the handshake; the who is up at the host with its next one.
  void greet(RawLife& who, ConnectionId on = 0) {
    FrameHeader h = header(who);
    h.flags = kFrameHello;
    h.echo = 0;
    const std::size_t before = raw->frames.size();
    send_bytes(FrameWriter(h).take(), on);
    ASSERT_TRUE(rig.until([&] { return find_answer(who, before); })) << "no answer to a hello";
  }
  bool find_answer(RawLife& who, std::size_t from) {
    for (std::size_t i = from; i < raw->frames.size(); ++i) {
      const FrameHeader& h = raw->frames[i].second.header;
      if ((h.flags & kFrameHello) == 0 || h.echo != who.challenge) continue;
      who.echo = h.challenge;
      return true;
    }
    return false;
  }
  std::size_t refusals() const {
    std::size_t count = 0;
    for (const auto& [from, frame] : raw->frames) count += (frame.header.flags & kFrameFenced) != 0 ? 1 : 0;
    return count;
  }
  std::uint64_t acked() const {
    std::uint64_t ack = 0;
    for (const auto& [from, frame] : raw->frames) ack = std::max(ack, frame.header.ack);
    return ack;
  }
  std::size_t texts_received() const {
    std::size_t count = 0;
    for (const auto& [from, frame] : raw->frames) count += frame.messages.size();
    return count;
  }
  bool got(std::size_t texts) {
    return rig.until([&] { return host->recorder().texts.size() >= texts; });
  }
  void host_sends(int count) {
    host->act([count](Outbox& out) {
      for (int i = 0; i < count; ++i) out.send({node_id("raw"), Incarnation{0}, 3, 0}, Text{std::to_string(i)});
    });
  }

  const std::unique_ptr<LinkRig> rig_ = make_rig(GetParam());
  LinkRig& rig = *rig_;
  Host* host = nullptr;
  std::unique_ptr<RawPeer> raw;
  ConnectionId connection = 0;
  RawLife life{Incarnation{111}, 5, 0};
};

INSTANTIATE_TEST_SUITE_P(On, FrameConformance, ::testing::Values("Zmq", "Sim"),
                         [](const auto& kind) { return std::string(kind.param); });

TEST_P(FrameConformance, AHelloIsAnsweredAndTheNextFrameIsHeard) {
  open();
  greet(life);
  EXPECT_TRUE(host->recorder().ups.empty()) << "a hello alone proves nothing";
  send_texts(life, 1, {"one"});
  ASSERT_TRUE(got(1));
  EXPECT_EQ(host->recorder().senders[0], (ActorRef{node_id("raw"), Incarnation{111}, 3, 0}));
}

TEST_P(FrameConformance, WhatArrivesIsAcknowledgedSoon) {
  open();
  greet(life);
  send_texts(life, 1, {"one", "two"});
  ASSERT_TRUE(rig.until([&] { return acked() == 2; }, 2s));
}

TEST_P(FrameConformance, RepeatedFramesAreDeliveredOnce) {
  open();
  greet(life);
  for (int i = 0; i < 5; ++i) send_texts(life, 1, {"one", "two"});
  send_texts(life, 3, {"three"});
  ASSERT_TRUE(got(3));
  EXPECT_EQ(host->recorder().texts, (Names{"one", "two", "three"}));
  EXPECT_EQ(host->links().duplicate_frames, 4u);
}

TEST_P(FrameConformance, ReorderedFramesAreDeliveredInOrder) {
  open();
  greet(life);
  send_texts(life, 3, {"three"});
  send_texts(life, 2, {"two"});
  rig.run_for(20ms);
  EXPECT_TRUE(host->recorder().texts.empty());
  send_texts(life, 1, {"one"});
  ASSERT_TRUE(got(3));
  EXPECT_EQ(host->recorder().texts, (Names{"one", "two", "three"}));
}

TEST_P(FrameConformance, AGapIsReportedToItsSender) {
  open();
  greet(life);
  send_texts(life, 2, {"two"});
  ASSERT_TRUE(rig.until([&] {
    for (const auto& [from, frame] : raw->frames)
      if ((frame.header.flags & kFrameGap) != 0) return true;
    return false;
  }));
}

TEST_P(FrameConformance, FramesThatOverlapAreDeliveredOnceAndInOrder) {
  open();
  greet(life);
  send_texts(life, 1, {"1", "2", "3"});
  send_texts(life, 2, {"2", "3", "4", "5"});
  send_texts(life, 7, {"7"});
  send_texts(life, 4, {"4", "5", "6", "7", "8"});
  ASSERT_TRUE(got(8));
  EXPECT_EQ(host->recorder().texts, (Names{"1", "2", "3", "4", "5", "6", "7", "8"}));
}

// ZeroMQ's descriptor is edge-triggered: a reader that stops exactly at its bound and sleeps would sleep for ever.
TEST_P(FrameConformance, BurstsThatEndOnABatchBoundAreReadToTheEnd) {
  open();
  greet(life);
  std::uint64_t sequence = 1;
  for (const int burst : {1, 15, 16, 17, 32, 63, 64, 65, 80, 128, 129}) {
    for (int i = 0; i < burst; ++i) send_texts(life, sequence + static_cast<std::uint64_t>(i), {"x"});
    sequence += static_cast<std::uint64_t>(burst);
    ASSERT_TRUE(got(sequence - 1)) << "burst of " << burst;
    ASSERT_TRUE(rig.until([&] { return acked() == sequence - 1; })) << "burst of " << burst;
  }
}

TEST_P(FrameConformance, WhatIsNotAcknowledgedIsSentAgainUntilItIs) {
  open();
  greet(life);
  send_ack(life, 0);
  host_sends(2);
  ASSERT_TRUE(rig.until([&] { return texts_received() >= 6; })) << "two messages, three times";
  send_ack(life, 2);
  rig.run_for(50ms);
  const std::size_t received = texts_received();
  rig.run_for(300ms);
  EXPECT_EQ(texts_received(), received);
  EXPECT_TRUE(host->node().links().drained());
}

TEST_P(FrameConformance, APartialAcknowledgementIsTakenForWhatItCovers) {
  open();
  greet(life);
  send_ack(life, 0);
  host_sends(3);
  ASSERT_TRUE(rig.until([&] { return texts_received() >= 3; }));
  send_ack(life, 2);
  rig.run_for(20ms);
  const std::size_t seen = raw->frames.size();
  ASSERT_TRUE(rig.until([&] { return raw->frames.size() > seen; }));
  const Frame& again = raw->frames.back().second;
  EXPECT_EQ(again.header.first_sequence, 3u);
  ASSERT_EQ(again.messages.size(), 1u);
  EXPECT_EQ(again.messages[0].payload.bytes, "2");
}

TEST_P(FrameConformance, AnAcknowledgementOfWhatWasNeverSentChangesNothing) {
  open();
  greet(life);
  send_ack(life, 1000);
  host_sends(1);
  ASSERT_TRUE(rig.until([&] { return texts_received() >= 2; })) << "resent: it was not acknowledged";
}

TEST_P(FrameConformance, AnUnacknowledgedQueueOverItsBoundEndsTheSession) {
  HostOptions narrow;
  narrow.links.session.queue_bytes_max = 200;
  open(narrow);
  greet(life);
  send_ack(life, 0);
  rig.run_for(20ms);
  host_sends(30);
  ASSERT_TRUE(rig.until([&] { return !host->recorder().downs.empty(); }));
  EXPECT_EQ(host->recorder().downs[0].reason, "queue overflow");
  EXPECT_TRUE(rig.until([&] { return refusals() > 0; }));
}

TEST_P(FrameConformance, ALifeThatNeverAcknowledgesIsUnreachable) {
  HostOptions hasty;
  hasty.links.unreachable_after = 300ms;
  open(hasty);
  greet(life);
  send_ack(life, 0);
  host_sends(1);
  ASSERT_TRUE(rig.until([&] { return !host->recorder().downs.empty(); }));
  EXPECT_EQ(host->recorder().downs[0].reason, "unreachable");
  send_texts(life, 1, {"too late"});
  EXPECT_TRUE(rig.until([&] { return refusals() > 0; }));
  EXPECT_TRUE(host->recorder().texts.empty());
}

TEST_P(FrameConformance, GarbageIsCountedAndTheLinkGoesOn) {
  open();
  greet(life);
  send_texts(life, 1, {"one"});
  const std::string whole = with_texts(header(life), 2, {"two"});
  send_bytes("");
  send_bytes("garbage");
  send_bytes(std::string(10'000, '\xff'));
  send_bytes(whole.substr(0, whole.size() - 1));
  send_bytes(whole + "x");
  send_bytes(whole);
  ASSERT_TRUE(got(2));
  EXPECT_EQ(host->links().bogus_frames, 5u);
  EXPECT_TRUE(host->recorder().downs.empty());
}

TEST_P(FrameConformance, AFrameForAnotherNodeIsCountedAndDropped) {
  open();
  greet(life);
  FrameHeader h = header(life);
  h.destination = node_id("someone else");
  send_bytes(with_texts(h, 1, {"not yours"}));
  send_texts(life, 1, {"yours"});
  ASSERT_TRUE(got(1));
  EXPECT_EQ(host->recorder().texts, Names{"yours"});
  EXPECT_EQ(host->links().misrouted_frames, 1u);
}

TEST_P(FrameConformance, AFrameThatClaimsToBeOursIsBogus) {
  open();
  FrameHeader h = header(life);
  h.source = node_id("host");
  send_bytes(with_texts(h, 1, {"x"}));
  ASSERT_TRUE(rig.until([&] { return host->links().bogus_frames == 1; }));
}

TEST_P(FrameConformance, AFrameForAnEarlierLifeOfTheHostIsAnsweredWithTheNewOne) {
  open();
  FrameHeader h = header(life);
  h.destination_incarnation = Incarnation{99};
  h.echo = 77;
  send_bytes(with_texts(h, 5, {"for your predecessor"}));
  ASSERT_TRUE(rig.until([&] { return !raw->frames.empty(); }));
  EXPECT_EQ(raw->frames[0].second.header.source_incarnation, host->incarnation());
  EXPECT_NE(raw->frames[0].second.header.flags & kFrameHello, 0);
  EXPECT_TRUE(host->recorder().texts.empty());
}

TEST_P(FrameConformance, ASecondConnectionOfTheSameLifeContinuesTheSession) {
  open();
  greet(life);
  send_texts(life, 1, {"one"});
  ASSERT_TRUE(got(1));
  const ConnectionId second = dial();
  send_texts(life, 3, {"three"}, second);
  send_texts(life, 2, {"two"}, connection);
  ASSERT_TRUE(got(3));
  EXPECT_EQ(host->recorder().texts, (Names{"one", "two", "three"}));
  EXPECT_EQ(host->recorder().ups.size(), 1u);
}

TEST_P(FrameConformance, TheNewestConnectionIsUsedAndTakesOverWhatWasInFlight) {
  open();
  greet(life);
  send_ack(life, 0);
  host_sends(1);
  ASSERT_TRUE(rig.until([&] { return texts_received() == 1; }));
  const ConnectionId second = dial();
  send_ack(life, 0, second);
  // On a slow machine a resend over the first connection may come before the second one is noticed.
  EXPECT_TRUE(rig.until([&] { return texts_received() >= 2 && raw->frames.back().first == second; }));
}

TEST_P(FrameConformance, ABrokenConnectionIsReplacedByTheOtherOne) {
  open();
  greet(life);
  const ConnectionId second = dial();
  send_ack(life, 0, connection);
  send_ack(life, 0, second);
  rig.run_for(20ms);
  raw->channel().close(second);
  rig.run_for(20ms);
  host_sends(1);
  ASSERT_TRUE(rig.until([&] { return texts_received() >= 1; }));
  EXPECT_EQ(raw->frames.back().first, connection);
}

TEST_P(FrameConformance, ANewLifeRetiresTheOldOneWhichIsToldSo) {
  open();
  greet(life);
  send_texts(life, 1, {"old"});
  ASSERT_TRUE(got(1));
  RawLife next{Incarnation{222}, 6, 0};
  greet(next);
  send_texts(next, 1, {"new"});
  ASSERT_TRUE(got(2));
  EXPECT_EQ(host->recorder().log, (Names{"up", "text old", "ended, replaced by a new life", "up", "text new"}));
  send_texts(life, 2, {"zombie"});
  ASSERT_TRUE(rig.until([&] { return refusals() > 0; }));
  EXPECT_EQ(raw->frames.back().second.header.destination_incarnation, life.incarnation);
  send_texts(next, 2, {"still here"});
  ASSERT_TRUE(got(3));
  EXPECT_EQ(host->recorder().texts.back(), "still here");
}

TEST_P(FrameConformance, ALateHelloOfALifeThatIsGoneDisturbsNobody) {
  open();
  greet(life);
  send_texts(life, 1, {"one"});
  ASSERT_TRUE(got(1));
  RawLife ghost{Incarnation{50}, 3, 0};
  greet(ghost);  // answered, but there is nobody to echo
  RawLife stale = ghost;
  stale.echo = life.echo;  // an echo of the token the present life used
  send_texts(stale, 1, {"ghost"});
  send_texts(life, 2, {"two"});
  ASSERT_TRUE(got(2));
  EXPECT_EQ(host->recorder().texts, (Names{"one", "two"}));
  EXPECT_TRUE(host->recorder().downs.empty());
}

TEST_P(FrameConformance, APeerThatForgotTheSessionIsDroppedNotRestarted) {
  open();
  greet(life);
  send_texts(life, 1, {"one"});
  ASSERT_TRUE(got(1));
  RawLife forgetful = life;
  forgetful.challenge = 9;
  FrameHeader h = header(forgetful);
  h.flags = kFrameHello;
  send_bytes(FrameWriter(h).take());
  ASSERT_TRUE(rig.until([&] { return !host->recorder().downs.empty(); }));
  EXPECT_EQ(host->recorder().downs[0].reason, "session lost by the peer");
  EXPECT_TRUE(rig.until([&] { return refusals() > 0; }));
}

TEST_P(FrameConformance, ARefusalEndsTheLinkAtTheZombie) {
  open();
  greet(life);
  send_texts(life, 1, {"one"});
  ASSERT_TRUE(got(1));
  FrameHeader h = header(life);
  h.flags = kFrameFenced;
  h.challenge = h.echo = 0;
  h.destination_incarnation = Incarnation{1};
  send_bytes(FrameWriter(h).take());  // meant for an earlier life of the host
  h.destination_incarnation = host->incarnation();
  send_bytes(FrameWriter(h).take());
  ASSERT_TRUE(rig.until([&] { return !host->recorder().downs.empty(); }));
  EXPECT_EQ(host->recorder().downs[0].reason, "fenced");
  EXPECT_EQ(host->recorder().downs.size(), 1u);
  EXPECT_EQ(refusals(), 0u) << "a refusal is never answered";
}

}  // namespace
}  // namespace baton
