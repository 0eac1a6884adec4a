// SPDX-License-Identifier: Apache-2.0
// The program as a user meets it: exit codes, help, one cluster of the test model from up to down. Real processes; each
// test has its own HOME, so clusters of the machine's user are neither seen nor touched.
#include <gtest/gtest.h>
#include <signal.h>

#include <filesystem>
#include <sstream>

#include "launcher/subprocess.h"
#include "tests/support/cluster_process.h"
#include "tests/support/json_lines.h"

namespace baton::test {
namespace {

// Words between spaces.
std::vector<std::string> words_of(const std::string& text) {
  std::istringstream stream(text);
  std::vector<std::string> words;
  for (std::string word; stream >> word;) words.push_back(word);
  return words;
}

std::vector<Json> lines_of(const std::string& text) {
  std::istringstream stream(text);
  std::vector<Json> lines;
  for (std::string line; std::getline(stream, line);) lines.push_back(parse_json(line));
  return lines;
}

class Cli : public ::testing::Test {
 protected:
  Output run(const std::string& words) { return home_.run(words_of(words)); }
  // One prefill and one decode worker of the test model. `more`: further lines of the file.
  ClusterProcess make_cluster(const std::string& more = "", const std::string& model = "oracle:") {
    ClusterSpec spec;
    spec.name = "cli";
    spec.model = model;
    spec.kv_memory = "4MiB";
    spec.more = "lifecycle: { start_timeout: 60s }\n" + more;
    return ClusterProcess(home_, spec);
  }
  std::size_t processes() const { return home_.processes().size(); }

