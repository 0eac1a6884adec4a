// SPDX-License-Identifier: Apache-2.0
// The bodies of completions and chat completions: every parameter at the edges of its range and with values of other types, the limits
// of one call, conversations, and that nothing which cannot be honoured is passed over in silence.
#include <boost/json/serialize.hpp>
#include <optional>

#include "runtime/base/random.h"
#include "tests/unit/server_openai/openai_rig.h"

namespace baton::test {
namespace {

class Requests : public ::testing::Test {
 protected:
  Requests() {
    model_.names = {"m", "default"};
    model_.max_model_len = 100;
    model_.tokenizer = tokenizer_.get();
    template_is("{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}{% if add_generation_prompt %}>{% endif %}{{ extra }}");
  }
  void template_is(const std::string& source) { model_.chat_template = *ChatTemplate::parse(source, "", ""); }

  tl::expected<OpenAiCall, ApiError> read(CallKind kind, const std::string& body) const { return read_call(kind, body, model_, "7", 17); }
  // `members` of a completion of "ab", or of a short conversation.
  tl::expected<OpenAiCall, ApiError> completion(const std::string& members) const {
    const bool own = members.find("\"prompt\"") != std::string::npos;
    return read(CallKind::kCompletion, "{" + std::string(own ? "" : R"("prompt":"ab")") + (own || members.empty() ? "" : ",") + members + "}");
  }
  tl::expected<OpenAiCall, ApiError> chat(const std::string& members) const {
    const bool own = members.find("\"messages\"") != std::string::npos;
    return read(CallKind::kChat, "{" + std::string(own ? "" : R"("messages":[{"role":"user","content":"ab"}])") + (own || members.empty() ? "" : ",") + members + "}");
  }
  ClientSubmit job(const std::string& members) const {
    auto call = completion(members);
    EXPECT_TRUE(call) << members << ": " << call.error().message;
    return call ? call->jobs.at(0) : ClientSubmit{};
  }
  // Of a conversation: what the model reads.
  std::string prompt(const std::string& members) const {
    const auto call = chat(members);
    if (!call) return "refused: " + call.error().message;
    std::string text;
    for (const TokenId id : call->jobs.at(0).prompt_ids) text += static_cast<char>(id - 1);
    return text;
  }
  void expect_refusal(const tl::expected<OpenAiCall, ApiError>& call, const std::string& param, const std::string& code, const std::string& what) const {
    ASSERT_FALSE(call) << what << " was taken";
    EXPECT_EQ(call.error().param, param) << what << ": " << call.error().message;
    EXPECT_EQ(call.error().code, code) << what << ": " << call.error().message;
    EXPECT_EQ(call.error().status, code == "model_not_found" ? 404u : 400u) << what;
    EXPECT_FALSE(call.error().message.empty()) << what;
  }

