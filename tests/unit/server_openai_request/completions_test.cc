// SPDX-License-Identifier: Apache-2.0
// Prompts of completions: their forms, the context they must fit, what is cut off them, and what echo does.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "protocol/sampling_params.h"
#include "tests/unit/server_openai_request/read_call_fixture.h"

namespace baton::test {
namespace {

using Ids = std::vector<TokenId>;

Ids bytes_of(const std::string& text) { return {text.begin(), text.end()}; }

class Completions : public ReadCall {
 protected:
  OpenAiCall with_prompt(const std::string& json, const std::string& more = "") const {
    const std::string whole = R"({"prompt":)" + json + (more.empty() ? "" : "," + more) + "}";
    return take(read(CallKind::kCompletion, whole), whole);
  }
  ApiError bad_prompt(const std::string& json, const std::string& more = "") const {
    const std::string whole = R"({"prompt":)" + json + (more.empty() ? "" : "," + more) + "}";
    return refusal(read(CallKind::kCompletion, whole), whole.substr(0, 200));
  }
};

std::string text_of(std::size_t bytes) { return quoted(std::string(bytes, 'a')); }
std::string ids_of(std::size_t count) {
  std::string all = "[";
  for (std::size_t i = 0; i < count; ++i) all += (i == 0 ? "" : ",") + std::to_string(i % 256);
  return all + "]";
}
std::string prompts_of(std::size_t count, const std::string& prompt) {
  std::string all = "[";
  for (std::size_t i = 0; i < count; ++i) all += (i == 0 ? "" : ",") + prompt;
  return all + "]";
}

TEST_F(Completions, TakeTextsAndIdsAloneAndInLists) {
  EXPECT_EQ(with_prompt(R"("abc")").jobs[0].prompt_ids, bytes_of("abc"));
  EXPECT_EQ(with_prompt("[97, 98.0]").jobs[0].prompt_ids, (Ids{97, 98}));
  const OpenAiCall texts = with_prompt(R"(["abc","d"])", R"("n":2)");
  ASSERT_EQ(texts.jobs.size(), 2u);
  EXPECT_EQ(texts.jobs[1].prompt_ids, bytes_of("d"));
  EXPECT_EQ(texts.jobs[1].n, 2u);
  EXPECT_TRUE(texts.prompts.empty());
  const OpenAiCall ids = with_prompt("[[1,2],[258]]");
  ASSERT_EQ(ids.jobs.size(), 2u);
  EXPECT_EQ(ids.jobs[0].prompt_ids, (Ids{1, 2}));
  EXPECT_EQ(ids.jobs[1].prompt_ids, Ids{258});
  EXPECT_TRUE(ids.jobs[0].prompt.empty()) << "the ids are enough";
}

TEST_F(Completions, RefuseWhatIsNoPrompt) {
  for (const char* json : {"null",
                           "true",
                           "3",
                           "{}",
                           "\"\"",
                           "[]",
                           "[[]]",
                           "[\"\"]",
                           "[\"a\",1]",
                           "[1,\"a\"]",
                           "[[1],2]",
                           "[1,[2]]",
                           "[null]",
                           "[true]",
                           "[{}]",
                           "[-1]",
                           "[259]",
                           "[1.5]",
                           "[1,2,1e308]",
                           "[9223372036854775808]",
                           "[[1],[1,-9223372036854775808]]",
                           "[[[1]]]",
                           "[2147483648]",
                           "[4294967296]",
                           "[4294967297]"}) {
    const ApiError error = bad_prompt(json);
    EXPECT_EQ(error.status, 400u) << json;
    EXPECT_EQ(error.param, "prompt") << json << ": " << error.message;
  }
  EXPECT_EQ(refusal(read(CallKind::kCompletion, R"({"messages":[]})"), "no prompt").param, "prompt");
}

TEST_F(Completions, AnEmptyTextIsAPromptWhereTheModelBeginsTextsItself) {
  served_ = make_served_model(256, kChatMl, true);
  EXPECT_EQ(with_prompt("\"\"").jobs[0].prompt_ids, Ids{258});
  EXPECT_EQ(with_prompt("\"a\"").jobs[0].prompt_ids, (Ids{258, 'a'}));
  EXPECT_EQ(with_prompt("\"a\"", R"("add_special_tokens":false)").jobs[0].prompt_ids, Ids{'a'});
  EXPECT_EQ(bad_prompt("\"\"", R"("add_special_tokens":false)").param, "prompt");
}

TEST_F(Completions, SpecialTokensInTheTextAreThoseTokens) {
  EXPECT_EQ(with_prompt(R"("a<|im_end|>")").jobs[0].prompt_ids, (Ids{'a', 257})) << "clients apply templates themselves";
}

TEST_F(Completions, TakeAtMost32Prompts) {
  EXPECT_EQ(with_prompt(prompts_of(32, "\"a\"")).jobs.size(), 32u);
  EXPECT_EQ(with_prompt(prompts_of(32, "[1]"), R"("n":16)").jobs.size(), 32u);
  EXPECT_EQ(bad_prompt(prompts_of(33, "\"a\"")).param, "prompt");
  EXPECT_EQ(bad_prompt(prompts_of(33, "[1]")).param, "prompt");
  EXPECT_EQ(bad_prompt(prompts_of(100'000, "\"a\"")).param, "prompt");
  EXPECT_EQ(with_prompt(ids_of(33)).jobs.size(), 1u) << "one prompt of ids";
}

TEST_F(Completions, FitTheContextToTheToken) {
  EXPECT_EQ(with_prompt(text_of(206), R"("max_tokens":50)").jobs[0].sampling.max_tokens, 50u);
  EXPECT_EQ(with_prompt(ids_of(206), R"("max_tokens":50)").jobs[0].sampling.max_tokens, 50u);
  for (const std::string& prompt : {text_of(207), ids_of(207)}) {
    const ApiError error = bad_prompt(prompt, R"("max_tokens":50)");
    EXPECT_EQ(error.code, "context_length_exceeded");
    EXPECT_EQ(error.param, "prompt");
    EXPECT_EQ(
        error.message,
        "This model's maximum context length is 256 tokens. However, you requested 257 tokens (207 in the prompt, 50 in the "
        "completion). Please reduce the length of the prompt or completion.");
  }
  EXPECT_EQ(bad_prompt("\"a\"", R"("max_tokens":2147483647)").code, "context_length_exceeded");
  for (const std::string& prompt : {text_of(256), ids_of(256), ids_of(257), ids_of(100'000)}) {
    EXPECT_EQ(bad_prompt(prompt).code, "context_length_exceeded");
    EXPECT_EQ(bad_prompt(prompt).param, "prompt");
  }
  EXPECT_EQ(with_prompt(text_of(240)).jobs[0].sampling.max_tokens, 16u);
  EXPECT_EQ(bad_prompt(text_of(241)).code, "context_length_exceeded") << "the default counts as OpenAI's does";
}

TEST_F(Completions, HopelessTextsAreRefusedBeforeTheyAreTokenised) {
  const ApiError error = bad_prompt(text_of(1'000'000));
  EXPECT_EQ(error.code, "context_length_exceeded");
  EXPECT_NE(error.message.find("more than 256 tokens"), std::string::npos) << error.message;
}

TEST_F(Completions, AreCutWhereThatIsAskedFor) {
  const auto cut = [&](const std::string& prompt, const std::string& more) {
    return with_prompt(prompt, more).jobs[0].prompt_ids;
  };
  EXPECT_EQ(cut(R"("abcdef")", R"("truncate_prompt_tokens":2)"), bytes_of("ef"));
  EXPECT_EQ(cut(R"("abcdef")", R"("truncate_prompt_tokens":2,"truncation_side":"left")"), bytes_of("ef"));
  EXPECT_EQ(cut(R"("abcdef")", R"("truncate_prompt_tokens":2,"truncation_side":"right")"), bytes_of("ab"));
  EXPECT_EQ(cut(R"("abcdef")", R"("truncate_prompt_tokens":6)"), bytes_of("abcdef"));
  EXPECT_EQ(cut(R"("abcdef")", R"("truncate_prompt_tokens":200)"), bytes_of("abcdef"));
  EXPECT_EQ(cut("[1,2,3]", R"("truncate_prompt_tokens":1)"), Ids{3});
  EXPECT_EQ(cut("[1,2,3]", R"("truncate_prompt_tokens":1,"truncation_side":"right")"), Ids{1});
  EXPECT_EQ(cut(text_of(5000), R"("truncate_prompt_tokens":-1,"max_tokens":56)").size(), 200u);
  EXPECT_EQ(cut(ids_of(5000), R"("truncate_prompt_tokens":-1)").size(), 240u);
  EXPECT_EQ(bad_prompt(text_of(5000), R"("truncate_prompt_tokens":256)").code, "context_length_exceeded");
  EXPECT_EQ(bad_prompt(text_of(5000), R"("truncate_prompt_tokens":-1,"max_tokens":256)").code, "context_length_exceeded");
  EXPECT_EQ(bad_prompt("\"a\"", R"("truncation_side":"middle")").param, "truncation_side");
}

TEST_F(Completions, EchoShowsThePromptAsItWasSent) {
  const OpenAiCall call = with_prompt(R"(["abc","d€"])", R"("echo":true,"logprobs":2)");
  EXPECT_TRUE(call.echo);
  EXPECT_FALSE(call.score_only);
  EXPECT_EQ(call.prompts, (std::vector<std::string>{"abc", "d€"}));
  for (const ClientSubmit& job : call.jobs) {
    EXPECT_EQ(job.sampling.logprobs, 2u);
    EXPECT_EQ(job.sampling.prompt_logprobs, 2u);
  }
  EXPECT_EQ(with_prompt("[97,258,98]", R"("echo":true)").prompts, std::vector<std::string>{"ab"})
      << "special tokens are no text";
  EXPECT_EQ(with_prompt("[97,255]", R"("echo":true)").prompts, std::vector<std::string>{"a\xef\xbf\xbd"})
      << "bytes that are no text";
  EXPECT_EQ(with_prompt(R"("abc")", R"("echo":true,"truncate_prompt_tokens":1)").prompts, std::vector<std::string>{"c"});
  EXPECT_FALSE(with_prompt(R"("abc")", R"("echo":true)").jobs[0].sampling.prompt_logprobs);
}

TEST_F(Completions, EchoOfNoTokensScoresThePrompt) {
  const OpenAiCall call = with_prompt("[1,2]", R"("echo":true,"max_tokens":0,"logprobs":1)");
  EXPECT_TRUE(call.score_only);
  EXPECT_EQ(call.jobs[0].sampling.max_tokens, 1u) << "the cluster computes one token at least";
  EXPECT_EQ(call.jobs[0].sampling.prompt_logprobs, 1u);
  EXPECT_EQ(bad_prompt("[1,2]", R"("echo":false,"max_tokens":0)").param, "max_tokens");
  EXPECT_EQ(bad_prompt("[1,2]", R"("echo":true,"max_tokens":-1)").param, "max_tokens");
  EXPECT_TRUE(with_prompt(ids_of(255), R"("echo":true,"max_tokens":0)").score_only);
  EXPECT_EQ(bad_prompt(ids_of(256), R"("echo":true,"max_tokens":0)").code, "context_length_exceeded");
  EXPECT_EQ(refusal(read(CallKind::kChat, R"({"messages":[{"role":"user","content":"a"}],"max_tokens":0})"), "chat").param,
            "max_tokens");
}

TEST_F(Completions, RefuseBodiesThatAreNoObject) {
  for (const char* whole :
       {"", " ", "[]", "\"prompt\"", "3", "null", "{", "{\"prompt\":\"a\"}x", "{\"prompt\":\"\xff\"}", "{'prompt':'a'}"}) {
    for (const CallKind kind : kKinds) {
      const ApiError error = refusal(read(kind, whole), whole);
      EXPECT_EQ(error.status, 400u);
      EXPECT_EQ(error.param, "");
      EXPECT_EQ(error.code, "invalid_request_error");
    }
  }
  const auto nested = [](std::size_t depth) {
    return R"({"prompt":"a","x":)" + std::string(depth, '[') + std::string(depth, ']') + "}";
  };
  take(read(CallKind::kCompletion, nested(63)), "64 levels");
  EXPECT_EQ(refusal(read(CallKind::kCompletion, nested(64)), "65 levels").status, 400u);
  EXPECT_EQ(refusal(read(CallKind::kCompletion, nested(1'000'000)), "very deep").status, 400u);
  EXPECT_EQ(refusal(read(CallKind::kCompletion, std::string((8u << 20) + 1, ' ')), "long").status, 400u);
}

}  // namespace
}  // namespace baton::test
