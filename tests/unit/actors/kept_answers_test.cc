// SPDX-License-Identifier: Apache-2.0
// Answers of detached jobs: what is kept, for how long, and what goes first.
#include "actors/kept_answers.h"

#include <gtest/gtest.h>

namespace baton {
namespace {

Time at(int minutes) { return Time{} + std::chrono::minutes(minutes); }
ClientAccepted named(const std::string& id) {
  ClientAccepted accepted;
  accepted.id = id;
  return accepted;
}
std::vector<ClientToken> tokens(std::uint32_t from, std::uint32_t count, std::size_t bytes = 100) {
  std::vector<ClientToken> made;
  for (std::uint32_t i = 0; i < count; ++i) made.push_back({from + i, 7, std::string(bytes, 'x'), 0.0F, {}});
  return made;
}

TEST(KeptAnswers, AreForgottenSomeTimeAfterTheirEnd) {
  KeptAnswers kept;
  kept.open(named("a"));
  kept.open(named("b"));
  kept.add("a", tokens(0, 3));
  kept.end("a", ClientDone{}, at(0));
  EXPECT_EQ(kept.next_expiry(), at(0) + KeptAnswers::kKeptFor);
  kept.expire(at(9));
  EXPECT_NE(kept.find("a"), nullptr);
  kept.expire(at(10));
  EXPECT_EQ(kept.find("a"), nullptr);
  EXPECT_NE(kept.find("b"), nullptr) << "it runs";
  EXPECT_EQ(kept.bytes(), 0u);
  EXPECT_EQ(kept.next_expiry(), kNever);
}

TEST(KeptAnswers, EndedOnesMakeRoomThenTheGrowingOneLosesItsBeginning) {
  KeptAnswers kept(15'000);
  kept.open(named("old"));
  kept.add("old", tokens(0, 20));
  kept.end("old", ClientDone{}, at(0));
  kept.open(named("new"));
  kept.add("new", tokens(0, 100, 50));
  EXPECT_EQ(kept.find("old"), nullptr);
  kept.add("new", tokens(100, 200, 50));
  const KeptAnswers::Answer* answer = kept.find("new");
  ASSERT_NE(answer, nullptr);
  EXPECT_LE(kept.bytes(), 15'000u);
  EXPECT_GT(answer->tokens_gone, 0u);
  ASSERT_FALSE(answer->tokens.empty());
  EXPECT_EQ(answer->tokens.front().index, answer->tokens_gone);
  EXPECT_EQ(answer->tokens.back().index, 299u);
}

TEST(KeptAnswers, RunningOnesAreNotPushedOutByNewcomers) {
  KeptAnswers kept(1u << 20, 2);
  kept.open(named("a"));
  kept.open(named("b"));
  EXPECT_TRUE(kept.full());
  kept.end("a", ClientError{}, at(0));
  EXPECT_FALSE(kept.full());
  kept.open(named("c"));
  EXPECT_EQ(kept.find("a"), nullptr);
  EXPECT_EQ(kept.size(), 2u);
}

TEST(KeptAnswers, AViewerWhoseProcessIsGoneViewsNoMore) {
  KeptAnswers kept;
  kept.open(named("a"));
  kept.watch("a", ActorRef{NodeId{4}, Incarnation{40}, 0, 0}, 7, 2);
  kept.leave(NodeId{4}, Incarnation{41});
  EXPECT_TRUE(kept.find("a")->viewer.valid());
  kept.leave(NodeId{4}, Incarnation{40});
  EXPECT_FALSE(kept.find("a")->viewer.valid());
}

}  // namespace
}  // namespace baton