  std::unique_ptr<Tokenizer> tokenizer_ = make_oracle_tokenizer(512);
  OpenAiModel model_;
};

// What may be had of memory is bounded before a tree is built; what a cluster's own limits refuse is still refused by them.
TEST_F(Requests, BodiesOfMillionsOfValuesAreRefused) {
  const auto ids = [](std::size_t count, const char* id) {
    std::string list = "[";
    for (std::size_t i = 0; i < count; ++i) list.append(i > 0 ? "," : "").append(id);
    return list + ']';
  };
  const auto refused = completion(R"("prompt":)" + ids(3'000'000, "1"));
  expect_refusal(refused, "", "invalid_request_error", "three million ids");
  EXPECT_NE(refused.error().message.find("values"), std::string::npos) << refused.error().message;
  std::string prompts;
  for (int i = 0; i < 10; ++i) prompts += (i > 0 ? "," : "") + ids(131'072, "12345");
  expect_refusal(completion(R"("prompt":[)" + prompts + ']'), "prompt", "context_length_exceeded", "ten long prompts");
  // Arguments are JSON within a string.
  const std::string call = R"({"role":"assistant","tool_calls":[{"function":{"name":"f","arguments":")" + ids(1'500'000, "1") + R"("}}]})";
  expect_refusal(chat(R"("messages":[)" + call + ',' + call + ']'), "messages", "invalid_request_error", "arguments");
}

TEST_F(Requests, Defaults) {
  const auto text = completion("");
  ASSERT_TRUE(text);
  EXPECT_EQ(text->id, "cmpl-7");
  EXPECT_EQ(text->model, "m");
  EXPECT_EQ(text->created, 17);
  const SamplingParams& sampling = text->jobs[0].sampling;
  EXPECT_EQ(sampling.temperature, 1.0F);
  EXPECT_EQ(sampling.max_tokens, 16u);
  EXPECT_FALSE(sampling.logprobs || text->jobs[0].seed_given || text->stream || text->echo || sampling.lists);
  const auto conversation = chat("");
  ASSERT_TRUE(conversation);
  EXPECT_EQ(conversation->id, "chatcmpl-7");
  EXPECT_EQ(conversation->jobs[0].sampling.max_tokens, 100u - 9u) << "as far as the context goes";
}

// A parameter's good values at its edges, and bad ones beyond them.
struct Range {
  const char* name;
  std::vector<const char*> good, bad;
};

const std::vector<Range> kRanges = {
    {"temperature", {"0", "2", "1e-300", "2.0"}, {"-0.1", "2.01", "1e308", "\"1\"", "true", "[]", "{}"}},
    {"top_p", {"1", "0.001", "1e-300"}, {"0", "1.001", "-1", "\"x\""}},
    {"min_p", {"0", "1"}, {"-0.001", "1.001"}},
    {"top_k", {"-1", "0", "2147483647", "3.0"}, {"-2", "2147483648", "1.5", "\"3\"", "9223372036854775808", "1e300"}},
    {"repetition_penalty", {"0.001", "100", "1e-300"}, {"0", "100.1", "-1"}},
    {"presence_penalty", {"-2", "2"}, {"-2.01", "2.01"}},
    {"frequency_penalty", {"-2", "2"}, {"-2.01", "2.01", "false"}},
    {"seed", {"-9223372036854775808", "9223372036854775807", "0"}, {"9223372036854775808", "1.5", "\"1\""}},
    {"n", {"1", "16"}, {"0", "17", "-1", "128", "\"2\"", "4294967297"}},
    {"max_tokens", {"1", "98"}, {"0", "-1", "2147483648", "1.5", "\"5\""}},
    {"min_tokens", {"0", "16"}, {"-1", "17", "\"1\""}},
    {"logprobs", {"0", "20"}, {"-1", "21", "true"}},
    {"truncate_prompt_tokens", {"-1", "1", "5"}, {"0", "-2", "\"1\""}},
    {"stop_token_ids", {"[]", "[0,511]"}, {"[512]", "[-1]", "5", "[\"a\"]", "[1.5]"}},
    {"logit_bias", {"{}", "{\"0\":-100,\"511\":100}"}, {"{\"512\":1}", "{\"-1\":1}", "{\"a\":1}", "{\"1\":100.1}", "{\"1\":\"2\"}", "[]", "{\"1 \":1}", "{\"7\":1,\"07\":1}"}},
    {"stop", {"\"x\"", "[]", "[\"a\",\"b\"]"}, {"7", "[1]", "{}"}},
    {"bad_words", {"\"x\"", "[\"a\"]"}, {"7", "[[]]"}},
    {"stream", {"true", "false"}, {"1", "\"true\""}},
    {"echo", {"true", "false"}, {"1"}},
    {"ignore_eos", {"true"}, {"\"yes\""}},
    {"include_stop_str_in_output", {"true"}, {"0"}},
    {"add_special_tokens", {"false"}, {"0"}},
    {"return_token_ids", {"true"}, {"[]"}},
    {"cache_salt", {"\"tenant-1\""}, {"\"a b\"", "7", "\"\\u00e9\""}},
    {"request_id", {"\"mine-1\""}, {"\"a b\"", "7"}},
    {"model", {"\"m\"", "\"default\"", "\"\""}, {"7", "[]"}},
};

TEST_F(Requests, RangesOfAllParameters) {
  for (const Range& range : kRanges) {
    const std::string head = '"' + std::string(range.name) + "\":";
    EXPECT_TRUE(completion(head + "null")) << range.name << ": null is absent";
    for (const char* value : range.good) {
      const auto call = completion(head + value);
      EXPECT_TRUE(call) << head << value << ": " << call.error().message;
    }
    for (const char* value : range.bad) {
      const auto call = completion(head + value);
      ASSERT_FALSE(call) << head << value;
      const bool context = call.error().code == "context_length_exceeded";
      EXPECT_TRUE(call.error().param == range.name || context) << head << value << ": " << call.error().message;
      EXPECT_NE(call.error().message.find(range.name), std::string::npos) << call.error().message;
    }
  }
}

TEST_F(Requests, ValuesArriveInTheJob) {
  const ClientSubmit job = this->job(
      R"("temperature":0.5,"top_p":0.25,"min_p":0.125,"top_k":7,"repetition_penalty":2,"presence_penalty":-1,"frequency_penalty":1,"seed":-2,)"
      R"("n":3,"max_tokens":9,"min_tokens":4,"logprobs":2,"stop_token_ids":[5],"logit_bias":{"7":-50},"stop":"END","bad_words":["no"],)"
      R"("ignore_eos":true,"include_stop_str_in_output":true,"cache_salt":"s")");
  EXPECT_EQ(job.prompt_ids, oracle_ids("ab"));
  EXPECT_EQ(job.sampling.temperature, 0.5F);
  EXPECT_EQ(job.sampling.top_p, 0.25F);
  EXPECT_EQ(job.sampling.min_p, 0.125F);
  EXPECT_EQ(job.sampling.top_k, 7u);
  EXPECT_EQ(job.sampling.repetition_penalty, 2.0F);
  EXPECT_EQ(job.sampling.presence_penalty, -1.0F);
  EXPECT_EQ(job.sampling.frequency_penalty, 1.0F);
  EXPECT_EQ(job.sampling.seed, static_cast<std::uint64_t>(-2));
  EXPECT_TRUE(job.seed_given && job.max_tokens_given && job.sampling.ignore_eos && job.include_stop);
  EXPECT_EQ(job.n, 3u);
  EXPECT_EQ(job.sampling.max_tokens, 9u);
  EXPECT_EQ(job.sampling.min_tokens, 4u);
  EXPECT_EQ(job.sampling.logprobs, std::optional<std::uint32_t>(2));
  EXPECT_EQ(job.sampling.stop_token_ids(), std::vector<TokenId>{5});
  EXPECT_EQ(job.sampling.logit_bias().at(0), (TokenBias{7, -50.0F}));
  EXPECT_EQ(job.stop, std::vector<std::string>{"END"});
  EXPECT_EQ(job.bad_words, std::vector<std::string>{"no"});
  EXPECT_EQ(job.cache_salt, "s");
  EXPECT_GT(this->job(R"("top_p":1e-300)").sampling.top_p, 0.0F);
  EXPECT_EQ(this->job(R"("top_k":-1)").sampling.top_k, 0u);
}

TEST_F(Requests, LimitsOfOneCall) {
  const auto repeated = [](const std::string& item, int times) {
    std::string list;
    for (int i = 0; i < times; ++i) list += (i == 0 ? "" : ",") + item;
    return list;
  };
  EXPECT_TRUE(completion("\"prompt\":[" + repeated("\"a\"", 32) + "]"));
  expect_refusal(completion("\"prompt\":[" + repeated("\"a\"", 33) + "]"), "prompt", "invalid_request_error", "33 prompts");
  EXPECT_TRUE(completion("\"stop\":[" + repeated("\"a\"", 16) + "]"));
  expect_refusal(completion("\"stop\":[" + repeated("\"a\"", 17) + "]"), "stop", "invalid_request_error", "17 stops");
  std::string biases;
  for (int i = 0; i < 1025; ++i) biases += (i == 0 ? "\"" : ",\"") + std::to_string(i) + "\":1";
  expect_refusal(completion("\"logit_bias\":{" + biases + "}"), "logit_bias", "invalid_request_error", "1025 biases");
  EXPECT_FALSE(completion("\"stop\":[\"\"]"));
  EXPECT_FALSE(completion("\"stop\":\"" + std::string(1025, 'a') + "\""));
  expect_refusal(read(CallKind::kCompletion, std::string(65, '[') + std::string(65, ']')), "", "invalid_request_error", "depth 65");
}

TEST_F(Requests, PromptsInAllFourForms) {
  EXPECT_EQ(job(R"("prompt":[98,99])").prompt_ids, oracle_ids("ab"));
  const auto texts = completion(R"("prompt":["a","bc"],"n":2)"), mixed = completion(R"("prompt":[[98],"bc"])");
  ASSERT_TRUE(texts && mixed);
  EXPECT_EQ(texts->jobs.size(), 2u);
  EXPECT_EQ(texts->jobs[1].prompt_ids, oracle_ids("bc"));
  EXPECT_EQ(mixed->jobs[0].prompt_ids, oracle_ids("a"));
  for (const char* bad : {"[]", "\"\"", "[[]]", "{}", "7", "[98,\"a\"]", "[\"a\",7]", "[512]", "[-1]", "[1.5]", "[true]", "[null]"})
    expect_refusal(completion("\"prompt\":" + std::string(bad)), "prompt", "invalid_request_error", bad);
  expect_refusal(read(CallKind::kCompletion, "{}"), "prompt", "invalid_request_error", "no prompt");
}

TEST_F(Requests, TheContextIsTheLimit) {
  const auto of = [](int length, const std::string& more) { return "\"prompt\":\"" + std::string(static_cast<std::size_t>(length), 'a') + '"' + more; };
  EXPECT_TRUE(completion(of(84, "")));
  EXPECT_TRUE(completion(of(99, R"(,"max_tokens":1)")));
  for (const std::string& long_one : {of(85, ""), of(100, R"(,"max_tokens":1)"), of(2, R"(,"max_tokens":99)"), of(60'000, "")}) {
    expect_refusal(completion(long_one), "prompt", "context_length_exceeded", "too long");
    EXPECT_NE(completion(long_one).error().message.find("maximum context length is 100 tokens"), std::string::npos);
  }
  expect_refusal(chat(R"("max_tokens":92)"), "messages", "context_length_exceeded", "too long");
  const auto cut = completion(of(200, R"(,"truncate_prompt_tokens":-1,"max_tokens":10,"echo":true)"));
  ASSERT_TRUE(cut) << cut.error().message;
  EXPECT_EQ(cut->jobs[0].prompt_ids.size(), 90u);
  EXPECT_EQ(cut->prompts[0], std::string(90, 'a')) << "what was read is repeated";
  EXPECT_EQ(job(R"("prompt":"abcd","truncate_prompt_tokens":2)").prompt_ids, oracle_ids("cd"));
}

TEST_F(Requests, EchoAndScores) {
  const auto echo = completion(R"("echo":true,"logprobs":1)");
  ASSERT_TRUE(echo);
  EXPECT_EQ(echo->jobs[0].sampling.prompt_logprobs, std::optional<std::uint32_t>(1));
  EXPECT_EQ(echo->prompts[0], "ab");
  const auto scored = completion(R"("prompt":[98,99],"echo":true,"logprobs":1,"max_tokens":0)");
  ASSERT_TRUE(scored) << scored.error().message;
  EXPECT_TRUE(scored->score_only);
  EXPECT_EQ(scored->jobs[0].sampling.max_tokens, 1u);
  EXPECT_EQ(scored->prompts[0], "ab");
}

TEST_F(Requests, Conversations) {
  EXPECT_EQ(prompt(""), "[user]ab>");
  EXPECT_EQ(prompt(R"("messages":[{"role":"system","content":"s"},{"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]}])"),
            "[system]s[user]a\nb>");
  EXPECT_EQ(prompt(R"("messages":[{"role":"user","content":"q"},{"role":"assistant","content":null},{"role":"tool","content":"t"}])"),
            "[user]q[assistant][tool]t>");
  EXPECT_EQ(prompt(R"("add_generation_prompt":false)"), "[user]ab");
  EXPECT_EQ(prompt(R"("chat_template_kwargs":{"extra":"!"})"), "[user]ab>!");
  for (const char* bad : {"[]", "{}", "null", "7", "[7]", "[{}]", R"([{"role":"user"}])", R"([{"role":"user","content":null}])", R"([{"role":"king","content":"a"}])",
                          R"([{"role":"user","content":7}])", R"([{"role":"user","content":[{"text":"a"}]}])", R"([{"role":"user","content":[{"type":"text"}]}])",
                          R"([{"role":"assistant","tool_calls":7}])", R"([{"role":"assistant","tool_calls":[{}]}])",
                          R"([{"role":"assistant","tool_calls":[{"function":{"arguments":"{"}}]}])"})
    expect_refusal(chat("\"messages\":" + std::string(bad)), "messages", "invalid_request_error", bad);
  expect_refusal(chat(R"("messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"http://a"}}]}])"), "messages", "unsupported_parameter", "an image");
  expect_refusal(chat(R"("chat_template_kwargs":7)"), "chat_template_kwargs", "invalid_request_error", "kwargs");
}