  TestHome home_;
};

TEST_F(Cli, EveryCommandHasHelp) {
  for (const char* command : {"", "up", "serve", "bench actors", "bench engine", "bench kernels", "bench serve", "bench transport", "down", "status", "submit", "chat", "attach", "cancel", "top", "events", "logs", "links", "trace", "validate", "fsck", "model", "model fetch", "model inspect", "plan", "config", "config show", "config schema", "init", "doctor", "completion", "version", "coordinator", "worker"}) {
    const Output help = run(std::string(command) + " --help");
    EXPECT_EQ(help.exit_status, 0) << command;
    EXPECT_NE(help.out.find("Usage: baton"), std::string::npos) << command;
    EXPECT_EQ(help.err, "") << command;
  }
}

TEST_F(Cli, HelpAndVersionAreFoundWhereTheyAreLookedFor) {
  EXPECT_EQ(run("help").out, run("--help").out);
  EXPECT_EQ(run("--version").out, run("version").out);
  EXPECT_EQ(run("--version").exit_status, 0);
}

TEST_F(Cli, WrongUsageIsTwo) {
  for (const char* words : {"", "frobnicate", "up", "submit x --bogus", "submit x --seed -1", "submit x --top-k -1", "submit x --max-tokens 0",
                            "submit x --temperature nan", "submit x --top-p 2", "submit x --n 0", "submit x --n 129", "submit x --logprobs 21",
                            "submit x --logprobs -1", "submit x --presence-penalty 3", "submit x --repetition-penalty 0", "submit x --stop-token-id y",
                            "submit x --min-tokens 5 --max-tokens 4", "cancel", "trace", "logs", "model", "model fetch"}) {
    const Output wrong = run(words);
    EXPECT_EQ(wrong.exit_status, 2) << words;
    EXPECT_EQ(wrong.out, "") << words;
    EXPECT_NE(wrong.err, "") << words;
  }
  const std::pair<const char*, const char*> sentences[] = {
      {"", "baton: a command is missing; baton --help shows what there is\n"},
      {"model", "baton model: a command is missing after \"model\"; baton model --help shows what there is\n"},
      {"up x.yaml --detatch", "baton up: what is \"--detatch\"? (did you mean \"--detach\"?); baton up --help shows what there is\n"},
      {"submit two words", "baton submit: what is \"words\"? (a prompt of several words goes into quotes); baton submit --help shows what there is\n"},
      {"submit --bonjour", "baton submit: what is \"--bonjour\"? (a prompt that begins with a dash goes last, behind --); baton submit --help shows what there is\n"},
      {"submit -- --hello --json", "baton submit: what is \"--\"? (what stands behind -- is an argument such as the prompt, so options go in front); baton submit --help shows what there is\n"},
      {"serve x --ctx-size 4096", "baton serve: what is \"--ctx-size\"? (--max-model-len N is what bounds prompt and answer); baton serve --help shows what there is\n"},
      {"serve x -tp 2", "baton serve: what is \"-tp\"? (only --tensor-parallel-size 1 in this version; --prefill and --decode start more workers); baton serve --help shows what there is\n"},
      {"bench kernels --shape abc", "baton bench kernels: \"abc\" is no shape: ROWSxCOLUMNS[:TYPE], as in 4096x1024:Q8_0, columns a multiple of 32\n"},
      {"submit x --top-p 2", "baton submit: --top-p: \"2\" is not a number above 0, at most 1; baton submit --help shows what there is\n"},
      {"submit x --logit-bias 5", "baton submit: --logit-bias wants ID=BIAS, as in 1234=-5.5; what is \"5\"?\n"},
      {"submit x --logit-bias 5=200", "baton submit: logit_bias of token 5 is 200; it must be between -100 and 100\n"},
      {"submit x --max-tokens many", "baton submit: --max-tokens: \"many\" is not a whole number from 1 to 16777216; baton submit --help shows what there is\n"},
  };
  for (const auto& [words, sentence] : sentences) EXPECT_EQ(run(words).err, sentence);
  EXPECT_EQ(run("sumbit x").err, "baton: no command \"sumbit\" (did you mean \"submit\"?)\n");
}

TEST_F(Cli, AJobThatNoClusterTakesIsNotSent) {
  const std::string letters(129, 'x');
  write_text(home_.path() + "/latin1.txt", "gr\xfc\n");
  const std::pair<std::vector<std::string>, std::string> wrong[] = {
      {{"submit", "x", "--id", letters}, "--id has 129 characters; the limit is 128"},
      {{"submit", "x", "--cache-salt", letters}, "--cache-salt has 129 characters; the limit is 128"},
      {{"submit", "x", "--id", "a b"}, "--id takes printable ASCII characters without spaces; its character 2 is none"},
      {{"submit", "abc\xff"}, "the prompt is not UTF-8 (byte 4 is 0xff)"},
      {{"submit", "--file", home_.path() + "/latin1.txt"}, "the prompt is not UTF-8 (byte 3 is 0xfc)"},
  };
  for (const auto& [words, sentence] : wrong) {
    const Output output = home_.run(words);
    EXPECT_EQ(output.exit_status, 2) << sentence;
    EXPECT_EQ(output.err, "baton submit: " + sentence + '\n');
  }
}

TEST_F(Cli, OptionsWithoutEffectAreSaid) {
  EXPECT_TRUE(run("submit x --logprobs 2 --top-k 5 --seed 7").err.starts_with(
      "baton submit: note: --logprobs shows nothing without --json; --top-k and --seed change nothing at temperature 0, where the likeliest token is taken\n"));
  EXPECT_EQ(run("submit x --logprobs 2 --json --temperature 1 --top-k 5 --seed 7").err.find("note"), std::string::npos);
}

TEST_F(Cli, AWrongTopologyIsThreeAndStartsNothing) {
  const std::string path = make_cluster("replicas: 3\n").file();
  for (const char* command : {"up ", "validate "}) {
    const Output wrong = run(command + path);
    EXPECT_EQ(wrong.exit_status, 3);
    EXPECT_NE(wrong.err.find("cli.yaml:10:1: error: unknown key \"replicas\" (did you mean \"pools.prefill.replicas\"?)"), std::string::npos) << wrong.err;
    EXPECT_NE(wrong.err.find(std::string("1 error") + (command[0] == 'u' ? "; nothing was started\n" : "\n")), std::string::npos) << wrong.err;
  }
  EXPECT_EQ(run("validate --json " + path).exit_status, 3);
  EXPECT_FALSE(std::filesystem::exists(home_.path() + "/state"));
}

TEST_F(Cli, ADryRunShowsThePlanAndStartsNothing) {
  const Output plan = run("up --dry-run " + make_cluster().file() + " --set pools.decode.replicas=2");
  EXPECT_EQ(plan.exit_status, 0);
  for (const char* name : {"coordinator", "prefill-0", "decode-0", "decode-1"}) EXPECT_NE(plan.out.find(name), std::string::npos) << name;
  EXPECT_FALSE(std::filesystem::exists(home_.path() + "/state"));
}

TEST_F(Cli, WithNoClusterClientsFailAndDownIsDone) {
  for (const char* command : {"status", "submit x", "cancel x", "fsck"}) {
    const Output failed = run(command);
    EXPECT_EQ(failed.exit_status, 1) << command;
    EXPECT_NE(failed.err.find("no cluster is up; start one with `baton up"), std::string::npos) << failed.err;
  }
  EXPECT_EQ(run("down").exit_status, 0);
}

TEST_F(Cli, UpStatusDown) {
  ClusterProcess cluster = make_cluster();
  const Output up = run("up " + cluster.file() + " --detach");
  ASSERT_EQ(up.exit_status, 0) << up.err;
  EXPECT_NE(up.out.find("cli is up"), std::string::npos);
  EXPECT_EQ(processes(), 4u);
  EXPECT_NE(read_text(cluster.state() + "/cluster.json").find("\"name\":\"cli\""), std::string::npos);

  const Output again = run("up " + cluster.file() + " --detach");
  EXPECT_EQ(again.exit_status, 1);
  EXPECT_NE(again.err.find("launcher pid " + std::to_string(cluster.pid("launcher"))), std::string::npos) << again.err;
  EXPECT_EQ(run("up " + cluster.file() + " --detach --wait").exit_status, 0);

  for (const std::string& flags : {std::string(), std::string(" --topology cli"), " --topology " + cluster.file()}) {
    const Output status = run("status --json" + flags);
    EXPECT_EQ(status.exit_status, 0) << status.err;
    for (const char* part : {"\"coordinator\":{\"pid\":", "\"name\":\"prefill-0\"", "\"name\":\"decode-0\"", "\"state\":\"ready\"", "\"kv_blocks_total\":"})
      EXPECT_NE(status.out.find(part), std::string::npos) << part << '\n' << status.out;
  }
  EXPECT_EQ(run("status").exit_status, 0);
  EXPECT_EQ(run("fsck").exit_status, 0);

  const Output down = run("down cli");
  EXPECT_EQ(down.exit_status, 0) << down.err;
  EXPECT_TRUE(comes_true([&] { return processes() == 0; }));
  EXPECT_EQ(cluster.complaints_in_logs(), "");
}

TEST_F(Cli, UpShowsABarPerWorkerOnATerminalOnly) {
  ClusterProcess cluster = make_cluster();
  const std::string log = home_.path() + "/terminal.log";
  // `script` gives it a terminal.
  const auto status = run_program({"env", "HOME=" + home_.path(), "script", "-qec", baton_program() + " up " + cluster.file() + " --detach", "/dev/null"}, log);
  ASSERT_TRUE(status) << status.error().message;
  EXPECT_EQ(*status, 0);
  const std::string shown = read_text(log);
  EXPECT_NE(shown.find("  decode-0   ["), std::string::npos) << shown;
  EXPECT_LT(shown.rfind("\033[J"), shown.find("cli is up")) << "the bars are gone before the answer: " << shown;
  EXPECT_EQ(run("down cli").exit_status, 0);
  const Output plain = run("up " + cluster.file() + " --detach");
  EXPECT_EQ((plain.out + plain.err).find('['), std::string::npos) << plain.err;
}

TEST_F(Cli, SubmitStreamsOneObjectALine) {
  ClusterProcess cluster = make_cluster();
  ASSERT_TRUE(cluster.up());
  const Output text = run("submit hello --max-tokens 5 --ignore-eos");
  EXPECT_EQ(text.exit_status, 0) << text.err;
  EXPECT_NE(text.err.find("5 prompt + 5 generated tokens (length)"), std::string::npos) << text.err;
  EXPECT_NE(text.err.find("prefill on prefill-0, decode on decode-0"), std::string::npos) << text.err;

  const Output output = run("submit hello --max-tokens 5 --ignore-eos --json --id mine");
  ASSERT_EQ(output.exit_status, 0) << output.err;
  EXPECT_EQ(output.err, "");
  const std::vector<Json> lines = lines_of(output.out);
  ASSERT_EQ(lines.size(), 7u) << output.out;
  EXPECT_EQ(lines[0].at("event").text, "accepted");
  EXPECT_EQ(lines[0].at("id").text, "mine");
  std::string together;
  for (std::size_t i = 0; i < 5; ++i) {
    EXPECT_EQ(lines[1 + i].at("event").text, "token");
    EXPECT_EQ(lines[1 + i].at("index").number, static_cast<double>(i));
    together += lines[1 + i].at("text").text;
  }
  EXPECT_EQ(text.out.substr(0, together.size()), together);
  const Json& done = lines[6];
  EXPECT_EQ(done.at("event").text, "done");
  EXPECT_EQ(done.at("finish_reason").text, "length");
  EXPECT_EQ(done.at("usage").at("completion_tokens").number, 5);
  EXPECT_EQ(done.at("prefill_worker").text, "prefill-0");
  EXPECT_EQ(done.at("decode_worker").text, "decode-0");
  EXPECT_GT(done.at("kv_bytes_moved").number, 0);
  EXPECT_FALSE(done.at("transport").text.empty());
  for (const char* timing : {"queue_ms", "ttft_ms", "total_ms"}) EXPECT_GE(done.at("timings").at(timing).number, 0) << timing;
}

TEST_F(Cli, ALoadOfWhichNothingEndsWellIsOneSentence) {
  ClusterProcess cluster = make_cluster();
  ASSERT_TRUE(cluster.up());
  const Output failed = run("bench serve --requests 1 --prompt-tokens 1000000");
  EXPECT_EQ(failed.exit_status, 1);
  EXPECT_EQ(failed.out, "");
  EXPECT_NE(failed.err.find("baton bench serve: 1 job failed, none ended well: the prompt "), std::string::npos) << failed.err;
  const Output good = run("bench serve --requests 1 --prompt-tokens 8 --max-tokens 1");
  EXPECT_EQ(good.exit_status, 0) << good.err;
  EXPECT_NE(good.out.find("1 prompt x 1, 1 at once, 1 token generated each: "), std::string::npos) << good.out;
}

TEST_F(Cli, SubmitShowsChoicesStopsAndLogprobs) {
  ClusterProcess cluster = make_cluster();
  ASSERT_TRUE(cluster.up());
  const std::vector<Json> lines = lines_of(run("submit hello --max-tokens 30 --ignore-eos --n 2 --logprobs 2 --prompt-logprobs 0 --stop > --json").out);
  std::size_t tokens = 0, ends = 0, scored = 0;
  for (const Json& line : lines) {
    const std::string& event = line.at("event").text;
    if (event == "prompt_logprobs") scored += line.at("tokens").items.size();
    if (event == "token") {
      ++tokens;
      EXPECT_LT(line.at("choice").number, 2);
      EXPECT_EQ(line.at("top_logprobs").items.size(), 2u);
      EXPECT_EQ(line.at("text").text.find('>'), std::string::npos);
    }
    if (event == "choice_done") {
      ++ends;
      EXPECT_EQ(line.at("finish_reason").text, "stop");
      EXPECT_EQ(line.at("stop").text, ">");
    }
  }
  EXPECT_EQ(scored, 4u) << "every token of the prompt but its first";
  EXPECT_EQ(ends, 2u);
  ASSERT_EQ(lines.back().at("event").text, "done");
  EXPECT_EQ(lines.back().at("usage").at("completion_tokens").number, static_cast<double>(tokens));
  EXPECT_EQ(lines.back().at("kv_bytes_moved").kind, Json::Kind::kNull) << "a stop string ends a job before its workers can say";
  EXPECT_EQ(cluster.fsck(), "");
}

TEST_F(Cli, AJobIsCancelledByNameOrByInterrupt) {
  ClusterProcess cluster = make_cluster("", "oracle:step_time=20ms");
  ASSERT_TRUE(cluster.up());
  const std::string words = "submit hello --max-tokens 1000 --ignore-eos --json --id ";
  const auto started = [&](const std::string& log) {
    return comes_true([&] { return read_text(home_.path() + '/' + log).find("\"index\":2") != std::string::npos; });
  };
  const pid_t first = home_.start(words_of(words + "long"), "long.log");
  ASSERT_TRUE(started("long.log"));
  const Output cancel = run("cancel long");
  EXPECT_EQ(cancel.exit_status, 0) << cancel.err;
  EXPECT_EQ(home_.wait_for(first, std::chrono::seconds(10)), 0);
  EXPECT_NE(read_text(home_.path() + "/long.log").find("\"finish_reason\":\"cancelled\""), std::string::npos);

  const pid_t second = home_.start(words_of(words + "other"), "other.log");
  ASSERT_TRUE(started("other.log"));
  EXPECT_EQ(kill(second, SIGINT), 0);
  EXPECT_EQ(home_.wait_for(second, std::chrono::seconds(10)), 130);
  EXPECT_NE(read_text(home_.path() + "/other.log").find("\"finish_reason\":\"cancelled\""), std::string::npos);
  EXPECT_EQ(cluster.fsck(), "");
}

// Ctrl-C of `baton up` in the foreground drains: the job that runs ends as it would have, and its client hears of it.
TEST_F(Cli, ASecondDownWaitsForRunningJobsToo) {
  ClusterProcess cluster = make_cluster("", "oracle:step_time=20ms");
  ASSERT_TRUE(cluster.up());
  const pid_t job = home_.start(words_of("submit hello --max-tokens 200 --ignore-eos --json"), "job.log");
  ASSERT_TRUE(comes_true([&] { return read_text(home_.path() + "/job.log").find("\"index\":2") != std::string::npos; }));
  const pid_t first = home_.start(words_of("down cli"), "down.log");
  ASSERT_TRUE(comes_true([&] { return read_text(cluster.state() + "/logs/launcher.log").find("stopping cli") != std::string::npos; }));
  const Output second = run("down cli");
  EXPECT_EQ(second.exit_status, 0) << second.err;
  EXPECT_EQ(home_.wait_for(job, std::chrono::seconds(20)), 0) << read_text(home_.path() + "/job.log");
  EXPECT_EQ(home_.wait_for(first, std::chrono::seconds(20)), 0) << read_text(home_.path() + "/down.log");
}

TEST_F(Cli, AnInterruptedForegroundClusterDrains) {
  ClusterProcess cluster = make_cluster("", "oracle:step_time=10ms");
  const pid_t up = home_.start(words_of("up " + cluster.file()), "up.log");
  ASSERT_TRUE(comes_true([&] { return read_text(home_.path() + "/up.log").find("cli is up") != std::string::npos; }));
  const pid_t job = home_.start(words_of("submit hello --max-tokens 100 --ignore-eos --json"), "job.log");
  ASSERT_TRUE(comes_true([&] { return read_text(home_.path() + "/job.log").find("\"index\":2") != std::string::npos; }));
  ASSERT_EQ(kill(up, SIGINT), 0);
  EXPECT_EQ(home_.wait_for(job, std::chrono::seconds(20)), 0) << read_text(home_.path() + "/job.log");
  EXPECT_NE(read_text(home_.path() + "/job.log").find("\"finish_reason\":\"length\""), std::string::npos);
  EXPECT_EQ(home_.wait_for(up, std::chrono::seconds(20)), 130) << read_text(home_.path() + "/up.log");
  EXPECT_TRUE(comes_true([&] { return processes() == 0; }));
  EXPECT_EQ(cluster.complaints_in_logs(), "");
}

}  // namespace
}  // namespace baton::test
