// SPDX-License-Identifier: Apache-2.0
// What cannot be honoured is refused, whatever the endpoint; values that ask for nothing are let pass. And any body at all
// gives a call or a refusal.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "runtime/base/random.h"
#include "tests/unit/server_openai_request/read_call_fixture.h"

namespace baton::test {
namespace {

struct Case {
  const char* name;
  std::vector<const char*> harmless;  // beside null
  std::vector<const char*> refused;
};

const Case kCases[] = {
    {"response_format",
     {R"({"type":"text"})"},
     {R"({"type":"json_object"})", R"({"type":"json_schema","json_schema":{}})", "{}", "\"text\"", "[]"}},
    {"structured_outputs", {}, {R"({"json":{}})", "{}"}},
    {"guided_json", {}, {"{}", "\"{}\""}},
    {"guided_regex", {}, {"\"a*\"", "\"\""}},
    {"guided_choice", {}, {R"(["a"])", "[]"}},
    {"guided_grammar", {}, {"\"root ::= x\""}},
    {"grammar", {"\"\""}, {"\"root ::= x\""}},
    {"json_schema", {"{}"}, {R"({"type":"object"})"}},
    {"regex", {"\"\""}, {"\"a*\""}},
    {"allowed_token_ids", {}, {"[1]", "[]"}},
    {"logits_processors", {"[]"}, {"[\"x\"]"}},
    {"tools", {"[]"}, {R"([{"type":"function"}])", "{\"a\":1}", "true"}},
    {"tool_choice", {"\"none\"", "\"auto\""}, {"\"required\"", R"({"type":"function"})", "\"\"", "1"}},
    {"functions", {"[]"}, {R"([{"name":"f"}])"}},
    {"function_call", {"\"none\"", "\"auto\""}, {R"({"name":"f"})"}},
    {"modalities", {R"(["text"])"}, {R"(["text","audio"])", R"(["audio"])", "\"text\""}},
    {"audio", {}, {"{}", R"({"voice":"x"})"}},
    {"prediction", {}, {R"({"type":"content"})"}},
    {"web_search_options", {}, {"{}"}},
    {"store", {"false"}, {"true", "1"}},
    {"service_tier", {"\"auto\"", "\"default\""}, {"\"flex\"", "\"priority\"", "\"auto|default\"", "\"\"", "\"aut\"", "1"}},
    {"verbosity", {"\"medium\""}, {"\"low\"", "\"high\""}},
    {"thinking_token_budget", {"-1"}, {"0", "100"}},
    {"include_reasoning", {"true"}, {"false"}},
    {"chat_template", {}, {"\"{{ 1 }}\"", "\"\""}},
    {"documents", {"[]"}, {R"([{"text":"x"}])"}},
    {"suffix", {"\"\""}, {"\"x\""}},
    {"prompt_embeds", {"[]", "\"\""}, {"\"x\""}},
    {"prompt_logprobs", {}, {"0", "1"}},
    {"logprob_token_ids", {}, {"[1]"}},
    {"use_beam_search", {"false"}, {"true", "1"}},
    {"length_penalty", {"1", "1.0"}, {"0.5", "2"}},
    {"skip_special_tokens", {"true"}, {"false"}},
    {"priority", {"0", "0.0"}, {"1", "-1", "0.5", "1e308"}},
    {"stream_interval", {"1"}, {"2", "0"}},
    {"kv_transfer_params", {"{}"}, {R"({"do_remote_prefill":true})"}},
    {"vllm_xargs", {"{}"}, {R"({"a":1})"}},
    {"watermarking", {"false"}, {"true"}},
};

TEST_F(ReadCall, NoConstraintIsIgnored) {
  for (const CallKind kind : kKinds) {
    for (const Case& each : kCases) {
      good(kind, member(each.name, "null"));
      for (const char* value : each.harmless) EXPECT_TRUE(good(kind, member(each.name, value)).ignored.empty()) << each.name;
      for (const char* value : each.refused) {
        const ApiError error = bad(kind, member(each.name, value));
        EXPECT_EQ(error.status, 400u) << each.name << " " << value;
        EXPECT_EQ(error.code, "unsupported_parameter");
        EXPECT_EQ(error.param, each.name);
        EXPECT_TRUE(error.message.starts_with("'" + std::string(each.name) + "'")) << error.message;
      }
    }
  }
  EXPECT_EQ(bad(CallKind::kChat, R"("echo":true)").code, "unsupported_parameter");
  good(CallKind::kChat, R"("echo":false)");
  EXPECT_EQ(bad(CallKind::kCompletion, R"("reasoning_effort":"low")").code, "unsupported_parameter");
}

TEST_F(ReadCall, WhatHasNoBearingOnTheAnswerIsTakenAndItsTypeChecked) {
  for (const CallKind kind : kKinds) {
    const OpenAiCall call =
        good(kind, R"("user":"u","safety_identifier":"s","prompt_cache_key":"k","prompt_cache_retention":"24h","session_id":"x",
        "metadata":{"a":"b"},"parallel_tool_calls":true,"spaces_between_special_tokens":false,"return_mm_kwargs":true)");
    EXPECT_TRUE(call.ignored.empty());
    for (const char* name : {"user", "safety_identifier", "prompt_cache_key", "prompt_cache_retention", "session_id"})
      EXPECT_EQ(bad(kind, member(name, "1")).param, name);
    EXPECT_EQ(bad(kind, R"("metadata":"x")").param, "metadata");
    EXPECT_EQ(bad(kind, R"("parallel_tool_calls":1)").param, "parallel_tool_calls");
  }
}

TEST_F(ReadCall, BothNamesOfTheLimitCountForBothKinds) {
  for (const CallKind kind : kKinds) {
    EXPECT_EQ(good(kind, R"("max_completion_tokens":9)").jobs[0].sampling.max_tokens, 9u);
    EXPECT_EQ(good(kind, R"("max_tokens":9,"max_completion_tokens":9)").jobs[0].sampling.max_tokens, 9u);
    EXPECT_EQ(bad(kind, R"("max_tokens":9,"max_completion_tokens":8)").param, "max_tokens");
    for (const char* value : {"0", "-1", "0.5", "1e308", "\"3\"", "true", "[]"})
      EXPECT_EQ(bad(kind, member("max_completion_tokens", value)).param, "max_completion_tokens") << value;
    EXPECT_EQ(bad(kind, R"("n":2,"best_of":3)").code, "unsupported_parameter");
  }
  EXPECT_TRUE(good(CallKind::kCompletion, R"("echo":true,"max_completion_tokens":0)").score_only);
}

TEST_F(ReadCall, OptionsOfStreamsAreNotIgnoredEither) {
  for (const CallKind kind : kKinds) {
    const OpenAiCall call = good(kind, R"("stream":true,"stream_options":{"include_obfuscation":false,"other":1},"new":2)");
    EXPECT_EQ(call.ignored, (std::vector<std::string>{"stream_options.other", "new"}));
    EXPECT_EQ(bad(kind, R"("stream":true,"stream_options":{"include_obfuscation":true})").code, "unsupported_parameter");
  }
}

TEST_F(ReadCall, WhatLoadGeneratorsSendIsTaken) {
  // guidellm, lm-eval, vllm bench serve, aiperf.
  good(CallKind::kChat, R"("model":"tiny","stream":true,"stream_options":{"include_usage":true,"continuous_usage_stats":true},
      "max_completion_tokens":8,"max_tokens":8,"ignore_eos":true,"stop":null)");
  take(read(CallKind::kCompletion,
            R"({"model":"tiny","prompt":[[1,2,3]],"echo":true,"logprobs":1,"max_tokens":1,"temperature":0,"seed":1234})"),
       "lm-eval");
  good(CallKind::kCompletion,
       R"("model":"tiny","temperature":0.0,"repetition_penalty":1.0,"max_tokens":8,"logprobs":null,"stream":true,
      "stream_options":{"include_usage":true},"ignore_eos":true)");
}

std::string repeated(const std::string& item, std::size_t times) {
  std::string all = "[";
  for (std::size_t i = 0; i < times; ++i) all += (i == 0 ? "" : ",") + item;
  return all + "]";
}

std::string biases(std::size_t count) {
  std::string all = "{";
  for (std::size_t i = 0; i < count; ++i) all += (i == 0 ? "" : ",") + quoted(std::to_string(i)) + ":1";
  return all + "}";
}

TEST_F(ReadCall, ListsStopAtTheirLimits) {
  const auto text_of = [](std::size_t bytes) { return quoted(std::string(bytes, 'x')); };
  struct Limits {
    const char* name;
    std::string good, bad;
  };
  const Limits cases[] = {
      {"stop", repeated("\"x\"", 16), repeated("\"x\"", 17)},
      {"stop", text_of(1024), text_of(1025)},
      {"stop", "[]", "[\"\"]"},
      {"stop", "\"x\"", "\"\""},
      {"bad_words", repeated("\"x\"", 64), repeated("\"x\"", 65)},
      {"bad_words", "[" + text_of(256) + "]", "[" + text_of(257) + "]"},
      {"stop_token_ids", repeated("5", 128), repeated("5", 129)},
      {"stop_token_ids", "[258]", "[259]"},
      {"logit_bias", biases(259), biases(260)},
      {"logit_bias", "{}", biases(1025)},
      {"logit_bias", R"({"5":-100})", R"({"5":-100.1})"},
      {"logit_bias", R"({"5":100})", R"({"5":1e308})"},
      {"logit_bias", R"({"258":1})", R"({"259":1})"},
      {"logit_bias", R"({"5":1,"6":1})", R"({"5":1,"05":1})"},
      {"logit_bias", R"({"0":1})", R"({"x":1})"},
      {"logit_bias", R"({"0":1})", R"({"":1})"},
      {"logit_bias", R"({"0":1})", R"({"-1":1})"},
      {"logit_bias", R"({"0":1})", R"({"99999999999":1})"},
      {"cache_salt", text_of(128), text_of(129)},
      {"cache_salt", "\"\"", "\"a b\""},
      {"request_id", text_of(64), text_of(65)},
      {"request_id", "\"\"", "\"a\\nb\""},
  };
  for (const Limits& each : cases) {
    good(CallKind::kCompletion, member(each.name, each.good));
    const ApiError error = bad(CallKind::kCompletion, member(each.name, each.bad));
    EXPECT_EQ(error.status, 400u);
    EXPECT_EQ(error.param, each.name) << error.message;
  }
}

// Pieces that bodies are made of, put where others were.
const char* const kPieces[] = {"null",
                               "true",
                               "0",
                               "-1",
                               "1e308",
                               "9223372036854775808",
                               "\"\"",
                               "\"x\"",
                               "[]",
                               "[[]]",
                               "{}",
                               "\"prompt\"",
                               "\"messages\"",
                               "\"n\"",
                               "\"logit_bias\"",
                               "{\"5\":1}",
                               "[1,2]",
                               ",",
                               ":",
                               "{",
                               "}",
                               "[",
                               "]",
                               "\"role\"",
                               "\"user\"",
                               "\"content\"",
                               "\"\\ud800\"",
                               "\xff",
                               "\"echo\":true",
                               "\"stop\":[\"\"]",
                               "\"truncate_prompt_tokens\":-1",
                               "\"continue_final_message\":true"};

TEST_F(ReadCall, AnyBodyGivesACallOrARefusal) {
  const std::string seeds[] = {
      R"({"model":"tiny","prompt":"abc","max_tokens":5,"n":2,"echo":true,"logprobs":3,"stop":["a","b"],"logit_bias":{"5":1},"stream":true,"stream_options":{"include_usage":true}})",
      R"({"prompt":[[1,2],[3]],"seed":5,"top_k":3,"min_p":0.1,"truncate_prompt_tokens":2,"request_id":"a","cache_salt":"b","bad_words":["x"]})",
      R"({"messages":[{"role":"user","content":"hi"},{"role":"assistant","content":[{"type":"text","text":"a"}],"tool_calls":[{"function":{"arguments":"{}"}}]}],"continue_final_message":true})",
      R"({"messages":[{"role":"developer","content":"x"}],"logprobs":true,"top_logprobs":2,"chat_template_kwargs":{"a":[1]},"max_completion_tokens":3,"response_format":{"type":"text"}})"};
  Random random(20261126);
  std::size_t calls = 0, refusals = 0;
  for (int round = 0; round < 10'000; ++round) {
    std::string whole = seeds[random.below(std::size(seeds))];
    for (std::uint64_t changes = random.below(4); changes > 0; --changes) {
      const std::size_t at = random.below(whole.size()), length = random.below(12);
      switch (random.below(4)) {
        case 0: whole.replace(at, length, kPieces[random.below(std::size(kPieces))]); break;
        case 1: whole.insert(at, whole.substr(random.below(whole.size()), length)); break;
        case 2: whole.erase(at, length); break;
        case 3: whole[at] = static_cast<char>(random.next()); break;
      }
      if (whole.empty()) whole = "{";
    }
    const CallKind kind = kKinds[random.below(2)];
    const auto call = read(kind, whole);
    call ? ++calls : ++refusals;
    if (call) {
      EXPECT_FALSE(call->jobs.empty()) << whole;
      for (const ClientSubmit& job : call->jobs) EXPECT_LE(job.prompt_ids.size() + job.sampling.max_tokens, 256u) << whole;
    } else {
      EXPECT_TRUE(call.error().status == 400 || call.error().status == 404) << whole;
      EXPECT_FALSE(call.error().message.empty() || call.error().code.empty()) << whole;
    }
  }
  EXPECT_GT(calls, 500u);
  EXPECT_GT(refusals, 2000u);
}

}  // namespace
}  // namespace baton::test