TEST_F(Requests, ArgumentsOfCallsReachTheTemplateAsValues) {
  template_is("{{ messages[0].tool_calls[0].function.arguments.a }}");
  EXPECT_EQ(prompt(R"("messages":[{"role":"assistant","tool_calls":[{"function":{"name":"f","arguments":"{\"a\":\"x\"}"}}]}])"), "x");
}

TEST_F(Requests, TheLastMessageGoesOn) {
  const std::string open = R"(,"continue_final_message":true)";
  template_is("{% for m in messages %}[{{ m.role }}]{{ m.content }}</s>{% endfor %}");
  EXPECT_EQ(prompt(R"("messages":[{"role":"user","content":"q"},{"role":"assistant","content":"half an "}])" + open), "[user]q</s>[assistant]half an ");
  template_is("{% for m in messages %}[{{ m.role }}]{{ m.content | trim }}</s>{% endfor %}");
  EXPECT_EQ(prompt(R"("messages":[{"role":"assistant","content":" half an "}])" + open), "[assistant]half an");
  EXPECT_EQ(prompt(R"("messages":[{"role":"assistant","content":""}])" + open), "[assistant]") << "as good as a generation prompt";
  expect_refusal(chat(R"("add_generation_prompt":true)" + open), "continue_final_message", "invalid_request_error", "both");
}

