// SPDX-License-Identifier: Apache-2.0
// Every sampling parameter through `baton submit`, with the small real model: what each does to the answer, and that one worker
// which does everything and a pair that hands over say the same to the last digit of a log-probability. Release preset only.
#include <gtest/gtest.h>

#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "tests/support/cluster_process.h"
#include "tests/support/golden_data.h"
#include "tests/support/json_lines.h"
#include "tests/support/slow_build.h"

namespace baton::test {
namespace {

const char* const kPrompt = "The capital of France is";

struct Choice {
  std::vector<double> ids;
  std::vector<double> logprobs;
  std::vector<std::vector<double>> top_ids;
  std::string text;
  std::string reason;
  std::string stop;
  friend bool operator==(const Choice&, const Choice&) = default;
};
struct Answer {
  std::vector<Choice> choices;
  std::vector<double> prompt_logprobs;
  double prompt_tokens = 0;
  double completion_tokens = 0;
  friend bool operator==(const Answer&, const Answer&) = default;
};

std::string text_at(const Json& line, const char* name) {
  const Json* found = line.find(name);
  return found == nullptr ? "" : found->text;
}

Answer answer_of(const std::string& output, std::size_t choices) {
  Answer answer;
  answer.choices.resize(choices);
  std::istringstream stream(output);
  for (std::string text; std::getline(stream, text);) {
    const Json line = parse_json(text);
    const std::string event = line.at("event").text;
    const Json* number = line.find("choice");
    Choice& choice = answer.choices[number == nullptr ? 0 : static_cast<std::size_t>(number->number)];
    if (event == "prompt_logprobs")
      for (const Json& token : line.at("tokens").items) answer.prompt_logprobs.push_back(token.at("logprob").number);
    if (event == "token") {
      choice.ids.push_back(line.at("id").number);
      choice.text += line.at("text").text;
      if (const Json* logprob = line.find("logprob")) choice.logprobs.push_back(logprob->number);
      if (const Json* top = line.find("top_logprobs")) {
        choice.top_ids.emplace_back();
        for (const Json& each : top->items) choice.top_ids.back().push_back(each.at("id").number);
      }
    }
    if (event == "choice_done" || (event == "done" && choices == 1)) {
      choice.text += text_at(line, "tail");
      choice.reason = line.at("finish_reason").text;
      choice.stop = text_at(line, "stop");
    }
    if (event != "done") continue;
    answer.prompt_tokens = line.at("usage").at("prompt_tokens").number;
    answer.completion_tokens = line.at("usage").at("completion_tokens").number;
  }
  return answer;
}

class Sampling : public ::testing::Test {
 protected:
  void SetUp() override {
    if (kSlowBuild) GTEST_SKIP() << "runs in the release preset";
    const auto path = golden_model_path();
    if (!path) GTEST_SKIP() << golden_model_missing();
    spec_.name = "sampling";
    spec_.model = *path;
    spec_.kv_memory = "64MiB";
  }
  Answer submit(std::vector<std::string> words, std::size_t choices = 1, const char* prompt = kPrompt) {
    words.insert(words.begin(), {"submit", prompt, "--json"});
    const Output output = home_.run(words);
    EXPECT_EQ(output.exit_status, 0) << output.err << output.out;
    return answer_of(output.out, choices);
  }
  // All that is said on one cluster, by name.
  std::map<std::string, Answer> say_everything();

