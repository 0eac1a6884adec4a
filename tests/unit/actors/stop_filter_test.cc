// SPDX-License-Identifier: Apache-2.0
#include "actors/stop_filter.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "actors/bad_words.h"
#include "models/oracle_tokenizer.h"
#include "runtime/base/random.h"

namespace baton {
namespace {

// Letters of one to four bytes, few of them, so that stop strings overlap each other and themselves.
const std::vector<std::string> kAlphabet = {"a", "b", "é", "😀"};

std::vector<std::string> random_letters(Random& random, std::uint64_t count) {
  std::vector<std::string> letters;
  for (; count > 0; --count) letters.push_back(kAlphabet[random.below(random.chance(1, 3) ? 4 : 2)]);
  return letters;
}
std::string joined(const std::vector<std::string>& letters) {
  std::string text;
  for (const std::string& each : letters) text += each;
  return text;
}

struct Cut {
  std::size_t begin = std::string::npos;
  std::size_t end = std::string::npos;
};
// By trying every end, then every stop string.
Cut earliest(const std::string& text, const std::vector<std::string>& stops, std::size_t unarmed) {
  for (std::size_t end = unarmed + 1; end <= text.size(); ++end) {
    Cut cut;
    for (const std::string& stop : stops)
      if (text.substr(0, end).ends_with(stop)) cut = {std::min(cut.begin, end - stop.size()), end};
    if (cut.end != std::string::npos) return cut;
  }
  return {};
}
// The longest end of the text that a stop string begins with.
std::size_t undecided(const std::string& text, const std::vector<std::string>& stops) {
  std::size_t longest = 0;
  for (const std::string& stop : stops)
    for (std::size_t length = 1; length < stop.size(); ++length)
      if (text.ends_with(stop.substr(0, length))) longest = std::max(longest, length);
  return longest;
}

void check_round(Random& random) {
  std::vector<std::string> stops;
  for (std::uint64_t i = 1 + random.below(3); i > 0; --i) stops.push_back(joined(random_letters(random, 1 + random.below(5))));
  const bool include = random.chance(1, 2);
  StopFilter filter(stops, include);
  std::string all, delivered;
  std::size_t unarmed = 0;
  const std::uint64_t armed_after = random.chance(1, 3) ? random.below(5) : 0;
  for (std::uint64_t piece = 0; piece < 12; ++piece) {
    const std::string text = joined(random_letters(random, random.below(5)));
    all += text;
    const bool armed = piece >= armed_after;
    if (!armed) unarmed = all.size();
    delivered += filter.push(text, armed);
    const Cut cut = earliest(all, stops, unarmed);
    ASSERT_EQ(filter.matched().has_value(), cut.end != std::string::npos);
    if (!filter.matched()) {
      ASSERT_EQ(delivered, all.substr(0, all.size() - undecided(all, stops))) << "not more held back than must be, and not less";
      continue;
    }
    ASSERT_EQ(delivered, all.substr(0, include ? cut.end : cut.begin));
    ASSERT_EQ(stops[*filter.matched()], all.substr(cut.begin, cut.end - cut.begin));
    ASSERT_EQ(filter.push("a", true) + filter.flush(), "") << "not a byte beyond";
    return;
  }
  ASSERT_EQ(delivered + filter.flush(), all);
}

TEST(StopFilter, CutsAtTheEarliestEndAndHoldsBackNoMoreThanItMust) {
  Random random(11);
  for (int round = 0; round < 20000; ++round) {
    check_round(random);
    if (HasFatalFailure()) FAIL() << "round " << round;
  }
}

TEST(StopFilter, WithoutStopStringsEverythingPasses) {
  StopFilter filter({}, false);
  EXPECT_EQ(filter.push("any\xfftext", true), "any\xfftext");
  EXPECT_EQ(filter.flush(), "");
}

TEST(StopFilter, OfTwoThatEndTogetherTheLongerCounts) {
  StopFilter filter({"c", "abc"}, false);
  EXPECT_EQ(filter.push("xab", true), "x");
  EXPECT_EQ(filter.push("cd", true), "");
  EXPECT_EQ(filter.matched(), 1u);
}

TEST(StopFilter, OneThatEndsSoonerBeatsALongerOneThatBeganSooner) {
  StopFilter filter({"abcd", "bc"}, false);
  EXPECT_EQ(filter.push("abcd", true), "a");
  EXPECT_EQ(filter.matched(), 1u);
}

TEST(StopFilter, OneThatBeginsUnarmedMayEndArmed) {
  StopFilter filter({"ab"}, false);
  EXPECT_EQ(filter.push("abxa", false), "abx");
  EXPECT_EQ(filter.push("b", true), "");
  EXPECT_EQ(filter.matched(), 0u);
}

TEST(StopFilter, CopiesReadTextsOfTheirOwn) {
  const StopFilter fresh({"aab", "ba"}, false);
  StopFilter first = fresh, second = fresh;
  EXPECT_EQ(first.push("xaa", true), "x");
  EXPECT_EQ(second.push("b", true), "");
  EXPECT_EQ(first.push("b", true), "");
  EXPECT_EQ(first.matched(), 0u);
  EXPECT_EQ(second.push("c", true), "bc");
  EXPECT_FALSE(second.matched());
}

// A tokenizer that knows a few words with and without a space in front.
struct WordTokenizer final : Tokenizer {
  std::vector<TokenId> encode(std::string_view text, const EncodeOptions& options) const override {
    EXPECT_FALSE(options.add_special || options.parse_special);
    if (text == "cat") return {1};
    if (text == " cat") return {2};
    if (text == "zebra") return {3, 4};
    if (text == " zebra") return {5};
    if (text == "ox") return {6, 7};
    if (text == " ox") return {6, 8};
    return {99};
  }
  std::string token_bytes(TokenId, bool) const override { return "?"; }
  std::uint32_t vocab_size() const override { return 100; }
  TokenId bos() const override { return -1; }
  TokenId eos() const override { return -1; }
};

TEST(BadWords, AreMeantWithAndWithoutASpaceInFrontAsInVllm) {
  using Sequences = std::vector<std::vector<TokenId>>;
  const WordTokenizer tokenizer;
  EXPECT_EQ(bad_word_ids(tokenizer, {"cat"}), (Sequences{{1}, {2}}));
  EXPECT_EQ(bad_word_ids(tokenizer, {"  cat"}), (Sequences{{1}, {2}}));
  EXPECT_EQ(bad_word_ids(tokenizer, {"zebra", "cat"}), (Sequences{{3, 4}, {1}, {2}})) << "of another length: not taken";
  EXPECT_EQ(bad_word_ids(tokenizer, {"ox"}), (Sequences{{6, 7}})) << "of the same first id: not taken";
  EXPECT_EQ(bad_word_ids(*make_oracle_tokenizer(1024), {" "}), (Sequences{{33}})) << "nothing but a blank is itself";
}

}  // namespace
}  // namespace baton