TEST_F(Requests, TemplatesMayRefuse) {
  template_is("{{ raise_exception('roles must alternate') }}");
  const auto refused = chat("");
  expect_refusal(refused, "messages", "invalid_request_error", "the template");
  EXPECT_NE(refused.error().message.find("roles must alternate"), std::string::npos);
  template_is("{% for i in range(100000000) %}{% endfor %}");
  expect_refusal(chat(""), "messages", "invalid_request_error", "a limit");
  model_.chat_template = nullptr;
  expect_refusal(chat(""), "messages", "unsupported_parameter", "no template");
}

TEST_F(Requests, ChatsOwnParameters) {
  EXPECT_EQ(chat(R"("max_completion_tokens":5)")->jobs[0].sampling.max_tokens, 5u);
  EXPECT_TRUE(chat(R"("max_completion_tokens":5,"max_tokens":5)"));
  expect_refusal(chat(R"("max_completion_tokens":5,"max_tokens":6)"), "max_tokens", "invalid_request_error", "two limits");
  const auto logprobs = chat(R"("logprobs":true,"top_logprobs":20)");
  ASSERT_TRUE(logprobs);
  EXPECT_EQ(logprobs->jobs[0].sampling.logprobs, std::optional<std::uint32_t>(20));
  EXPECT_EQ(chat(R"("logprobs":true)")->jobs[0].sampling.logprobs, std::optional<std::uint32_t>(0));
  EXPECT_TRUE(chat(R"("top_logprobs":0)"));
  for (const char* bad : {"1", "21", "-1", "true"}) expect_refusal(chat("\"top_logprobs\":" + std::string(bad)), "top_logprobs", "invalid_request_error", bad);
  expect_refusal(chat(R"("logprobs":2)"), "logprobs", "invalid_request_error", "completions' form");
}

