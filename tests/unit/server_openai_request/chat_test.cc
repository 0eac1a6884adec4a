// SPDX-License-Identifier: Apache-2.0
// Chats: the forms of messages, what the template makes of them, and what it is told.
#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <vector>

#include "tests/unit/server_openai_request/read_call_fixture.h"

namespace baton::test {
namespace {

constexpr const char* kTurn = "<|im_start|>";
// Shows all it is given.
constexpr const char* kDump =
    "{{ messages | tojson }}|{{ tools }}|{{ add_generation_prompt }}|{{ mood }}|{{ enable_thinking }}";

class Chats : public ReadCall {
 protected:
  static std::string chat(const std::string& messages, const std::string& more = "") {
    return R"({"messages":)" + messages + (more.empty() ? "" : "," + more) + "}";
  }
  // The text that became the prompt.
  std::string prompt(const std::string& messages, const std::string& more = "") const {
    const OpenAiCall call = take(read(CallKind::kChat, chat(messages, more)), messages);
    std::string text;
    for (const TokenId id : call.jobs[0].prompt_ids) text += served_.tokenizer->token_bytes(id, true);
    return text;
  }
  ApiError bad_chat(const std::string& messages, const std::string& more = "") const {
    return refusal(read(CallKind::kChat, chat(messages, more)), messages);
  }
};

TEST_F(Chats, BecomeTheTemplatesTextWithItsSpecialTokens) {
  const OpenAiCall call =
      take(read(CallKind::kChat, chat(R"([{"role":"system","content":"Be."},{"role":"user","content":"Hi"}])")), "");
  ASSERT_EQ(call.jobs.size(), 1u);
  const std::vector<TokenId>& ids = call.jobs[0].prompt_ids;
  EXPECT_EQ(ids.front(), 256) << "one token, not the letters of its name";
  EXPECT_EQ(std::count(ids.begin(), ids.end(), 256), 3);
  EXPECT_EQ(prompt(R"([{"role":"user","content":"Hi"}])"), "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n");
}

TEST_F(Chats, TakeContentInItsForms) {
  const auto body_of = [](const std::string& text) {
    return kTurn + ("user\n" + text) + "<|im_end|>\n<|im_start|>assistant\n";
  };
  EXPECT_EQ(prompt(R"([{"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]}])"), body_of("a\nb"));
  EXPECT_EQ(prompt(R"([{"role":"user","content":[]}])"), body_of(""));
  EXPECT_EQ(prompt(R"([{"role":"user","content":""}])"), body_of(""));
  EXPECT_EQ(prompt(R"([{"role":"user","content":[{"type":"refusal","refusal":"no"}]}])"), body_of("no"));
  const std::string assistant = "<|im_start|>assistant\n<|im_end|>\n<|im_start|>assistant\n";
  EXPECT_EQ(prompt(R"([{"role":"assistant","content":null}])"), assistant);
  EXPECT_EQ(prompt(R"([{"role":"assistant"}])"), assistant);
}

