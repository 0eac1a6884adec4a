// SPDX-License-Identifier: Apache-2.0
// What the comparison with jinja2 (tests/golden/chat_template) cannot tell: limits, hostile templates, errors' words,
// concurrency.
#include "models/chat_template.h"

#include <gtest/gtest.h>
#include <time.h>

#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "models/chat_template_factory.h"
#include "models/tokenizer_factory.h"
#include "runtime/base/json.h"
#include "tests/support/gguf_writer.h"
#include "tests/support/tiny_tokenizer.h"

namespace baton {
namespace {

Result<std::string> rendered(std::string source, std::string_view messages = "[]", const ChatTemplateLimits& limits = {}) {
  const auto parsed = ChatTemplate::parse(std::move(source), "<s>", "</s>", limits);
  if (!parsed) return tl::unexpected<Error>(parsed.error());
  ChatInput input;
  input.messages = parse_json(messages).value();
  return (*parsed)->render(input);
}

std::string repeated(std::string_view text, std::size_t times) {
  std::string out;
  for (std::size_t i = 0; i < times; ++i) out += text;
  return out;
}

// Sanitizers make everything several times slower.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr double kMillisecondsMax = 1500;
#else
constexpr double kMillisecondsMax = 100;
#endif

struct Hostile {
  const char* name;
  std::string source;
};

std::vector<Hostile> templates_without_end() {
  const std::string thousand = "{% for a in range(1000) %}";
  return {
      {"nested loops", repeated("{% for x in range(1000) %}", 10) + "{{ x }}" + repeated("{% endfor %}", 10)},
      {"empty nested loops", repeated("{% for x in range(100000) %}", 3) + repeated("{% endfor %}", 3)},
      {"a huge range", "{% for x in range(10**9) %}{% endfor %}"},
      {"the widest range", "{{ range(-9223372036854775807, 9223372036854775807, 1) | length }}"},
      {"doubling", "{% set ns = namespace(s='ab') %}{% for i in range(100) %}{% set ns.s = ns.s + ns.s %}{% endfor %}"},
      {"doubling by ~", "{% set ns = namespace(s='ab') %}{% for i in range(100) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}"},
      {"a list that doubles",
       "{% set ns = namespace(s=[1]) %}{% for i in range(100) %}{% set ns.s = ns.s + ns.s %}{% endfor %}"},
      {"multiplied text", "{{ 'aaaaaaaa' * 10**9 }}"},
      {"multiplied list", "{{ ([0] * 10**9) | length }}"},
      {"a macro without end", "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}"},
      {"two macros without end", "{% macro f() %}{{ g() }}{% endmacro %}{% macro g() %}{{ f() }}{% endmacro %}{{ f() }}"},
      {"a macro that branches", "{% macro f(n) %}{% if n %}{{ f(n-1) }}{{ f(n-1) }}{% endif %}{% endmacro %}{{ f(40) }}"},
      {"a macro that calls back",
       "{% macro f() %}{{ caller() }}{% call f() %}x{% endcall %}{% endmacro %}{% call f() %}y{% endcall %}"},
      {"a huge output", thousand + thousand + repeated("x", 4000) + "{% endfor %}{% endfor %}"},
      {"powers", "{{ 10 ** 10 ** 10 }}"},
      {"a power", "{{ 2 ** 64 }}"},
      {"factorials", "{% set ns = namespace(n=2) %}{% for i in range(100) %}{% set ns.n = ns.n * ns.n %}{% endfor %}"},
      {"parentheses", repeated("{{ " + repeated("(", 5000), 1) + "1" + repeated(")", 5000) + " }}"},
      {"brackets", "{{ " + repeated("[", 100000) + repeated("]", 100000) + " }}"},
      {"nots", "{{ " + repeated("not ", 100000) + "1 }}"},
      {"signs", "{{ " + repeated("-", 100000) + "1 }}"},
      {"ternaries", "{{ " + repeated("1 if 0 else ", 100000) + "1 }}"},
      {"ifs", repeated("{% if 1 %}", 20000) + repeated("{% endif %}", 20000)},
      {"dots", "{{ x" + repeated(".a", 100000) + " }}"},
      {"calls", "{{ x" + repeated("()", 100000) + " }}"},
      {"filters", "{{ 1" + repeated("|string", 100000) + " }}"},
      {"filters of a block", "{% set x " + repeated("|upper", 100000) + " %}{% endset %}"},
      {"targets", "{% set " + repeated("(", 100000) + "x" + repeated(",)", 100000) + " = 1 %}"},
  };
}

std::vector<Hostile> templates_of_heavy_values() {
  return {
      {"lists in lists", "{% set ns = namespace(x=[]) %}{% for i in range(100000) %}{% set ns.x = [ns.x] %}{% endfor %}"},
      {"methods in lists",
       "{% set ns = namespace(x=[]) %}{% for i in range(100000) %}{% set ns.x = [ns.x].count %}{% endfor %}"},
      {"loops in loops' items",
       "{% set ns = namespace(x=[]) %}{% for i in range(99999) %}{% for y in [ns.x] %}{% set ns.x = loop %}{% endfor %}{% "
       "endfor %}"},
      {"cyclers in cyclers",
       "{% set ns = namespace(x=1) %}{% for i in range(99999) %}{% set ns.x = cycler(ns.x) %}{% endfor %}"},
      {"namespaces in namespaces",
       "{% set ns = namespace(x=1) %}{% for i in range(99999) %}{% set ns.x = namespace(x=ns.x) %}{% endfor %}{% for i in "
       "range(99999) %}{% endfor %}{{ 2 ** 64 }}"},
      {"a namespace in itself", "{% set ns = namespace() %}{% set ns.x = [ns] %}{{ ns }}"},
      {"shared lists compared",
       "{% set a = namespace(x=[1]) %}{% set b = namespace(x=[1]) %}{% for i in range(100) %}{% set a.x = [a.x, a.x] %}"
       "{% set b.x = [b.x, b.x] %}{% endfor %}{{ a.x == b.x }}"},
      {"shared lists printed",
       "{% set a = namespace(x=[1]) %}{% for i in range(100) %}{% set a.x = [a.x, a.x] %}{% endfor %}{{ a.x }}"},
      {"shared lists as JSON",
       "{% set a = namespace(x=[1]) %}{% for i in range(100) %}{% set a.x = [a.x, a.x] %}{% endfor %}{{ a.x | tojson }}"},
      {"shared lists compared at 60",
       "{% set a = namespace(x=[1]) %}{% set b = namespace(x=[1]) %}{% for i in range(60) %}{% set a.x = [a.x, a.x] %}"
       "{% set b.x = [b.x, b.x] %}{% endfor %}{{ a.x == b.x }}"},
      {"wide formats", "{{ '%999999999d' % 1 }}"},
      {"wide fields", "{{ '{:>999999999}'.format('x') }}"},
      {"centered", "{{ 'x'.center(10**12) }}"},
      {"replacing", "{{ ('a' * 2000).replace('', 'b' * 100000) }}"},
      {"joining", "{{ ('b' * 100000).join('a' * 10000) }}"},
      {"indenting", "{{ ('\\n' * 100000) | indent(100000, true, true) }}"},
      {"indented JSON", "{{ [[[[1]]]] | tojson(indent=10**9) }}"},
      {"stripping", "{% for i in range(100) %}{% set x = ('a' * 100000).strip('b' * 100000 ~ 'a') %}{% endfor %}"},
      {"searching", "{% for i in range(100000) %}{% set x = ('a' * 100000).find('a' * 50000 ~ 'b') %}{% endfor %}"},
      {"splitting", "{% for i in range(1000) %}{% set x = ('a' * 100000).split('a') %}{% endfor %}"},
      {"sorting", "{% for i in range(1000) %}{% set x = range(10000) | reverse | sort %}{% endfor %}"},
      {"uniques", "{{ range(50000) | unique | list | length }}"},
      {"dictionaries", "{% for i in range(100) %}{% set x = dict(range(20000) | batch(2)) %}{% endfor %}"},
      {"slices", "{% set s = 'é' * 100000 %}{% for i in range(100000) %}{% set x = s[i:] %}{% endfor %}"},
      {"indices", "{% set s = 'é' * 1000000 %}{% for i in range(100000) %}{% set x = s[-1] %}{% endfor %}"},
      {"batches", "{{ [1] | batch(10**12, 0) | list }}"},
      {"slices of lists", "{{ [1] | slice(10**12) | list }}"},
      {"many macros",
       "{% for i in range(100000) %}{% macro f() %}{% endmacro %}{% for j in range(10) %}{{ f() }}{% endfor %}{% endfor %}"},
      {"many names",
       [] {
         std::string source;
         for (int i = 0; i < 10000; ++i) source += "{% set a" + std::to_string(i) + " = 1 %}";
         return source + "{% for i in range(100000) %}{{ zz }}{{ a9999 }}{{ zz }}{% endfor %}";
       }()},
      {"maps of filters", "{% for i in range(100000) %}{% set x = range(100) | map('string') | join %}{% endfor %}"},
      {"generators", "{% set g = range(100000) | map('int') %}{% for i in range(100000) %}{% set x = g | first %}{% endfor %}"},
      {"recursive loops", "{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}"},
  };
}

// Of this thread: what others do on a busy machine is not the template's time. (They share its caches and core, so a second
// measurement may be needed.)
double cpu_milliseconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e3 + static_cast<double>(now.tv_nsec) * 1e-6;
}

TEST(ChatTemplate, EveryHostileTemplateEndsSoonAndSaysWhichLimitItPassed) {
  std::vector<Hostile> all = templates_without_end();
  for (Hostile& hostile : templates_of_heavy_values()) all.push_back(std::move(hostile));
  for (const Hostile& hostile : all) {
    SCOPED_TRACE(hostile.name);
    double milliseconds = 0;
    for (int attempt = 0; attempt < 3 && (attempt == 0 || milliseconds > kMillisecondsMax); ++attempt) {
      const double begin = cpu_milliseconds();
      const Result<std::string> result = rendered(hostile.source);
      milliseconds = cpu_milliseconds() - begin;
      ASSERT_FALSE(result.has_value());
      EXPECT_EQ(result.error().code, ErrorCode::kResourceExhausted) << result.error().message;
      EXPECT_NE(result.error().message.find("chat template"), std::string::npos) << result.error().message;
    }
    EXPECT_LE(milliseconds, kMillisecondsMax);
  }
}

TEST(ChatTemplate, ALongConversationStaysFarBelowTheLimits) {
  std::string messages = "[";
  for (int i = 0; i < 500; ++i) {
    messages += std::string(i > 0 ? "," : "") + R"({"role":"user","content":")" + std::string(1000, 'a') +
                R"("},{"role":"assistant","content":"b"})";
  }
  const auto result = rendered(
      "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] | trim + '<|im_end|>' + '\n' }}{% endfor %}",
      messages + "]");
  ASSERT_TRUE(result.has_value()) << result.error().message;
  EXPECT_GT(result->size(), 500'000U);
}

