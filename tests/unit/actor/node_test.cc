// SPDX-License-Identifier: Apache-2.0
#include "runtime/actor/node.h"

#include <gtest/gtest.h>

#include <chrono>

#include "tests/support/recorder.h"

namespace baton {
namespace {
using namespace std::chrono_literals;
using Names = std::vector<std::string>;

struct NoChannel final : Channel {
  Result<ConnectionId> connect(const std::string&) override { return fail(ErrorCode::kUnavailable, "no network here"); }
  bool send(ConnectionId, std::string_view) override { return false; }
  void close(ConnectionId) override {}
  void set_receiver(std::function<void(ConnectionId, std::string_view)>) override {}
};

class NodeTest : public ::testing::Test {
 protected:
  static NodeOptions options() {
    NodeOptions o;
    o.node = NodeId{1};
    o.incarnation = Incarnation{2};
    o.random_key = 3;
    o.turns_max = 4;
    return o;
  }
  void drain() {
    for (int runs = 0; runs < 1000 && node.run(now); ++runs) {
    }
  }
  NoChannel channel;
  Node node{options(), channel};
  Recorder one, two;
  ActorCell<Recorder> cell_one{one}, cell_two{two};
  Time now{5s};
};

TEST_F(NodeTest, ActorsOfOneNodeTalkThroughTheMailbox) {
  const ActorRef first = node.add(1, cell_one);
  const ActorRef second = node.add(2, cell_two);
  node.post(1, [&](Outbox& out) { out.send(second, Ping{"x"}); });
  drain();
  EXPECT_EQ(one.texts, Names{"pong x"});
  EXPECT_EQ(one.senders[0], second);
  EXPECT_EQ(first, (ActorRef{NodeId{1}, Incarnation{2}, 1, 0}));
  EXPECT_EQ(node.links().counters().frames_sent, 0u);
}

TEST_F(NodeTest, AMessageToOurselvesIsNeverEncodedAndKeepsItsPlaceAmongOthers) {
  const ActorRef first = node.add(1, cell_one);
  node.add(2, cell_two);
  node.post(2, [&](Outbox& out) {
    out.send(first, Text{"undecodable"});
    out.post(first, encode(Text{"encoded by hand"}));
    std::string moved(1000, 'm');
    out.send(first, Text{std::move(moved)});
  });
  drain();
  EXPECT_EQ(one.texts, (Names{"undecodable", "encoded by hand", std::string(1000, 'm')}));
  EXPECT_EQ(one.senders[2], node.ref(2));
}

TEST_F(NodeTest, AMessageToOurselvesThatIsNotAcceptedIsABug) {
  const ActorRef first = node.add(1, cell_one);
  node.post(1, [&](Outbox& out) { out.send(first, Unknown{}); });
  EXPECT_DEATH(drain(), "not accepted: kind 77");
}

TEST_F(NodeTest, WhicheverLivesNowMayBeOurselvesAndAnEarlierLifeOfOursIsNobody) {
  node.add(1, cell_one);
  node.post(1, [&](Outbox& out) {
    out.send({NodeId{1}, Incarnation{0}, 1, 0}, Text{"me"});
    out.send({NodeId{1}, Incarnation{9}, 1, 0}, Text{"my past"});
    out.send({NodeId{1}, Incarnation{2}, 8, 0}, Text{"no slot"});
  });
  drain();
  EXPECT_EQ(one.texts, Names{"me"});
  EXPECT_EQ(node.counters().dead_letters, 2u);
}

TEST_F(NodeTest, ARunTakesABoundedNumberOfTurns) {
  node.add(1, cell_one);
  int turns = 0;
  for (int i = 0; i < 10; ++i) node.post(1, [&](Outbox&) { ++turns; });
  EXPECT_TRUE(node.run(now));
  EXPECT_EQ(turns, 4);
  EXPECT_TRUE(node.run(now));
  EXPECT_FALSE(node.run(now));
  EXPECT_EQ(turns, 10);
}

TEST_F(NodeTest, TheEarliestWakeUpCountsAndATickClearsIt) {
  node.add(1, cell_one);
  EXPECT_LE(node.next_deadline(), now) << "the first tick";
  drain();
  EXPECT_EQ(one.ticks, 1);
  EXPECT_EQ(node.next_deadline(), kNever);
  node.post(1, [&](Outbox& out) {
    out.wake_at(now + 9ms);
    out.wake_at(now + 3ms);
    out.wake_at(now + 5ms);
  });
  drain();
  EXPECT_EQ(node.next_deadline(), now + 3ms);
  now += 4ms;
  drain();
  EXPECT_EQ(one.ticks, 2);
  EXPECT_EQ(node.next_deadline(), kNever);
}

TEST_F(NodeTest, ALaterTenantDoesNotGetItsPredecessorsMail) {
  const ActorRef before = node.add(1, cell_one);
  node.add(2, cell_two);
  node.post(2, [&](Outbox& out) { out.send(before, Text{"late"}); });
  node.remove(1);
  const ActorRef after = node.add(1, cell_one);
  EXPECT_NE(before, after);
  drain();
  EXPECT_TRUE(one.texts.empty());
  node.post(2, [&](Outbox& out) { out.send(after, Text{"now"}); });
  drain();
  EXPECT_EQ(one.texts, Names{"now"});
}

TEST_F(NodeTest, EveryActorHearsOfALinkThatFailed) {
  node.add(1, cell_one);
  node.add(2, cell_two);
  node.post(1, [&](Outbox& out) { out.send({NodeId{7}, Incarnation{0}, 1, 0}, Text{"x"}); });
  drain();
  now = node.next_deadline();
  for (int i = 0; i < 1000 && one.downs.empty(); ++i) {
    drain();
    now = std::min(node.next_deadline(), now + 1s);
  }
  ASSERT_EQ(one.downs.size(), 1u);
  EXPECT_EQ(two.downs.size(), 1u);
  EXPECT_EQ(one.downs[0].node, NodeId{7});
}

TEST_F(NodeTest, RandomStreamsDifferBySlotAndRepeatByKey) {
  std::vector<std::uint64_t> drawn;
  node.add(1, cell_one);
  node.add(2, cell_two);
  node.post(1, [&](Outbox& out) { drawn.push_back(out.random().next()); });
  node.post(2, [&](Outbox& out) { drawn.push_back(out.random().next()); });
  drain();
  Node again(options(), channel);
  again.add(1, cell_one);
  again.post(1, [&](Outbox& out) { drawn.push_back(out.random().next()); });
  again.run(now);
  ASSERT_EQ(drawn.size(), 3u);
  EXPECT_NE(drawn[0], drawn[1]);
  EXPECT_EQ(drawn[0], drawn[2]);
}

}  // namespace
}  // namespace baton