TEST_F(Chats, RefuseMessagesThatAreWrong) {
  struct Case {
    const char* messages;
    const char* param;
    const char* code;
  };
  const char* const invalid = "invalid_request_error";
  const char* const unsupported = "unsupported_parameter";
  const Case cases[] = {
      {"null", "messages", invalid},
      {"[]", "messages", invalid},
      {"{}", "messages", invalid},
      {"\"hi\"", "messages", invalid},
      {"[\"hi\"]", "messages", invalid},
      {"[null]", "messages", invalid},
      {"[{}]", "messages", invalid},
      {R"([{"role":"user","content":"a"},{"role":1,"content":"a"}])", "messages", invalid},
      {R"([{"role":"robot","content":"a"}])", "messages", invalid},
      {R"([{"role":"User","content":"a"}])", "messages", invalid},
      {R"([{"role":"user"}])", "messages", invalid},
      {R"([{"role":"user","content":null}])", "messages", invalid},
      {R"([{"role":"system","content":null}])", "messages", invalid},
      {R"([{"role":"tool","content":null}])", "messages", invalid},
      {R"([{"role":"user","content":3}])", "messages", invalid},
      {R"([{"role":"user","content":{}}])", "messages", invalid},
      {R"([{"role":"user","content":["a"]}])", "messages", invalid},
      {R"([{"role":"user","content":[{}]}])", "messages", invalid},
      {R"([{"role":"user","content":[{"type":"text"}]}])", "messages", invalid},
      {R"([{"role":"user","content":[{"type":"text","text":1}]}])", "messages", invalid},
      {R"([{"role":"user","content":[{"type":"text","text":"a"},{"type":"image_url","image_url":{"url":"x"}}]}])", "messages",
       unsupported},
      {R"([{"role":"user","content":[{"type":"input_audio","input_audio":{}}]}])", "messages", unsupported},
      {R"([{"role":"user","content":[{"type":"file","file":{}}]}])", "messages", unsupported},
      {R"([{"role":"assistant","audio":{"id":"x"}}])", "messages", unsupported},
      {R"([{"role":"assistant","tool_calls":{}}])", "messages", invalid},
      {R"([{"role":"assistant","tool_calls":[1]}])", "messages", invalid},
      {R"([{"role":"assistant","tool_calls":[{"function":{"arguments":"{"}}]}])", "messages", invalid},
  };
  for (const Case& each : cases) {
    const ApiError error = bad_chat(each.messages);
    EXPECT_EQ(error.status, 400u) << each.messages;
    EXPECT_EQ(error.param, each.param) << each.messages << ": " << error.message;
    EXPECT_EQ(error.code, each.code) << each.messages;
  }
  EXPECT_EQ(refusal(read(CallKind::kChat, R"({"prompt":"a"})"), "no messages").param, "messages");
}

TEST_F(Chats, GiveTheTemplateWhatItExpects) {
  served_ = make_served_model(4096, kDump);
  const auto messages = [&](const std::string& sent) {
    const std::string text = prompt(sent);
    return text.substr(0, text.find('|'));
  };
  EXPECT_EQ(messages(R"([{"role":"user","content":"a","name":"Ann","extra":[1]}])"),
            R"([{"role": "user", "content": "a", "name": "Ann", "extra": [1]}])");
  // As OpenAI's libraries send answers back; templates ask whether a member is there.
  EXPECT_EQ(
      messages(R"([{"role":"assistant","content":"a","refusal":null,"audio":null,"tool_calls":[],"function_call":null}])"),
      R"([{"role": "assistant", "content": "a"}])");
  EXPECT_EQ(
      messages(
          R"([{"role":"assistant","tool_calls":[{"id":"1","type":"function","function":{"name":"f","arguments":"{\"a\":1}"}}]},
                         {"role":"tool","tool_call_id":"1","content":"2"}])"),
      R"([{"role": "assistant", "tool_calls": [{"id": "1", "type": "function", "function": {"name": "f", "arguments": {"a": 1}}}], )"
      R"("content": ""}, {"role": "tool", "tool_call_id": "1", "content": "2"}])");
  EXPECT_EQ(messages(R"([{"role":"assistant","tool_calls":[{"function":{"name":"f","arguments":""}}]}])"),
            R"([{"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": {}}}], "content": ""}])");
  EXPECT_EQ(messages(R"([{"role":"developer","content":"a"}])"), R"([{"role": "system", "content": "a"}])");
}

// Left out one by one, they would cost minutes.
TEST_F(Chats, MayHaveManyMembersThatAreNull) {
  std::string message = R"({"role":"user","content":"a")";
  for (int i = 0; i < 300'000; ++i) message += "," + member("k" + std::to_string(i), "null");
  const auto began = std::chrono::steady_clock::now();
  EXPECT_EQ(prompt("[" + message + "}]"), "<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\n");
  EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::seconds(20));
}

TEST_F(Chats, LeaveTheDeveloperToTemplatesThatKnowOne) {
  served_ = make_served_model(256, "{# developer #}{{ messages[0].role }}");
  EXPECT_EQ(prompt(R"([{"role":"developer","content":"a"}])"), "developer");
}

TEST_F(Chats, TellTheTemplateItsVariables) {
  served_ = make_served_model(4096, kDump);
  const auto told = [&](const std::string& more) {
    const std::string text = prompt(R"([{"role":"user","content":"a"}])", more);
    return text.substr(text.find('|'));
  };
  EXPECT_EQ(told(R"("temperature":1)"), "|None|True||");
  EXPECT_EQ(told(R"("add_generation_prompt":false)"), "|None|False||");
  EXPECT_EQ(told(R"("chat_template_kwargs":{"mood":"good","other":{}})"), "|None|True|good|");
  EXPECT_EQ(told(R"("reasoning_effort":"none")"), "|None|True||False");
  EXPECT_EQ(told(R"("reasoning_effort":"none","chat_template_kwargs":{"enable_thinking":true})"), "|None|True||True");
  for (const char* name :
       {"messages", "tools", "add_generation_prompt", "bos_token", "eos_token", "chat_template", "documents"})
    EXPECT_EQ(bad_chat(R"([{"role":"user","content":"a"}])", R"("chat_template_kwargs":{)" + member(name, "1") + "}").param,
              "chat_template_kwargs");
  EXPECT_EQ(bad_chat(R"([{"role":"user","content":"a"}])", R"("chat_template_kwargs":[])").param, "chat_template_kwargs");
}

TEST_F(Chats, RefuseAnEffortOtherThanNone) {
  EXPECT_EQ(bad(CallKind::kChat, R"("reasoning_effort":"high")").code, "unsupported_parameter");
  EXPECT_EQ(bad(CallKind::kChat, R"("reasoning_effort":1)").param, "reasoning_effort");
  good(CallKind::kChat, R"("reasoning_effort":"none")");
}

