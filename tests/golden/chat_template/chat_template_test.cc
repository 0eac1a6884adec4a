// SPDX-License-Identifier: Apache-2.0
// Our interpreter of chat templates against jinja2, set up as transformers sets it up;
// tools/golden/make_chat_template_golden.py wrote what is expected. Our own cases are committed; those of public models'
// templates are made where the test runs.
#include "models/chat_template.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <string>
#include <utility>

#include "models/chat_template_factory.h"
#include "models/tokenizer_factory.h"
#include "runtime/base/json.h"
#include "tests/support/golden_data.h"
#include "tests/support/verdict.h"

namespace baton {
namespace {

namespace fs = std::filesystem;

std::string text_of(const boost::json::value& value, std::string_view name) {
  const boost::json::value* member = json_member(value, name);
  return member != nullptr && member->is_string() ? std::string(member->get_string()) : std::string();
}

Result<std::string> rendered(const boost::json::value& wanted) {
  const auto parsed = ChatTemplate::parse(text_of(wanted, "template"), text_of(wanted, "bos"), text_of(wanted, "eos"));
  if (!parsed) return tl::unexpected<Error>(parsed.error());
  ChatInput input;
  input.messages = *json_member(wanted, "messages");
  input.tools = *json_member(wanted, "tools");
  input.variables = json_member(wanted, "variables")->get_object();
  input.add_generation_prompt = json_member(wanted, "add_generation_prompt")->get_bool();
  input.now = json_member(wanted, "now")->get_int64();
  return (*parsed)->render(input);
}

struct Tally {
  std::size_t cases = 0, texts = 0;
  std::map<std::string, std::size_t> wrong;  // by template
  std::set<std::string> templates;
};

Tally compare_all(const std::string& path) {
  Tally tally;
  std::ifstream stream(path);
  for (std::string line; std::getline(stream, line);) {
    const auto wanted = parse_json(line);
    if (!wanted) {
      ADD_FAILURE() << path << ": " << wanted.error().message;
      return tally;
    }
    const std::string name = text_of(*wanted, "name");
    const std::string of = name.substr(0, name.find(" / "));
    tally.templates.insert(of);
    ++tally.cases;
    const Result<std::string> got = rendered(*wanted);
    if (json_member(*wanted, "error") != nullptr) {
      EXPECT_FALSE(got.has_value()) << name << ": jinja2 says " << text_of(*wanted, "error");
      if (got) ++tally.wrong[of];
      continue;
    }
    ++tally.texts;
    const std::string expected = text_of(*wanted, "expected");
    if (got && *got == expected) continue;
    ++tally.wrong[of];
    ADD_FAILURE() << name << "\nexpected: " << expected << "\ngot:      " << (got ? *got : got.error().message);
  }
  return tally;
}

TEST(ChatTemplateAgainstJinja, OurOwnCasesOfEveryFeatureAreRenderedAlike) {
  const Tally tally = compare_all(std::string(BATON_SOURCE_DIR) + "/tests/golden/data/chat_template.jsonl");
  EXPECT_GE(tally.cases, 100U);
}

TEST(ChatTemplateAgainstJinja, TemplatesOfPublicModelsAreRenderedAlike) {
  const std::string source = BATON_SOURCE_DIR, folder = source + "/.deps/chat_templates";
  const std::string script = source + "/tools/golden/make_chat_template_golden.py", made = folder + "/cases.jsonl";
  if (!fs::exists(made) || fs::last_write_time(made) < fs::last_write_time(script)) {
    fs::create_directories(folder);
    const std::string python = folder + "/venv/bin/python";
    const std::string make = "cd '" + folder + "' && python3 -m venv venv >&2 && " + python +
                             " -m pip -q install 'jinja2==3.1.6' >&2 && " + python + " '" + script + "' public '" + folder +
                             "' >&2";
    if (std::system(make.c_str()) != 0) {
      GTEST_SKIP() << "tools/golden/make_chat_template_golden.py could not fetch the templates (is PyPI reachable?): see above";
    }
  }
  const Tally tally = compare_all(folder + "/cases.jsonl");
  EXPECT_GE(tally.templates.size(), 40U);
  EXPECT_GE(tally.texts, 160U) << "too few cases that jinja2 renders";
  std::size_t wrong = 0;
  for (const auto& [name, count] : tally.wrong) wrong += count;
  const std::string verdict = "chat templates: " + std::to_string(tally.cases - wrong) + " of " + std::to_string(tally.cases) +
                              " renderings (" + std::to_string(tally.templates.size()) + " templates) equal jinja2's, " +
                              std::to_string(tally.texts) + " of them texts";
  test::report_verdict(verdict.c_str());
}

TEST(ChatTemplateAgainstJinja, TheRealModelsOwnTemplateMakesTheTextThatTransformersMade) {
  const auto path = test::golden_model_path();
  if (!path) GTEST_SKIP() << test::golden_model_missing();
  const auto file = GgufFile::open(*path).value();
  const auto tokenizer = make_tokenizer(*file).value();
  const auto parsed = chat_template_of(*file, *tokenizer).value();
  ASSERT_NE(parsed, nullptr);
  std::size_t chats = 0;
  for (const test::GoldenGreedy& golden : test::load_golden_greedy()) {
    if (!golden.chat) continue;
    ChatInput input;
    input.messages.emplace_array();
    for (const auto& [role, content] : golden.messages) {
      boost::json::object message;
      message["role"] = role;
      message["content"] = content;
      input.messages.get_array().push_back(std::move(message));
    }
    const std::string text = parsed->render(input).value();
    EXPECT_EQ(text, golden.text);
    EXPECT_EQ(tokenizer->encode(text, {.add_special = false, .parse_special = true}), golden.prompt_ids);
    ++chats;
  }
  EXPECT_GT(chats, 3U);
}

}  // namespace
}  // namespace baton