TEST(ChatTemplate, LimitsAreThoseItIsGiven) {
  ChatTemplateLimits limits;
  limits.steps_max = 100;
  EXPECT_EQ(rendered("{% for i in range(200) %}{% endfor %}", "[]", limits).error().code, ErrorCode::kResourceExhausted);
  limits = {};
  limits.output_max = 10;
  EXPECT_EQ(rendered("0123456789", "[]", limits).value(), "0123456789");
  EXPECT_EQ(rendered("0123456789x", "[]", limits).error().code, ErrorCode::kResourceExhausted);
  limits = {};
  limits.source_max = 10;
  EXPECT_EQ(rendered("0123456789x", "[]", limits).error().code, ErrorCode::kResourceExhausted);
  limits = {};
  limits.depth_max = 8;
  EXPECT_EQ(rendered("{{ ((((((((((1)))))))))) }}", "[]", limits).error().code, ErrorCode::kResourceExhausted);
}

TEST(ChatTemplate, AnErrorNamesTheLineAndWhatIsWrong) {
  EXPECT_EQ(rendered("a\n\n{{ raise_exception('Roles must alternate') }}").error().message,
            "chat template, line 3: the template refuses the conversation: Roles must alternate");
  EXPECT_EQ(rendered("a\n{{ x.y }}").error().message, "chat template, line 2: 'x' is undefined");
  EXPECT_EQ(rendered("\n\n{% if %}").error().message, "chat template, line 3: expected an expression, found %}");
  EXPECT_EQ(rendered("{% include 'x' %}").error().message,
            "chat template, line 1: {% include %} is not supported in a chat template");
  EXPECT_EQ(rendered("{% for x in [1] %}\n").error().code, ErrorCode::kInvalidArgument);
}

