// SPDX-License-Identifier: Apache-2.0
// What actors may rely on, as scripts that run the same on ZeroMQ over loopback and on the simulated network: a fake that
// passes what the real thing would fail (or the other way round) makes every simulated result worthless.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <memory>

#include "tests/support/link_rig.h"

namespace baton {
namespace {
using namespace std::chrono_literals;

class ChannelConformance : public ::testing::TestWithParam<const char*> {
 protected:
  using Names = std::vector<std::string>;

  static void send(Host& from, const ActorRef& to, const std::string& text) {
    from.act([=](Outbox& out) { out.send(to, Text{text}); });
  }
  // First contact: whoever lives there now.
  void contact(Host& from, const std::string& to, const std::string& text) {
    from.act([to, text, address = rig.address(to)](Outbox& out) {
      out.introduce(node_id(to), address);
      out.send({node_id(to), Incarnation{0}, 1, 0}, Text{text});
    });
  }
  static ActorRef ref(const Host& host) { return {host.id(), host.incarnation(), 1, 0}; }
  bool got(Host& host, std::size_t texts) {
    return rig.until([&] { return host.recorder().texts.size() >= texts; });
  }
  bool down(Host& host, std::size_t count = 1) {
    return rig.until([&] { return host.recorder().downs.size() >= count; });
  }
  static Names numbers(int count) {
    Names names;
    for (int i = 0; i < count; ++i) names.push_back(std::to_string(i));
    return names;
  }
  const std::unique_ptr<LinkRig> rig_ = make_rig(GetParam());
  LinkRig& rig = *rig_;
};

INSTANTIATE_TEST_SUITE_P(On, ChannelConformance, ::testing::Values("Zmq", "Sim"), [](const auto& kind) { return std::string(kind.param); });

TEST_P(ChannelConformance, AMessageArrivesWithItsSender) {
  Host& a = rig.start("a", {});
  Host& b = rig.start("b", {});
  contact(a, "b", "hello");
  ASSERT_TRUE(got(b, 1));
  EXPECT_EQ(b.recorder().log, (Names{"up", "text hello"}));
  EXPECT_EQ(b.recorder().senders[0], ref(a));
  EXPECT_EQ(a.recorder().ups.size(), 1u);
  EXPECT_EQ(a.recorder().ups[0].incarnation, b.incarnation());
}

TEST_P(ChannelConformance, AnAnswerReachesTheSender) {
  Host& a = rig.start("a", {});
  rig.start("b", {});
  a.act([address = rig.address("b")](Outbox& out) {
    out.introduce(node_id("b"), address);
    out.send({node_id("b"), Incarnation{0}, 1, 0}, Ping{"x"});
  });
  ASSERT_TRUE(got(a, 1));
  EXPECT_EQ(a.recorder().texts[0], "pong x");
}

TEST_P(ChannelConformance, AClientThatNeverBindsIsAnswered) {
  HostOptions client;
  client.binds = false;
  Host& a = rig.start("client", client);
  rig.start("b", {});
  for (int round = 0; round < 3; ++round) {
    a.act([address = rig.address("b")](Outbox& out) {
      out.introduce(node_id("b"), address);
      out.send({node_id("b"), Incarnation{0}, 1, 0}, Ping{"x"});
    });
    ASSERT_TRUE(got(a, static_cast<std::size_t>(round) + 1));
  }
}

TEST_P(ChannelConformance, SeveralClientsAreKeptApart) {
  HostOptions client;
  client.binds = false;
  Host& b = rig.start("b", {});
  b.recorder().on_text = [](const Text& text, Outbox& out) { out.send(out.sender(), Text{"for " + text.text}); };
  std::vector<Host*> clients;
  for (const char* name : {"c0", "c1", "c2"}) {
    clients.push_back(&rig.start(name, client));
    contact(*clients.back(), "b", name);
  }
  for (Host* host : clients) ASSERT_TRUE(got(*host, 1));
  EXPECT_EQ(clients[0]->recorder().texts, Names{"for c0"});
  EXPECT_EQ(clients[1]->recorder().texts, Names{"for c1"});
  EXPECT_EQ(clients[2]->recorder().texts, Names{"for c2"});
}

TEST_P(ChannelConformance, ManyMessagesArriveOnceAndInOrder) {
  Host& a = rig.start("a", {});
  Host& b = rig.start("b", {});
  contact(a, "b", "0");
  for (int turn = 0; turn < 50; ++turn) {
    a.act([turn](Outbox& out) {
      for (int i = 0; i < 100; ++i)
        if (turn + i > 0) out.send({node_id("b"), Incarnation{0}, 1, 0}, Text{std::to_string(turn * 100 + i)});
    });
  }
  ASSERT_TRUE(got(b, 5000));
  EXPECT_EQ(b.recorder().texts, numbers(5000));
}

TEST_P(ChannelConformance, BothSidesDiallingAtOnceMakeOneSession) {
  Host& a = rig.start("a", {});
  Host& b = rig.start("b", {});
  for (int i = 0; i < 20; ++i) {
    contact(a, "b", std::to_string(i));
    contact(b, "a", std::to_string(i));
  }
  ASSERT_TRUE(got(a, 20));
  ASSERT_TRUE(got(b, 20));
  EXPECT_EQ(a.recorder().texts, numbers(20));
  EXPECT_EQ(b.recorder().texts, numbers(20));
  EXPECT_EQ(a.recorder().ups.size(), 1u);
  EXPECT_EQ(b.recorder().ups.size(), 1u);
  EXPECT_TRUE(a.recorder().downs.empty());
}

TEST_P(ChannelConformance, MessagesOfOneTurnShareFrames) {
  Host& a = rig.start("a", {});
  Host& b = rig.start("b", {});
  contact(a, "b", "0");
  ASSERT_TRUE(got(b, 1));
  rig.run_for(50ms);
  const auto before = a.links().frames_sent;
  a.act([](Outbox& out) {
    for (int i = 1; i < 1000; ++i) out.send({node_id("b"), Incarnation{0}, 1, 0}, Text{std::to_string(i)});
  });
  ASSERT_TRUE(got(b, 1000));
  EXPECT_LE(a.links().frames_sent - before, 2u);
  EXPECT_EQ(b.recorder().texts, numbers(1000));
}

TEST_P(ChannelConformance, ATurnBeyondAFrameIsSplit) {
  Host& a = rig.start("a", {});
  Host& b = rig.start("b", {});
  contact(a, "b", "first");
  ASSERT_TRUE(got(b, 1));
  const auto before = a.links().messages_sent;
  a.act([](Outbox& out) {
    for (int i = 0; i < 100; ++i) out.send({node_id("b"), Incarnation{0}, 1, 0}, Text{std::string(10'000, static_cast<char>('a' + i % 26))});
  });
  ASSERT_TRUE(got(b, 101));
  EXPECT_GE(a.links().messages_sent - before, 100u);
  EXPECT_GE(b.links().frames_received, 16u);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(b.recorder().texts[static_cast<std::size_t>(i) + 1][0], 'a' + i % 26);
}

TEST_P(ChannelConformance, AnEmptyMessageAndTheBiggestOneArrive) {
  Host& a = rig.start("a", {});
  Host& b = rig.start("b", {});
  contact(a, "b", "");
  contact(a, "b", std::string(kMessageBytesMax, 'x'));
  contact(a, "b", "after");
  ASSERT_TRUE(got(b, 3));
  EXPECT_EQ(b.recorder().texts[0], "");
  EXPECT_EQ(b.recorder().texts[1].size(), kMessageBytesMax);
  EXPECT_EQ(b.recorder().texts[2], "after");
}

TEST_P(ChannelConformance, AMessageTooBigForAFrameDropsTheLinkAndSaysSo) {
  Host& a = rig.start("a", {});
  Host& b = rig.start("b", {});
  contact(a, "b", "one");
  ASSERT_TRUE(got(b, 1));
  contact(a, "b", std::string(kMessageBytesMax + 1, 'x'));
  ASSERT_TRUE(down(a));
  EXPECT_EQ(a.recorder().downs[0].reason, "message too big for a frame");
  EXPECT_EQ(b.recorder().texts.size(), 1u);
}

TEST_P(ChannelConformance, APeerThatComesUpLateGetsWhatWaited) {
  Host& a = rig.start("a", {});
  const std::string address = rig.address("b");
  for (int i = 0; i < 10; ++i) contact(a, "b", std::to_string(i));
  rig.run_for(300ms);
  EXPECT_TRUE(a.recorder().ups.empty());
  Host& b = rig.start("b", {});
  EXPECT_EQ(rig.address("b"), address);
  ASSERT_TRUE(got(b, 10));
  EXPECT_EQ(b.recorder().texts, numbers(10));
}

TEST_P(ChannelConformance, NobodyThereEndsInLinkDownOfNoLife) {
  HostOptions hasty;
  hasty.links.unreachable_after = 300ms;
  Host& a = rig.start("a", hasty);
  contact(a, "b", "lost");
  ASSERT_TRUE(down(a));
  EXPECT_EQ(a.recorder().downs[0].incarnation, Incarnation{0});
  EXPECT_EQ(a.recorder().downs[0].reason, "unreachable");
  // A new attempt is a new attempt.
  Host& b = rig.start("b", {});
  contact(a, "b", "found");
  ASSERT_TRUE(got(b, 1));
  EXPECT_EQ(b.recorder().texts, Names{"found"});
}

TEST_P(ChannelConformance, ANodeWithoutAddressIsReachedWhenItDialsUs) {
  Host& a = rig.start("a", {});
  a.act([](Outbox& out) { out.send({node_id("b"), Incarnation{0}, 1, 0}, Text{"waited"}); });
  rig.run_for(100ms);
  Host& b = rig.start("b", {});
  contact(b, "a", "hello");
  ASSERT_TRUE(got(b, 1));
  EXPECT_EQ(b.recorder().texts, Names{"waited"});
}

TEST_P(ChannelConformance, ARestartIsANewLife) {
  Host& a = rig.start("a", {});
  Host* b = &rig.start("b", {});
  const Incarnation first = b->incarnation();
  contact(a, "b", "one");
  ASSERT_TRUE(got(*b, 1));
  rig.stop("b");
  b = &rig.start("b", {});
  contact(a, "b", "two");
  ASSERT_TRUE(rig.until([&] { return a.recorder().ups.size() == 2; }));
  EXPECT_EQ(a.recorder().log, (Names{"up", "ended, replaced by a new life", "up"}));
  EXPECT_EQ(a.recorder().downs[0].incarnation, first);
  EXPECT_EQ(a.recorder().ups[1].incarnation, b->incarnation());
  // What was meant for the old life is not given to the new one.
  contact(a, "b", "three");
  ASSERT_TRUE(got(*b, 1));
  EXPECT_EQ(b->recorder().texts, Names{"three"});
}

TEST_P(ChannelConformance, AnAcceptingSideNoticesTheNewLifeOfADialler) {
  HostOptions client;
  client.binds = false;
  Host* a = &rig.start("a", client);
  Host& b = rig.start("b", {});
  contact(*a, "b", "one");
  ASSERT_TRUE(got(b, 1));
  const Incarnation first = a->incarnation();
  rig.stop("a");
  a = &rig.start("a", client);
  contact(*a, "b", "two");
  ASSERT_TRUE(got(b, 2));
  EXPECT_EQ(b.recorder().log, (Names{"up", "text one", "ended, replaced by a new life", "up", "text two"}));
  EXPECT_EQ(b.recorder().downs[0].incarnation, first);
}

TEST_P(ChannelConformance, MessagesToADeadLifeGoNowhere) {
  Host& a = rig.start("a", {});
  Host* b = &rig.start("b", {});
  contact(a, "b", "one");
  ASSERT_TRUE(got(*b, 1));
  const ActorRef old = ref(*b);
  rig.stop("b");
  b = &rig.start("b", {});
  send(a, old, "to the dead");
  ASSERT_TRUE(down(a));
  send(a, old, "to the dead");
  contact(a, "b", "to the living");
  ASSERT_TRUE(got(*b, 1));
  EXPECT_EQ(b->recorder().texts, Names{"to the living"});
  EXPECT_EQ(a.links().dead_messages, 1u);
}

TEST_P(ChannelConformance, ALifeThatIsNotThereIsGivenUpAndTheLivingOneIsNot) {
  HostOptions hasty;
  hasty.links.unreachable_after = 500ms;
  Host& a = rig.start("a", hasty);
  Host& b = rig.start("b", {});
  a.act([address = rig.address("b")](Outbox& out) {
    out.introduce(node_id("b"), address);
    out.send({node_id("b"), Incarnation{12345}, 1, 0}, Text{"nobody"});
  });
  ASSERT_TRUE(down(a));
  EXPECT_EQ(a.recorder().downs[0].incarnation, Incarnation{12345});
  contact(a, "b", "somebody");
  ASSERT_TRUE(got(b, 1));
  EXPECT_EQ(b.recorder().texts, Names{"somebody"});
}

TEST_P(ChannelConformance, AFencedLifeIsNotHeardAndLearnsIt) {
  Host& a = rig.start("a", {});
  Host* b = &rig.start("b", {});
  contact(*b, "a", "one");
  ASSERT_TRUE(got(a, 1));
  a.act([b](Outbox& out) { out.fence(node_id("b"), b->incarnation()); });
  send(*b, ref(a), "two");
  ASSERT_TRUE(down(*b));
  EXPECT_EQ(b->recorder().downs[0].incarnation, a.incarnation());
  EXPECT_EQ(b->recorder().downs[0].reason, "fenced");
  ASSERT_TRUE(down(a));
  EXPECT_EQ(a.recorder().downs[0].reason, "fenced by this node");
  // Not even as a first contact.
  contact(*b, "a", "three");
  ASSERT_TRUE(down(*b, 2));
  EXPECT_EQ(b->recorder().downs[1].reason, "fenced");
  EXPECT_EQ(a.recorder().texts, Names{"one"});
  // Its successor is welcome.
  rig.stop("b");
  b = &rig.start("b", {});
  contact(*b, "a", "four");
  ASSERT_TRUE(got(a, 2));
  EXPECT_EQ(a.recorder().texts, (Names{"one", "four"}));
}

TEST_P(ChannelConformance, ALifeMayBeFencedBeforeItWasEverHeard) {
  Host& a = rig.start("a", {});
  Host& b = rig.start("b", {});
  a.act([&b](Outbox& out) { out.fence(node_id("b"), b.incarnation()); });
  rig.run_for(10ms);
  contact(b, "a", "one");
  ASSERT_TRUE(down(b));
  EXPECT_EQ(b.recorder().downs[0].reason, "fenced");
  EXPECT_TRUE(a.recorder().texts.empty());
}

TEST_P(ChannelConformance, AKindThatIsNotAcceptedDropsTheLink) {
  Host& a = rig.start("a", {});
  Host& b = rig.start("b", {});
  contact(b, "a", "one");
  ASSERT_TRUE(got(a, 1));
  b.act([to = ref(a)](Outbox& out) {
    out.send(to, Unknown{});
    out.send(to, Text{"not heard"});
  });
  ASSERT_TRUE(down(b));
  EXPECT_EQ(b.recorder().downs[0].reason, "fenced");
  ASSERT_TRUE(down(a));
  EXPECT_EQ(a.recorder().downs[0].reason, "bad message: message kind 77 is not accepted here");
  EXPECT_EQ(a.node().counters().refused_messages, 1u);
  EXPECT_EQ(a.recorder().texts.size(), 1u);
}

TEST_P(ChannelConformance, BytesThatDoNotDecodeDropTheLink) {
  Host& a = rig.start("a", {});
  Host& b = rig.start("b", {});
  contact(b, "a", "undecodable");
  ASSERT_TRUE(down(b));
  EXPECT_EQ(a.node().counters().refused_messages, 1u);
}

TEST_P(ChannelConformance, ASlotWithoutTenantAndAnEarlierTenantAreDeadLetters) {
  Host& a = rig.start("a", {});
  Host& b = rig.start("b", {});
  contact(a, "b", "one");
  ASSERT_TRUE(got(b, 1));
  a.act([&b](Outbox& out) {
    out.send({b.id(), b.incarnation(), 9, 0}, Text{"no slot"});
    out.send({b.id(), b.incarnation(), 1, 5}, Text{"no such tenant"});
    out.send({b.id(), b.incarnation(), 1, 0}, Text{"two"});
  });
  ASSERT_TRUE(got(b, 2));
  EXPECT_EQ(b.recorder().texts, (Names{"one", "two"}));
  EXPECT_EQ(b.node().counters().dead_letters, 2u);
  EXPECT_TRUE(a.recorder().downs.empty());
}

TEST_P(ChannelConformance, AnOverflowOfWhatWaitsForAnAbsentPeerIsToldNotSilent) {
  HostOptions narrow;
  narrow.links.session.queue_messages_max = 10;
  Host& a = rig.start("a", narrow);
  for (int i = 0; i < 11; ++i) contact(a, "b", std::to_string(i));
  ASSERT_TRUE(down(a));
  EXPECT_EQ(a.recorder().downs[0].reason, "queue overflow");
  EXPECT_EQ(a.links().overflows, 1u);
}

TEST_P(ChannelConformance, AnOverflowInASessionEndsItOnBothSides) {
  HostOptions narrow;
  narrow.links.session.queue_messages_max = 10;
  Host& a = rig.start("a", narrow);
  Host& b = rig.start("b", {});
  contact(a, "b", "one");
  ASSERT_TRUE(got(b, 1));
  a.act([](Outbox& out) {
    for (int i = 0; i < 12; ++i) out.send({node_id("b"), Incarnation{0}, 1, 0}, Text{std::to_string(i)});
  });
  ASSERT_TRUE(down(a));
  EXPECT_EQ(a.recorder().downs[0].reason, "queue overflow");
  EXPECT_EQ(a.recorder().downs[0].incarnation, b.incarnation());
  ASSERT_TRUE(down(b));
  EXPECT_EQ(b.recorder().downs[0].reason, "fenced");
}

TEST_P(ChannelConformance, ASilentPeerGoesDownWhenSomethingWaitsForIt) {
  HostOptions hasty;
  hasty.links.unreachable_after = 400ms;
  Host& a = rig.start("a", hasty);
  Host& b = rig.start("b", {});
  const ActorRef to = ref(b);
  contact(a, "b", "one");
  ASSERT_TRUE(got(b, 1));
  rig.run_for(50ms);
  rig.stop("b");
  rig.run_for(600ms);
  EXPECT_TRUE(a.recorder().downs.empty()) << "an idle link notices nothing";
  send(a, to, "two");
  ASSERT_TRUE(down(a));
  EXPECT_EQ(a.recorder().downs[0].reason, "unreachable");
  EXPECT_EQ(a.recorder().downs[0].incarnation, to.incarnation);
}

TEST_P(ChannelConformance, AnIdleLinkHasNoTraffic) {
  Host& a = rig.start("a", {});
  Host& b = rig.start("b", {});
  contact(a, "b", "one");
  ASSERT_TRUE(got(b, 1));
  rig.run_for(100ms);
  const auto sent = a.links().frames_sent + b.links().frames_sent;
  rig.run_for(400ms);
  EXPECT_EQ(a.links().frames_sent + b.links().frames_sent, sent);
  EXPECT_TRUE(a.node().links().drained());
}

TEST_P(ChannelConformance, AQueueOfTwoFramesRefusesButLosesNothing) {
  HostOptions narrow;
  narrow.high_water = 2;
  Host& a = rig.start("a", narrow);
  Host& b = rig.start("b", narrow);
  contact(a, "b", "0");
  ASSERT_TRUE(got(b, 1));
  // Big enough that each is a frame of its own and the socket buffers fill.
  a.act([](Outbox& out) {
    for (int i = 1; i < 60; ++i) out.send({node_id("b"), Incarnation{0}, 1, 0}, Text{std::to_string(i) + std::string(200'000, ' ')});
  });
  ASSERT_TRUE(got(b, 60));
  for (int i = 0; i < 60; ++i) EXPECT_EQ(std::stoi(b.recorder().texts[static_cast<std::size_t>(i)]), i);
  EXPECT_GT(a.links().refused_by_channel, 0u);
}

TEST_P(ChannelConformance, APeerThatMovedIsFoundAtItsNewAddress) {
  Host& a = rig.start("a", {});
  a.act([address = rig.address("elsewhere")](Outbox& out) {
    out.introduce(node_id("b"), address);
    out.send({node_id("b"), Incarnation{0}, 1, 0}, Text{"one"});
  });
  rig.run_for(100ms);
  Host& b = rig.start("b", {});
  a.act([address = rig.address("b")](Outbox& out) { out.introduce(node_id("b"), address); });
  ASSERT_TRUE(got(b, 1));
  EXPECT_EQ(b.recorder().texts, Names{"one"});
}

TEST_P(ChannelConformance, AnotherNodeAtTheAddressIsNotMistakenForThePeer) {
  HostOptions hasty;
  hasty.links.unreachable_after = 300ms;
  Host& a = rig.start("a", hasty);
  Host& c = rig.start("c", {});
  a.act([address = rig.address("c")](Outbox& out) {
    out.introduce(node_id("b"), address);
    out.send({node_id("b"), Incarnation{0}, 1, 0}, Text{"for b"});
  });
  ASSERT_TRUE(down(a));
  EXPECT_TRUE(c.recorder().texts.empty());
  EXPECT_GT(c.links().misrouted_frames, 0u);
}

TEST_P(ChannelConformance, AnAddressInUseIsRefusedByName) {
  rig.start("a", {});
  const Result<void> taken = rig.try_bind(rig.address("a"));
  ASSERT_FALSE(taken);
  EXPECT_EQ(taken.error().code, ErrorCode::kAlreadyExists);
  EXPECT_NE(taken.error().message.find(rig.address("a")), std::string::npos);
}

TEST_P(ChannelConformance, AddressesThatCannotBeDialledEndInLinkDown) {
  HostOptions hasty;
  hasty.links.unreachable_after = 200ms;
  Host& a = rig.start("a", hasty);
  a.act([](Outbox& out) {
    out.introduce(node_id("b"), "nonsense://###");
    out.send({node_id("b"), Incarnation{0}, 1, 0}, Text{"lost"});
  });
  ASSERT_TRUE(down(a));
  EXPECT_EQ(a.recorder().downs[0].reason, "unreachable");
}

}  // namespace
}  // namespace baton