  TestHome home_;
  ClusterSpec spec_;
};

std::map<std::string, Answer> Sampling::say_everything() {
  std::map<std::string, Answer> said;
  const auto say = [&](const std::string& name, std::vector<std::string> words, std::size_t choices = 1) { said[name] = submit(std::move(words), choices); };
  say("plain", {"--max-tokens", "12"});
  say("logprobs", {"--max-tokens", "12", "--logprobs", "3"});
  say("prompt", {"--max-tokens", "1", "--prompt-logprobs", "2"});
  say("stop", {"--max-tokens", "40", "--stop", "nowhere", "--stop", "answer is"});
  say("included", {"--max-tokens", "40", "--stop", "Paris", "--include-stop"});
  say("bad", {"--max-tokens", "12", "--bad-word", "Paris"});
  say("penalties", {"--max-tokens", "40", "--repetition-penalty", "1.3", "--presence-penalty", "0.5", "--frequency-penalty", "0.5"});
  say("three", {"--max-tokens", "8", "--n", "3", "--temperature", "1", "--seed", "5", "--logprobs", "0"}, 3);
  say("alone", {"--max-tokens", "8", "--temperature", "1", "--seed", "5", "--logprobs", "0"});
  said["biased"] = submit({"--max-tokens", "5", "--logit-bias", "28=100"});
  said["halted"] = submit({"--max-tokens", "40", "--stop-token-id", std::to_string(static_cast<int>(said["plain"].choices[0].ids[3]))});
  said["patient"] = submit({"--max-tokens", "20", "--min-tokens", "15", "--stop-token-id", std::to_string(static_cast<int>(said["plain"].choices[0].ids[3]))});
  return said;
}

void expect_effects(std::map<std::string, Answer>& said) {
  const Choice& plain = said["plain"].choices[0];
  EXPECT_NE(plain.text.find("Paris"), std::string::npos) << plain.text;
  EXPECT_TRUE(plain.logprobs.empty());

  const Choice& scored = said["logprobs"].choices[0];
  EXPECT_EQ(scored.ids, plain.ids);
  ASSERT_EQ(scored.logprobs.size(), plain.ids.size());
  for (std::size_t i = 0; i < scored.ids.size(); ++i) {
    EXPECT_LT(scored.logprobs[i], 0);
    ASSERT_EQ(scored.top_ids[i].size(), 3u);
    EXPECT_EQ(scored.top_ids[i][0], scored.ids[i]) << "greedy takes the likeliest";
  }
  EXPECT_EQ(said["prompt"].prompt_logprobs.size(), said["prompt"].prompt_tokens - 1);

  const Choice& stopped = said["stop"].choices[0];
  EXPECT_EQ(stopped.reason, "stop") << stopped.text;
  ASSERT_EQ(stopped.stop, "answer is") << stopped.text;
  EXPECT_EQ(stopped.text.find(stopped.stop), std::string::npos) << stopped.text;
  EXPECT_EQ(said["stop"].completion_tokens, stopped.ids.size());
  EXPECT_TRUE(said["included"].choices[0].text.ends_with("Paris")) << said["included"].choices[0].text;
  EXPECT_EQ(said["bad"].choices[0].text.find("Paris"), std::string::npos) << said["bad"].choices[0].text;

  const Choice& varied = said["penalties"].choices[0];
  std::map<double, int> counts;
  for (const double id : varied.ids) ++counts[id];
  EXPECT_GT(counts.size() * 10, varied.ids.size() * 8) << "few repetitions: " << varied.text;

  const std::vector<Choice>& three = said["three"].choices;
  EXPECT_EQ(three[0].ids, said["alone"].choices[0].ids) << "the first of several is the one that comes alone";
  EXPECT_EQ(three[0].logprobs, said["alone"].choices[0].logprobs);
  EXPECT_NE(three[1].ids, three[0].ids);
  EXPECT_NE(three[2].ids, three[1].ids);

  EXPECT_EQ(said["biased"].choices[0].ids, std::vector<double>(5, 28));
  EXPECT_EQ(said["halted"].choices[0].reason, "stop");
  EXPECT_LE(said["halted"].choices[0].ids.size(), 4u);
  EXPECT_GT(said["patient"].choices[0].ids.size(), 15u);
}

TEST_F(Sampling, EveryParameterActsAndAPairSaysWhatOneWorkerSays) {
  std::map<std::string, Answer> alone;
  {
    spec_.pools = {"name: all, role: both, threads: 2"};
    ClusterProcess one(home_, spec_);
    ASSERT_TRUE(one.up());
    alone = say_everything();
    expect_effects(alone);
    EXPECT_EQ(one.fsck(), "");
    EXPECT_EQ(one.down().exit_status, 0);
  }
  spec_.name = "pair";
  spec_.pools = {"name: prefill, role: prefill, threads: 1", "name: decode, role: decode, threads: 1"};
  ClusterProcess two(home_, spec_);
  ASSERT_TRUE(two.up());
  std::map<std::string, Answer> apart = say_everything();
  for (const auto& [name, answer] : alone) EXPECT_TRUE(answer == apart[name]) << name << ": " << answer.choices[0].text << " / " << apart[name].choices[0].text;

  const Output people = home_.run({"submit", kPrompt, "--max-tokens", "4", "--n", "2", "--temperature", "1"});
  EXPECT_EQ(people.exit_status, 0) << people.err;
  for (const char* heading : {"[choice 0, length]\n", "[choice 1, length]\n"}) EXPECT_NE(people.out.find(heading), std::string::npos) << people.out;
  const Output wrong = home_.run({"submit", kPrompt, "--stop-token-id", "99999999"});
  EXPECT_EQ(wrong.exit_status, 1);
  EXPECT_NE(wrong.err.find("stop_token_ids names token 99999999, outside the vocabulary of"), std::string::npos) << wrong.err;
  EXPECT_EQ(two.fsck(), "");
  EXPECT_EQ(two.down().exit_status, 0);
  EXPECT_EQ(two.complaints_in_logs(), "");
}

}  // namespace
}  // namespace baton::test
