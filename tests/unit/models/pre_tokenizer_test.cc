// SPDX-License-Identifier: Apache-2.0
// What the golden texts cannot show: bytes that are no UTF-8, and time on hostile texts. (The cuts themselves are compared
// with the published patterns in tests/golden/tokenizer.)
#include "models/pre_tokenizer.h"

#include <gtest/gtest.h>

#include <chrono>
#include <random>

namespace baton {
namespace {

constexpr const char* kNames[] = {"smollm", "gpt-2", "default", "qwen2", "llama-bpe"};

std::vector<std::string> cut(const PreTokenizer& pre, const std::string& text) {
  std::vector<std::string> out;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = pre.piece_end(text, at);
    EXPECT_GT(end, at);
    EXPECT_LE(end, text.size());
    out.push_back(text.substr(at, end - at));
    at = end;
  }
  return out;
}

TEST(PreTokenizer, KnowsItsNames) {
  for (const char* name : kNames) {
    ASSERT_NE(find_pre_tokenizer(name), nullptr) << name;
    EXPECT_NE(supported_pre_tokenizers().find(name), std::string::npos);
  }
  EXPECT_EQ(find_pre_tokenizer(""), nullptr);
  EXPECT_EQ(find_pre_tokenizer("SMOLLM"), nullptr);
}

TEST(PreTokenizer, ABrokenByteIsNeitherLetterNorNumberNorSpace) {
  using Pieces = std::vector<std::string>;
  EXPECT_EQ(cut(*find_pre_tokenizer("smollm"), "a\xFF\xC3z 1"), (Pieces{"a", "\xFF\xC3", "z", " ", "1"}));
  EXPECT_EQ(cut(*find_pre_tokenizer("gpt-2"), "a \xE4\xB8 12"), (Pieces{"a", " \xE4\xB8", " 12"}));
  EXPECT_EQ(cut(*find_pre_tokenizer("llama-bpe"), "\xFFz\xFF\n\n1234"), (Pieces{"\xFFz", "\xFF\n\n", "123", "4"}));
  EXPECT_EQ(cut(*find_pre_tokenizer("qwen2"),
                "\xED\xA0\x80"
                "12"),
            (Pieces{"\xED\xA0\x80", "1", "2"}))
      << "a surrogate";
}

TEST(PreTokenizer, RandomBytesAreCutCompletely) {
  std::mt19937_64 random(11);
  for (const char* name : kNames) {
    for (int round = 0; round < 2000; ++round) {
      std::string text(random() % 40, '\0');
      for (char& c : text) c = random() % 2 ? static_cast<char>(random()) : "a1 '\n\r\ts.\xC2\xA0\xE3\x80"[random() % 14];
      std::string whole;
      for (const std::string& piece : cut(*find_pre_tokenizer(name), text)) whole += piece;
      EXPECT_EQ(whole, text);
    }
  }
}

TEST(PreTokenizer, TimeIsLinearWhateverTheText) {
  constexpr std::size_t kBytes = 1 << 18;
  for (const char* name : kNames) {
    const PreTokenizer& pre = *find_pre_tokenizer(name);
    for (const char* unit : {" ",
                             "\n",
                             " \n",
                             "\r\n ",
                             "\t",
                             "a",
                             "'",
                             "'l",
                             "'s",
                             "1",
                             " 1",
                             "1 ",
                             "  1",
                             ".",
                             " .",
                             ".\n",
                             "\xFF",
                             "\xF0\x9F\x98",
                             "\xE3\x80\x80",
                             "\xE3\x80\x80"
                             "a",
                             "\xCC\x81",
                             " \xC2\xA0",
                             "a  ",
                             "  a",
                             ". \n"}) {
      std::string text;
      while (text.size() < kBytes) text += unit;
      for (const std::string& end : {std::string(), std::string("x"), std::string("7")}) {
        const std::string whole = text + end;
        const auto start = std::chrono::steady_clock::now();
        for (std::size_t at = 0; at < whole.size();) at = pre.piece_end(whole, at);
        const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
        EXPECT_LT(seconds, 2.0) << name << " on " << unit;
      }
    }
  }
}

}  // namespace
}  // namespace baton