TEST(ChatTemplate, VariablesReachTheTemplateButReplaceNothing) {
  const auto parsed =
      ChatTemplate::parse("{{ enable_thinking }} {{ messages | length }} {{ bos_token }} {{ documents }}", "<s>", "").value();
  ChatInput input;
  input.messages = parse_json("[1]").value();
  input.variables =
      parse_json(R"({"enable_thinking": false, "messages": [], "bos_token": "x", "documents": 3})").value().get_object();
  EXPECT_EQ(parsed->render(input).value(), "False 1 <s> 3");
}

TEST(ChatTemplate, ANumberPast64BitsIsRefusedRatherThanChanged) {
  EXPECT_EQ(rendered("{{ messages }}", "[18446744073709551615]").error().code, ErrorCode::kResourceExhausted);
  EXPECT_EQ(rendered("{{ messages }}", "[9223372036854775807]").value(), "[9223372036854775807]");
  EXPECT_EQ(rendered("{{ 9223372036854775807 + 1 }}").error().code, ErrorCode::kResourceExhausted);
}

TEST(ChatTemplate, BytesThatAreNoUtf8PassThrough) {
  EXPECT_EQ(rendered("\xff{{ '\xc3' | upper }}{{ 'a\xff' | length }}\xc3").value(),
            "\xff\xc3"
            "2\xc3");
}