TEST_F(Requests, Streams) {
  const auto call = completion(R"("stream":true,"stream_options":{"include_usage":true,"continuous_usage_stats":true,"include_obfuscation":false})");
  ASSERT_TRUE(call);
  EXPECT_TRUE(call->stream && call->include_usage && call->continuous_usage);
  for (const char* bad : {R"("stream_options":{})", R"("stream":true,"stream_options":7)", R"("stream":true,"stream_options":{"include_usage":1})"})
    expect_refusal(completion(bad), "stream_options", "invalid_request_error", bad);
  EXPECT_TRUE(call->ignored.empty());
  expect_refusal(completion(R"("stream":true,"stream_options":{"include_obfuscation":true})"), "stream_options", "unsupported_parameter", "a promise not kept");
  EXPECT_EQ(completion(R"("stream":true,"stream_options":{"new":1})")->ignored, std::vector<std::string>{"stream_options.new"});
}

TEST_F(Requests, WhatCannotBeHonouredIsRefused) {
  for (const char* each : {R"("guided_json":{"type":"object"})", R"("guided_regex":"a+")", R"("guided_choice":["a"])", R"("guided_grammar":"g")", R"("structured_outputs":{"regex":"a"})",
                           R"("allowed_token_ids":[1])", R"("use_beam_search":true)", R"("prompt_logprobs":1)", R"("priority":1)", R"("kv_transfer_params":{"a":1})",
                           R"("skip_special_tokens":false)", R"("stream_interval":2)", R"("service_tier":"flex")", R"("logits_processors":["a"])", R"("response_format":{"type":"json_object"})",
                           R"("response_format":{"type":"json_schema","json_schema":{}})", R"("response_format":7)", R"("regex":"a+")", R"("ebnf":"g")", R"("json_schema":"{}")",
                           R"("grammar":"g")", R"("structural_tag":"{}")"}) {
    const std::string name = std::string(each).substr(1, std::string(each).find('"', 1) - 1);
    expect_refusal(completion(each), name, "unsupported_parameter", each);
    expect_refusal(chat(each), name, "unsupported_parameter", each);
  }
  for (const char* each : {R"("tools":[{"type":"function"}])", R"("tool_choice":"required")", R"("tool_choice":{"type":"function"})", R"("functions":[{}])", R"("function_call":{"name":"f"})",
                           R"("modalities":["audio"])",
                           R"("audio":{"voice":"a"})", R"("prediction":{"type":"content"})", R"("web_search_options":{"a":1})", R"("reasoning_effort":"high")", R"("verbosity":"low")",
                           R"("store":true)", R"("documents":[{}])", R"("chat_template":"{{ 1 }}")", R"("echo":true)"}) {
    const std::string name = std::string(each).substr(1, std::string(each).find('"', 1) - 1);
    expect_refusal(chat(each), name, "unsupported_parameter", each);
  }
  expect_refusal(completion(R"("suffix":"s")"), "suffix", "unsupported_parameter", "suffix");
  expect_refusal(completion(R"("best_of":2)"), "best_of", "unsupported_parameter", "best_of");
  EXPECT_TRUE(completion(R"("best_of":2,"n":2)"));
}

