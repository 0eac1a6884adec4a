// SPDX-License-Identifier: Apache-2.0
// Every parameter out of its range is refused with a sentence that names it; every value at the ends of it is taken.
#include "protocol/validate.h"

#include <gtest/gtest.h>

#include <functional>
#include <limits>
#include <memory>

namespace baton {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

std::string refusal(const std::function<void(ClientSubmit&)>& change) {
  ClientSubmit submit;
  change(submit);
  const auto result = validate(submit);
  return result ? "" : result.error().message;
}
std::string refusal_of_lists(const SamplingLists& lists) {
  return refusal([&](ClientSubmit& m) { m.sampling.lists = std::make_shared<SamplingLists>(lists); });
}

TEST(Validate, TakesTheDefaultsAndTheEndsOfEveryRange) {
  EXPECT_EQ(refusal([](ClientSubmit&) {}), "");
  EXPECT_EQ(refusal([](ClientSubmit& m) {
              m.sampling = {.temperature = 100, .top_k = 4000000000u, .top_p = 1e-6F, .min_p = 1, .max_tokens = 7, .repetition_penalty = 100,
                            .presence_penalty = -2, .frequency_penalty = 2, .min_tokens = 7, .logprobs = 20, .prompt_logprobs = 0};
              m.sampling.lists = std::make_shared<SamplingLists>(SamplingLists{{{5, -100}, {6, 100}}, std::vector<TokenId>(128), {}});
              m.n = 128;
              m.id = m.cache_salt = std::string(128, '~');
              m.stop.assign(16, std::string(1024, 'x'));
              m.bad_words.assign(64, std::string(256, 'x'));
            }),
            "");
}

TEST(Validate, TakesShortPrintableLabels) {
  EXPECT_EQ(refusal([](ClientSubmit& m) { m.id = std::string(129, 'x'); }), "id has 129 characters; the limit is 128");
  EXPECT_EQ(refusal([](ClientSubmit& m) { m.cache_salt = "a b"; }), "cache_salt takes printable ASCII characters without spaces; its character 2 is none");
  EXPECT_FALSE(validate_label("--id", "gr\xc3\xbc"));
  EXPECT_FALSE(validate_label("--id", "\x7f"));
  EXPECT_TRUE(validate_label("--id", ""));
}

TEST(Validate, NamesTheParameterThatIsOutOfRange) {
  const std::pair<const char*, std::function<void(ClientSubmit&)>> cases[] = {
      {"temperature is -1", [](ClientSubmit& m) { m.sampling.temperature = -1; }},
      {"temperature is nan", [](ClientSubmit& m) { m.sampling.temperature = kNan; }},
      {"top_p is 0", [](ClientSubmit& m) { m.sampling.top_p = 0; }},
      {"min_p is 1.5", [](ClientSubmit& m) { m.sampling.min_p = 1.5F; }},
      {"repetition_penalty is 0", [](ClientSubmit& m) { m.sampling.repetition_penalty = 0; }},
      {"repetition_penalty is nan", [](ClientSubmit& m) { m.sampling.repetition_penalty = kNan; }},
      {"presence_penalty is 2.5", [](ClientSubmit& m) { m.sampling.presence_penalty = 2.5F; }},
      {"frequency_penalty is -2.5", [](ClientSubmit& m) { m.sampling.frequency_penalty = -2.5F; }},
      {"max_tokens is 0", [](ClientSubmit& m) { m.sampling.max_tokens = 0; }},
      {"min_tokens is 17; it must be at most max_tokens, which is 16", [](ClientSubmit& m) { m.sampling.min_tokens = 17; }},
      {"logprobs is 21; it must be between 0 and 20", [](ClientSubmit& m) { m.sampling.logprobs = 21; }},
      {"prompt_logprobs is 21", [](ClientSubmit& m) { m.sampling.prompt_logprobs = 21; }},
      {"n is 0", [](ClientSubmit& m) { m.n = 0; }},
      {"n is 129", [](ClientSubmit& m) { m.n = 129; }},
      {"stop has 17 texts", [](ClientSubmit& m) { m.stop.assign(17, "x"); }},
      {"stop has an empty text", [](ClientSubmit& m) { m.stop = {""}; }},
      {"stop has a text that is not UTF-8", [](ClientSubmit& m) { m.stop = {"\xff"}; }},
      {"stop has 1025 bytes in one text", [](ClientSubmit& m) { m.stop = {std::string(1025, 'x')}; }},
      {"bad_words has 65 texts", [](ClientSubmit& m) { m.bad_words.assign(65, "x"); }},
      {"bad_words has an empty text", [](ClientSubmit& m) { m.bad_words = {""}; }},
  };
  for (const auto& [words, change] : cases) EXPECT_NE(refusal(change).find(words), std::string::npos) << words << " / " << refusal(change);
}

TEST(Validate, ListsAreBoundedAndSayWhichTokenIsWrong) {
  EXPECT_NE(refusal_of_lists({{{5, 101}}, {}, {}}).find("logit_bias of token 5 is 101"), std::string::npos);
  EXPECT_NE(refusal_of_lists({{{5, kNan}}, {}, {}}).find("logit_bias of token 5 is nan"), std::string::npos);
  EXPECT_NE(refusal_of_lists({{{5, 1}, {5, 2}}, {}, {}}).find("logit_bias of token 5 is given twice"), std::string::npos);
  EXPECT_NE(refusal_of_lists({std::vector<TokenBias>(1025), {}, {}}).find("logit_bias has 1025 tokens; the limit is 1024"), std::string::npos);
  EXPECT_NE(refusal_of_lists({{}, std::vector<TokenId>(129), {}}).find("stop_token_ids has 129 ids"), std::string::npos);
  EXPECT_NE(refusal_of_lists({{}, {}, {{1}}}).find("bad_words are given as texts"), std::string::npos);
  SamplingParams sampling;
  sampling.lists = std::make_shared<SamplingLists>(SamplingLists{{}, {}, {{}}});
  EXPECT_FALSE(validate(sampling));
}

TEST(Validate, IdsMustBeInTheVocabulary) {
  const auto refused = [](const SamplingLists& lists) {
    SamplingParams sampling;
    sampling.lists = std::make_shared<SamplingLists>(lists);
    const auto result = validate_ids(sampling, 100);
    return result ? "" : result.error().message;
  };
  EXPECT_EQ(refused({{{99, 1}}, {0, 99}, {{99, 1}}}), "");
  EXPECT_EQ(refused({{{100, 1}}, {}, {}}), "logit_bias names token 100, outside the vocabulary of 100");
  EXPECT_EQ(refused({{}, {-1}, {}}), "stop_token_ids names token -1, outside the vocabulary of 100");
  EXPECT_EQ(refused({{}, {}, {{1, 500}}}), "bad_words names token 500, outside the vocabulary of 100");
}

}  // namespace
}  // namespace baton