TEST_F(Chats, GoOnFromTheFinalMessage) {
  const std::string said = R"([{"role":"user","content":"Hi"},{"role":"assistant","content":"Well, "}])";
  const std::string front = "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n";
  EXPECT_EQ(prompt(said, R"("continue_final_message":true,"add_generation_prompt":false)"), front + "Well, ");
  EXPECT_EQ(prompt(said, R"("continue_final_message":true)"), front + "Well, ");
  EXPECT_EQ(prompt(R"([{"role":"assistant","content":[{"type":"text","text":"a"}]}])", R"("continue_final_message":true)"),
            "<|im_start|>assistant\na");
  EXPECT_EQ(prompt(R"([{"role":"assistant","content":null}])", R"("continue_final_message":true)"), "<|im_start|>assistant\n");
  EXPECT_EQ(bad_chat(said, R"("continue_final_message":true,"add_generation_prompt":true)").param, "continue_final_message");
  // What the template writes behind the message may look like it.
  EXPECT_EQ(prompt(R"([{"role":"assistant","content":"<"}])", R"("continue_final_message":true)"), "<|im_start|>assistant\n<");
  EXPECT_EQ(prompt(R"([{"role":"assistant","content":"end"}])", R"("continue_final_message":true)"),
            "<|im_start|>assistant\nend");
  // One that trims messages: what it would have trimmed goes.
  served_ = make_served_model(256, "{% for m in messages %}[{{ m.content | trim }}]{% endfor %}");
  EXPECT_EQ(prompt(said, R"("continue_final_message":true)"), "[Hi][Well,");
  // Ones that do not show it.
  for (const char* source : {"{{ messages[0].content }}", "{{ messages[-1].content | upper }}", "nothing"}) {
    served_ = make_served_model(256, source);
    const ApiError error = bad_chat(said, R"("continue_final_message":true)");
    EXPECT_EQ(error.param, "continue_final_message");
  }
}

TEST_F(Chats, BeginWithBosOnlyWhenTheTemplateOrTheClientSaysSo) {
  served_ = make_served_model(256, "{{ bos_token }}{{ messages[0].content }}", true);
  EXPECT_EQ(prompt(R"([{"role":"user","content":"a"}])"), "<s>a");
  EXPECT_EQ(prompt(R"([{"role":"user","content":"a"}])", R"("add_special_tokens":true)"), "<s><s>a");
}

TEST_F(Chats, AreRefusedInTheTemplatesWords) {
  served_ = make_served_model(256, "{{ raise_exception('roles must alternate') }}");
  const ApiError error = bad(CallKind::kChat, "");
  EXPECT_EQ(error.status, 400u);
  EXPECT_EQ(error.param, "messages");
  EXPECT_NE(error.message.find("roles must alternate"), std::string::npos);
  served_ = make_served_model(256, "{% for i in range(100000) %}{% for j in range(100000) %}{% endfor %}{% endfor %}");
  EXPECT_EQ(bad(CallKind::kChat, "").status, 400u) << "a limit of the template is no overload";
}

TEST_F(Chats, NeedATemplate) {
  served_ = make_served_model(256, "");
  const ApiError error = bad(CallKind::kChat, "");
  EXPECT_EQ(error.status, 400u);
  EXPECT_NE(error.message.find("/v1/completions"), std::string::npos);
  good(CallKind::kCompletion, "");
}

TEST_F(Chats, MayUseTheContextToItsEnd) {
  const std::size_t around = prompt(R"([{"role":"user","content":""}])").size() - 2 * 11 - 9;  // each special token is one id
  const auto of_size = [&](std::size_t tokens) {
    return R"([{"role":"user","content":)" + quoted(std::string(tokens - around, 'a')) + "}]";
  };
  const auto call = [&](const std::string& messages, const std::string& more) {
    return take(read(CallKind::kChat, chat(messages, more)), more);
  };
  ASSERT_EQ(call(of_size(100), "\"n\":1").jobs[0].prompt_ids.size(), 100u);
  EXPECT_EQ(call(of_size(100), "\"n\":1").jobs[0].sampling.max_tokens, 156u);
  EXPECT_EQ(call(of_size(255), "\"n\":1").jobs[0].sampling.max_tokens, 1u);
  EXPECT_EQ(call(of_size(100), R"("max_tokens":156)").jobs[0].sampling.max_tokens, 156u);
  ApiError error = bad_chat(of_size(100), R"("max_tokens":157)");
  EXPECT_EQ(error.code, "context_length_exceeded");
  EXPECT_EQ(error.param, "messages");
  EXPECT_EQ(
      error.message,
      "This model's maximum context length is 256 tokens. However, you requested 257 tokens (100 in the messages, 157 in the "
      "completion). Please reduce the length of the messages or completion.");
  error = bad_chat(of_size(256));
  EXPECT_EQ(error.message,
            "This model's maximum context length is 256 tokens. However, your messages resulted in 256 tokens. Please reduce "
            "the length "
            "of the messages.");
  EXPECT_EQ(error.code, "context_length_exceeded");
}

}  // namespace
}  // namespace baton::test