TEST_F(Requests, WhatAsksForNothingIsTaken) {
  const auto call = chat(
      R"("tools":[],"tool_choice":"none","functions":[],"response_format":{"type":"text"},"modalities":["text"],"store":false,"reasoning_effort":null,)"
      R"("guided_json":null,"allowed_token_ids":null,"use_beam_search":false,"priority":0,"skip_special_tokens":true,"service_tier":"auto","verbosity":"medium",)"
      R"("user":"u","metadata":{"a":"b"},"safety_identifier":"s","prompt_cache_key":"k","parallel_tool_calls":true,"spaces_between_special_tokens":true,"stream_interval":1)");
  ASSERT_TRUE(call) << call.error().message;
  EXPECT_TRUE(call->ignored.empty()) << call->ignored.front();
  EXPECT_TRUE(completion(R"("suffix":"","best_of":1,"user":"u","response_format":{"type":"text"})")->ignored.empty());
}

TEST_F(Requests, UnknownMembersAreTold) {
  EXPECT_EQ(completion(R"("of_next_year":1,"bad name\r\n":2,"another":{})")->ignored, (std::vector<std::string>{"of_next_year", "another"}));
  std::string many;
  for (int i = 0; i < 1000; ++i) many += (i == 0 ? "\"x" : ",\"x") + std::to_string(i) + "\":0";
  EXPECT_EQ(completion(many)->ignored.size(), 32u);
}