TEST(ChatTemplate, OneTemplateServesManyThreads) {
  const auto parsed = ChatTemplate::parse("{% for i in range(200) %}{{ messages[0] ~ i }}{% endfor %}", "", "").value();
  std::vector<std::thread> threads;
  std::vector<std::string> outputs(4);
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    threads.emplace_back([&parsed, &outputs, i] {
      ChatInput input;
      input.messages = parse_json("[\"m\"]").value();
      outputs[i] = parsed->render(input).value();
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const std::string& output : outputs) EXPECT_EQ(output, outputs[0]);
  EXPECT_EQ(outputs[0].substr(0, 6), "m0m1m2");
}

class ChatTemplateOfModel : public testing::Test {
 protected:
  Result<std::shared_ptr<const ChatTemplate>> load(const char* source) {
    test::TinyTokenizer tiny;
    tiny.controls = {"<|begin|>", "<|end|>"};
    test::GgufWriter writer;
    tiny.add_to(writer);
    writer.add_uint("tokenizer.ggml.bos_token_id", static_cast<std::uint32_t>(tiny.first_control()));
    writer.add_uint("tokenizer.ggml.eos_token_id", static_cast<std::uint32_t>(tiny.first_control()) + 1);
    if (source != nullptr) writer.add_string("tokenizer.chat_template", source);
    const test::TempFile file(writer.build());
    const auto gguf = GgufFile::open(file.path()).value();
    return chat_template_of(*gguf, *make_tokenizer(*gguf).value());
  }
};

TEST_F(ChatTemplateOfModel, HasTheFilesTemplateAndTheTextsOfItsSpecialTokens) {
  const auto loaded = load("{{ bos_token }}{{ messages[0].content }}{{ eos_token }}");
  ASSERT_TRUE(loaded.has_value()) << loaded.error().message;
  ChatInput input;
  input.messages = parse_json(R"([{"role":"user","content":"hi"}])").value();
  EXPECT_EQ((*loaded)->render(input).value(), "<|begin|>hi<|end|>");
}

TEST_F(ChatTemplateOfModel, IsNothingWhereTheFileHasNoneAndAnErrorWhereItIsBroken) {
  EXPECT_EQ(load(nullptr).value(), nullptr);
  EXPECT_EQ(load("{% if %}").error().message, "chat template, line 1: expected an expression, found %}");
}

}  // namespace
}  // namespace baton
