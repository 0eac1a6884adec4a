// SPDX-License-Identifier: Apache-2.0
#include "launcher/answer_so_far.h"

#include <gtest/gtest.h>

namespace baton {
namespace {

ClientTokens tokens_of(std::uint32_t choice, std::uint32_t first, const std::vector<TokenId>& ids) {
  ClientTokens message;
  message.choice = choice;
  for (const TokenId id : ids) message.tokens.push_back({first++, id, "t"});
  return message;
}

TEST(AnswerSoFar, LetsPassWhatIsNewOfEachChoice) {
  AnswerSoFar got;
  ClientTokens first = tokens_of(0, 0, {5, 6, 7}), other = tokens_of(1, 0, {8});
  ASSERT_TRUE(got.take(first) && got.take(other));
  EXPECT_EQ(first.tokens.size(), 3u);
  EXPECT_EQ(other.tokens.size(), 1u);
  EXPECT_EQ(got.next(), 3u);
  ClientTokens again = tokens_of(0, 0, {5, 6, 7, 9}), behind = tokens_of(1, 1, {4});
  ASSERT_TRUE(got.take(again) && got.take(behind));
  ASSERT_EQ(again.tokens.size(), 1u);
  EXPECT_EQ(again.tokens[0].index, 3u);
  EXPECT_EQ(again.tokens[0].token, 9);
  EXPECT_EQ(behind.tokens.size(), 1u);
}

TEST(AnswerSoFar, TakesNoOtherTokenAndNoGap) {
  AnswerSoFar got(10);
  EXPECT_EQ(got.next(), 10u);
  ClientTokens first = tokens_of(0, 10, {1, 2});
  ASSERT_TRUE(got.take(first));
  ClientTokens other = tokens_of(0, 11, {3});
  const auto changed = got.take(other);
  ASSERT_FALSE(changed);
  EXPECT_EQ(changed.error().code, ErrorCode::kCorrupt);
  EXPECT_NE(changed.error().message.find("another token at position 11"), std::string::npos) << changed.error().message;
  ClientTokens far = tokens_of(0, 13, {3});
  EXPECT_FALSE(got.take(far));
  ClientTokens earlier = tokens_of(0, 8, {7, 7, 1, 2, 3});  // positions before what was asked for are nobody's
  ASSERT_TRUE(got.take(earlier));
  ASSERT_EQ(earlier.tokens.size(), 1u);
  EXPECT_EQ(earlier.tokens[0].index, 12u);
}

TEST(AnswerSoFar, HoldsThePromptTheEndsAndTheSeed) {
  AnswerSoFar got;
  EXPECT_TRUE(got.take(ClientAccepted{1, "a", 4, 77}).value());
  EXPECT_FALSE(got.take(ClientAccepted{1, "a", 4, 77}).value());
  EXPECT_FALSE(got.take(ClientAccepted{1, "a", 4, 78}));
  ClientTokens prompt;
  prompt.prompt = {{1, 5, ""}, {2, 6, ""}};
  ASSERT_TRUE(got.take(prompt));
  EXPECT_EQ(prompt.prompt.size(), 2u);
  prompt.prompt = {{1, 5, ""}, {2, 6, ""}, {3, 7, ""}};
  ASSERT_TRUE(got.take(prompt));
  ASSERT_EQ(prompt.prompt.size(), 1u);
  EXPECT_EQ(prompt.prompt[0].index, 3u);
  ClientChoiceDone second, first;
  second.choice = 2;
  EXPECT_TRUE(got.take(second));
  EXPECT_FALSE(got.take(second));
  EXPECT_TRUE(got.take(first));
}

}  // namespace
}  // namespace baton