TEST_F(Requests, ModelsAndNames) {
  expect_refusal(completion(R"("model":"gpt-99")"), "model", "model_not_found", "another model");
  EXPECT_EQ(completion(R"("model":"default")")->model, "default");
  EXPECT_EQ(completion(R"("request_id":"mine")")->id, "cmpl-mine");
  for (const char* body : {"", "{", "[]", "7", "null", "\"x\"", "{\"prompt\":\"\xff\"}", "{\"prompt\":\"a\",\"top_p\":1e999}"}) EXPECT_FALSE(read(CallKind::kCompletion, body)) << body;
}

TEST_F(Requests, MutatedBodiesAreReadOrRefused) {
  Random random(3);
  const std::string bodies[] = {
      R"({"model":"m","prompt":["a",[98,99]],"max_tokens":5,"temperature":0.5,"stop":["x"],"logit_bias":{"7":1},"n":2,"echo":true,"logprobs":1,"stream":true,"stream_options":{"include_usage":true}})",
      R"({"messages":[{"role":"system","content":"s"},{"role":"user","content":[{"type":"text","text":"a"}]}],"max_tokens":5,"seed":1,"logprobs":true,"top_logprobs":2,"tools":[]})"};
  int taken = 0;
  for (int round = 0; round < 20'000; ++round) {
    std::string body = bodies[round % 2];
    for (std::uint64_t edits = random.below(4); edits > 0; --edits) {
      const std::size_t at = random.below(body.size());
      if (random.chance(1, 3)) body.erase(at, 1 + random.below(3));
      else body[at] = "0123456789{}[]\",:.-eab"[random.below(22)];
    }
    const auto call = read(round % 2 == 0 ? CallKind::kCompletion : CallKind::kChat, body);
    taken += call.has_value();
    if (!call) {
      ASSERT_FALSE(call.error().message.empty()) << body;
      ASSERT_NE(json::serialize(error_object(call.error())), "") << body;
    }
  }
  EXPECT_GT(taken, 5000);
}

}  // namespace
}  // namespace baton::test
