// SPDX-License-Identifier: Apache-2.0
// Our tokenizer against Hugging Face's, over the fixtures described in tests/golden/README.md.
#include <gtest/gtest.h>

#include "models/gguf.h"
#include "models/pre_tokenizer.h"
#include "models/tokenizer_factory.h"
#include "models/unicode.h"
#include "tests/support/golden_data.h"

namespace baton {
namespace {

class TokenizerGolden : public testing::Test {
 protected:
  void SetUp() override {
    const auto path = test::golden_model_path();
    if (!path) GTEST_SKIP() << test::golden_model_missing();
    const auto file = GgufFile::open(*path);
    ASSERT_TRUE(file) << file.error().message;
    auto made = make_tokenizer(**file);
    ASSERT_TRUE(made) << made.error().message;
    tokenizer = std::move(*made);
  }

  std::string decode(const std::vector<TokenId>& ids) const {
    std::string out;
    for (const TokenId id : ids) out += tokenizer->token_bytes(id, true);
    return out;
  }

  std::unique_ptr<Tokenizer> tokenizer;
};

TEST_F(TokenizerGolden, IdsEqualThoseOfHuggingFace) {
  const std::vector<test::GoldenText> texts = test::load_golden_tokenizer();
  ASSERT_GE(texts.size(), 320u);
  for (const test::GoldenText& golden : texts) {
    EXPECT_EQ(tokenizer->encode(golden.text, {true, false}), golden.ids) << golden.text;
    EXPECT_EQ(tokenizer->encode(golden.text, {true, true}), golden.special_ids) << golden.text;
  }
}

TEST_F(TokenizerGolden, PromptsOfTheGreedyFixtureTokenizeTheSame) {
  for (const test::GoldenGreedy& golden : test::load_golden_greedy()) {
    EXPECT_EQ(tokenizer->encode(golden.text, {true, true}), golden.prompt_ids) << golden.text;
  }
}

// 21 bytes have no token in this vocabulary: some control characters, and bytes that no assigned character has.
TEST_F(TokenizerGolden, DecodingGivesTheTextBackExceptForBytesWithoutAToken) {
  std::string missing;
  for (int byte = 0; byte < 256; ++byte) {
    const std::string one(1, static_cast<char>(byte));
    if (tokenizer->encode(one, {true, false}).empty()) missing += one;
  }
  EXPECT_EQ(missing, "\x04\x06\x13\x14\x16\x1d\xc0\xc1\xf1\xf2\xf5\xf6\xf7\xf8\xf9\xfa\xfb\xfc\xfd\xfe\xff");
  for (const test::GoldenText& golden : test::load_golden_tokenizer()) {
    std::string expected = golden.text;
    std::erase_if(expected, [&](char c) { return missing.find(c) != std::string::npos; });
    EXPECT_EQ(decode(golden.ids), expected);
    EXPECT_EQ(decode(golden.special_ids), expected);
  }
}

TEST_F(TokenizerGolden, KnowsItsSpecialTokens) {
  EXPECT_EQ(tokenizer->vocab_size(), 49152u);
  EXPECT_EQ(tokenizer->bos(), 1);
  EXPECT_EQ(tokenizer->eos(), 2);
  EXPECT_EQ(tokenizer->token_bytes(2, true), "<|im_end|>");
  EXPECT_EQ(tokenizer->token_bytes(2, false), "");
  EXPECT_EQ(tokenizer->token_bytes(49152, true), "");
  EXPECT_EQ(tokenizer->token_bytes(-1, true), "");
}

TEST(PreTokenizerGolden, PiecesEqualThoseOfThePublishedPatterns) {
  const std::vector<test::GoldenPieces> texts = test::load_golden_pretokenizer();
  ASSERT_GE(texts.size(), 1000u);
  for (const test::GoldenPieces& golden : texts) {
    ASSERT_EQ(golden.lengths.size(), 4u);
    for (const auto& [name, lengths] : golden.lengths) {
      const PreTokenizer* pre = find_pre_tokenizer(name);
      ASSERT_NE(pre, nullptr) << name;
      std::vector<std::int32_t> mine;
      for (std::size_t at = 0; at < golden.text.size();) {
        const std::size_t end = pre->piece_end(golden.text, at);
        mine.push_back(static_cast<std::int32_t>(end - at));
        at = end;
      }
      EXPECT_EQ(mine, lengths) << name << ": " << golden.text;
    }
  }
}

TEST(PreTokenizerGolden, EveryCodePointHasTheClassItHasInThePatterns) {
  std::vector<CharClass> expected(0x110000, CharClass::kOther);
  const auto classes = test::load_golden_char_classes();
  ASSERT_EQ(classes.size(), 3u);
  constexpr CharClass kKinds[] = {CharClass::kLetter, CharClass::kNumber, CharClass::kSpace};
  for (std::size_t i = 0; i < 3; ++i) {
    for (std::size_t j = 0; j < classes[i].size(); j += 2) {
      for (std::int32_t code = classes[i][j]; code <= classes[i][j + 1]; ++code)
        expected[static_cast<std::size_t>(code)] = kKinds[i];
    }
  }
  for (std::uint32_t code = 0; code < 0x110000; ++code) {
    if (code >= 0xD800 && code < 0xE000) continue;  // no UTF-8
    std::string text;
    append_utf8(code, text);
    const Utf8Char c = char_at(text, 0);
    ASSERT_EQ(c.code, code);
    ASSERT_EQ(c.length, text.size());
    ASSERT_EQ(c.kind, expected[code]) << std::hex << code;
  }
}

TEST(Utf8Golden, BrokenBytesAreReplacedAsPythonDoes) {
  const std::vector<test::GoldenUtf8> entries = test::load_golden_utf8();
  ASSERT_GE(entries.size(), 400u);
  for (const test::GoldenUtf8& golden : entries) EXPECT_EQ(replace_invalid_utf8(golden.bytes), golden.text);
}

}  // namespace
}  // namespace baton
