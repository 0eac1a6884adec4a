// SPDX-License-Identifier: Apache-2.0
// Many jobs from a file, chats, and jobs that outlive their clients, with real processes.
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <set>
#include <sstream>

#include "tests/support/cluster_process.h"
#include "tests/support/json_lines.h"
#include "tests/support/tiny_llama.h"
#include "tests/support/tiny_tokenizer.h"

namespace baton::test {
namespace {

std::vector<Json> lines_of(const std::string& text) {
  std::istringstream stream(text);
  std::vector<Json> found;
  for (std::string line; std::getline(stream, line);) found.push_back(parse_json(line));
  return found;
}

std::string text_of_tokens(const std::vector<Json>& events) {
  std::string text;
  for (const Json& event : events) {
    if (event.at("event").text == "token") text += event.at("text").text;
    if (const Json* tail = event.find("tail")) text += tail->text;
  }
  return text;
}

class Jobs : public ::testing::Test {
 protected:
  static ClusterSpec slow_spec() {
    OracleOptions model;
    model.step_time = std::chrono::milliseconds(10);
    return oracle_spec(model, 2048);
  }
  TestHome home_;
};

TEST_F(Jobs, AFileOfJobsIsAnsweredLineByLine) {
  ClusterProcess cluster(home_, oracle_spec({}, 2048));
  ASSERT_TRUE(cluster.up());
  std::string file;
  for (int i = 0; i < 40; ++i) file += "{\"id\":\"j" + std::to_string(i) + "\",\"prompt\":\"prompt " + std::to_string(i) + "\",\"max_tokens\":" + std::to_string(1 + i % 9) + ",\"ignore_eos\":true}\n";
  file += "\n{\"prompt\":\"x\",\"bogus\":1}\nnonsense\n{\"prompt\":\"y\",\"max_tokens\":99999999}\n";
  write_text(home_.path() + "/jobs.jsonl", file);
  const Output done = home_.run({"submit", "--jobs", home_.path() + "/jobs.jsonl", "--concurrency", "8", "--out", home_.path() + "/out.jsonl"});
  EXPECT_EQ(done.exit_status, 1) << "three lines failed";
  EXPECT_EQ(done.out, "");
  EXPECT_NE(done.err.find("/jobs.jsonl:42: there is no \"bogus\""), std::string::npos) << done.err;
  EXPECT_NE(done.err.find("/jobs.jsonl:43: "), std::string::npos) << done.err;
  std::map<std::int64_t, Json> answers;
  for (const Json& answer : lines_of(read_text(home_.path() + "/out.jsonl"))) EXPECT_TRUE(answers.emplace(static_cast<std::int64_t>(answer.at("line").number), answer).second);
  ASSERT_EQ(answers.size(), 43u);
  for (int i = 0; i < 40; ++i) {
    const Json& answer = answers.at(i + 1);
    EXPECT_EQ(answer.at("id").text, "j" + std::to_string(i));
    EXPECT_EQ(answer.at("finish_reason").text, "length");
    EXPECT_EQ(answer.at("usage").at("completion_tokens").number, 1 + i % 9);
    EXPECT_GT(answer.at("timings").at("total_ms").number, 0);
  }
  const Output alone = home_.run({"submit", "prompt 8", "--max-tokens", "9", "--ignore-eos"});
  EXPECT_EQ(answers.at(9).at("text").text + '\n', alone.out) << "the same text as alone";
  EXPECT_EQ(answers.at(42).at("error").at("code").text, "invalid_argument");
  EXPECT_NE(answers.at(44).at("error").at("message").text.find("context"), std::string::npos);

  write_text(home_.path() + "/good.jsonl", "{\"prompt\":[1,2,3]}\n{\"prompt\":\"b\"}");
  const Output good = home_.run({"submit", "--jobs", home_.path() + "/good.jsonl", "--max-tokens", "3"});
  EXPECT_EQ(good.exit_status, 0) << good.err;
  EXPECT_EQ(lines_of(good.out).size(), 2u);
  for (const std::vector<std::string>& more : std::vector<std::vector<std::string>>{{"text"}, {"--id", "x"}, {"--n", "2"}, {"--concurrency", "0"}, {"--detach"}}) {
    std::vector<std::string> words = {"submit", "--jobs", home_.path() + "/good.jsonl"};
    words.insert(words.end(), more.begin(), more.end());
    EXPECT_EQ(home_.run(words).exit_status, 2) << more.front();
  }
  EXPECT_EQ(home_.run({"submit", "x", "--out", "y"}).exit_status, 2);
  EXPECT_EQ(home_.run({"submit", "--jobs", home_.path() + "/none.jsonl"}).exit_status, 1);
  EXPECT_NE(home_.run({"submit", "hello", "--chat"}).err.find("the test model has no chat template"), std::string::npos);
  EXPECT_EQ(cluster.fsck(), "");
}

// The tiny model knows 96 bytes, capitals among them.
TEST_F(Jobs, AChatGoesThroughTheModelsTemplate) {
  TinyLlama tiny;
  tiny.more = [](GgufWriter& writer) {
    TinyTokenizer{}.add_to(writer);
    writer.add_string("tokenizer.chat_template", "{% for m in messages %}{{ m.role|upper }}:{{ m.content|upper }} {% endfor %}ASSISTANT:");
  };
  const TempFile model(build_tiny_llama(tiny));
  ClusterSpec spec;
  spec.model = model.path();
  spec.kv_memory = "4MiB";
  spec.pools = {"name: both, role: both, threads: 1"};
  ClusterProcess cluster(home_, spec);
  ASSERT_TRUE(cluster.up());
  const Output chat = home_.run({"submit", "HELLO", "--chat", "--max-tokens", "8", "--ignore-eos", "--json"});
  const Output plain = home_.run({"submit", "USER:HELLO ASSISTANT:", "--max-tokens", "8", "--ignore-eos", "--json"});
  ASSERT_EQ(chat.exit_status, 0) << chat.err;
  EXPECT_EQ(text_of_tokens(lines_of(chat.out)), text_of_tokens(lines_of(plain.out)));
  write_text(home_.path() + "/jobs.jsonl", R"({"messages":[{"role":"user","content":"Hello"}],"max_tokens":8,"ignore_eos":true})");
  const Output jobs = home_.run({"submit", "--jobs", home_.path() + "/jobs.jsonl", "--chat"});
  ASSERT_EQ(jobs.exit_status, 0) << jobs.err;
  EXPECT_EQ(lines_of(jobs.out).at(0).at("text").text, text_of_tokens(lines_of(plain.out)));

  // Two turns over a pipe.
  const std::string command = "printf 'HI\\nAGAIN\\n' | HOME=" + home_.path() + " " + baton_program() + " chat --system BE --max-tokens 4 > " +
                              home_.path() + "/answers 2> " + home_.path() + "/messages";
  EXPECT_EQ(std::system(command.c_str()), 0) << read_text(home_.path() + "/messages");
  const std::string messages = read_text(home_.path() + "/messages");
  std::size_t summaries = 0;
  for (std::size_t at = messages.find("[TTFT "); at != std::string::npos; at = messages.find("[TTFT ", at + 1)) ++summaries;
  EXPECT_EQ(summaries, 2u) << messages;
  EXPECT_NE(messages.find(" prompt tokens cached]"), std::string::npos) << messages;
}

TEST_F(Jobs, ADetachedJobOutlivesItsClientAndIsResumedAtAnyToken) {
  ClusterProcess cluster(home_, slow_spec());
  ASSERT_TRUE(cluster.up());
  const Output left = home_.run({"submit", "a story", "--detach", "--id", "story", "--max-tokens", "60", "--ignore-eos"});
  ASSERT_EQ(left.exit_status, 0) << left.err;
  EXPECT_EQ(left.out, "story\n");
  EXPECT_LT(left.took, std::chrono::milliseconds(550)) << "it leaves before the job's 60 steps of 10 ms";
  const Output late = home_.run({"attach", "story", "--json", "--from", "3"});
  ASSERT_EQ(late.exit_status, 0) << late.err;
  const std::vector<Json> resumed = lines_of(late.out);
  ASSERT_GT(resumed.size(), 3u);
  EXPECT_EQ(resumed.at(1).at("index").number, 3);
  EXPECT_EQ(resumed.back().at("event").text, "done");
  EXPECT_EQ(resumed.back().at("usage").at("completion_tokens").number, 60);
  const Output again = home_.run({"attach", "story"});
  const Output same = home_.run({"submit", "a story", "--max-tokens", "60", "--ignore-eos"});
  EXPECT_EQ(again.out, same.out);

  // A client that dies while it watches takes nothing with it.
  ASSERT_EQ(home_.run({"submit", "b", "--detach", "--id", "watched", "--max-tokens", "150", "--ignore-eos"}).exit_status, 0);
  const pid_t watcher = home_.start({"attach", "watched", "--json"}, "watched");
  EXPECT_TRUE(comes_true([&] { return read_text(home_.path() + "/watched").find("\"token\"") != std::string::npos; }));
  kill(watcher, SIGKILL);
  home_.wait_for(watcher, std::chrono::seconds(5));
  const Output whole = home_.run({"attach", "watched", "--json"});
  EXPECT_EQ(lines_of(whole.out).back().at("usage").at("completion_tokens").number, 150);

  ASSERT_EQ(home_.run({"submit", "c", "--detach", "--id", "unwanted", "--max-tokens", "1000", "--ignore-eos"}).exit_status, 0);
  EXPECT_EQ(home_.run({"cancel", "unwanted"}).exit_status, 0);
  const Output cancelled = home_.run({"attach", "unwanted", "--json"});
  EXPECT_EQ(lines_of(cancelled.out).back().at("finish_reason").text, "cancelled");
  const Output unknown = home_.run({"attach", "nobodys"});
  EXPECT_EQ(unknown.exit_status, 1);
  EXPECT_NE(unknown.err.find("no detached job 'nobodys' is kept"), std::string::npos) << unknown.err;
  EXPECT_EQ(home_.run({"submit", "d", "--detach", "--n", "2"}).exit_status, 1);
  EXPECT_EQ(cluster.fsck(), "");
}

}  // namespace
}  // namespace baton::test
