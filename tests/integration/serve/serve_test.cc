// SPDX-License-Identifier: Apache-2.0
// `baton serve`: a cluster without a file, from its flags to its end, what a user reads when a flag is wrong, and who loads
// UCX. Real processes with a HOME of their own.
#include <gtest/gtest.h>
#include <signal.h>

#include <filesystem>
#include <optional>
#include <sstream>
#include <tuple>

#include "tests/support/cluster_process.h"
#include "tests/support/golden_data.h"
#include "tests/support/json_lines.h"
#include "tests/support/tiny_llama.h"
#include "tests/support/tiny_tokenizer.h"

namespace baton::test {
namespace {

class Serve : public ::testing::Test {
 protected:
  Serve() {
    const std::vector<int> ports = free_ports(3);
    http_ = std::to_string(ports[2]);
    jobs_ = "tcp://127.0.0.1:" + std::to_string(ports[0]);
    control_ = "tcp://127.0.0.1:" + std::to_string(ports[1]);
  }

  std::vector<std::string> words(const std::string& model, const std::string& flags) const {
    std::vector<std::string> all = {"serve", model, "--jobs", jobs_, "--set", "coordinator.control=" + control_, "--port", http_};
    std::istringstream stream(flags);
    for (std::string word; stream >> word;) all.push_back(word);
    return all;
  }
  Output serve(const std::string& model, const std::string& flags) { return home_.run(words(model, flags)); }
  Output run(const std::vector<std::string>& command) { return home_.run(command); }
  Json status() { return parse_json(run({"status", "--json"}).out); }
  Json last_line(const std::vector<std::string>& command) {
    const Output output = run(command);
    EXPECT_EQ(output.exit_status, 0) << output.err;
    std::istringstream stream(output.out);
    std::string last;
    for (std::string line; std::getline(stream, line);) last = line;
    return parse_json(last.empty() ? "{}" : last);
  }
  void expect_nothing_runs() {
    EXPECT_TRUE(comes_true([&] { return home_.processes().empty(); }));
  }
  bool maps_ucx(double pid) const { return read_text("/proc/" + std::to_string(static_cast<int>(pid)) + "/maps").find("libucp") != std::string::npos; }

  TestHome home_;
  std::string jobs_, control_, http_;
};

TEST_F(Serve, OneWorkerDoesEverything) {
  const Output up = serve("oracle:", "--detach --kv-cache-memory 4MiB --max-num-seqs 7 --block-size 8 --threads 1");
  ASSERT_EQ(up.exit_status, 0) << up.err;
  EXPECT_NE(up.out.find("oracle is up"), std::string::npos) << up.out;
  EXPECT_NE(up.out.find("baton submit --topology oracle"), std::string::npos) << up.out;
  EXPECT_NE(up.out.find("curl http://127.0.0.1:" + http_ + "/v1/chat/completions"), std::string::npos) << up.out;
  EXPECT_EQ(home_.processes().size(), 4u);  // launcher, coordinator, gateway, worker

  const Json now = status();
  ASSERT_EQ(now.at("workers").items.size(), 1u);
  EXPECT_EQ(now.at("workers").items[0].at("name").text, "worker-0");
  EXPECT_EQ(now.at("gateway").at("http").text, "http://127.0.0.1:" + http_);
  EXPECT_GT(now.at("gateway").at("pid").number, 0);
  EXPECT_EQ(now.at("workers").items[0].at("role").text, "both");
  const Json done = last_line({"submit", "hello", "--max-tokens", "5", "--ignore-eos", "--json"});
  EXPECT_EQ(done.at("decode_worker").text, "worker-0");
  EXPECT_EQ(done.at("kv_bytes_moved").number, 0);
  EXPECT_EQ(run({"fsck"}).exit_status, 0);

  EXPECT_FALSE(maps_ucx(now.at("workers").items[0].at("pids").items[0].number)) << "a lone worker needs no data plane";
  EXPECT_EQ(serve("oracle:", "--detach").exit_status, 1) << "it is up already";
  EXPECT_EQ(run({"down"}).exit_status, 0);
  expect_nothing_runs();
}

TEST_F(Serve, WorkersOfTheirOwnRoles) {
  const Output up = serve("oracle:", "--detach --kv-cache-memory 4MiB --prefill 1 --decode 2 --name pair --max-num-seqs 5 --served-model-name one --served-model-name two");
  ASSERT_EQ(up.exit_status, 0) << up.err;
  const Json now = status();
  std::vector<std::string> names;
  for (const Json& worker : now.at("workers").items) {
    names.push_back(worker.at("name").text);
    EXPECT_TRUE(maps_ucx(worker.at("pids").items[0].number)) << names.back();
  }
  EXPECT_EQ(names, (std::vector<std::string>{"decode-0", "decode-1", "prefill-0"}));
  EXPECT_FALSE(maps_ucx(now.at("coordinator").at("pid").number));
  const Json done = last_line({"submit", "hello", "--max-tokens", "5", "--ignore-eos", "--json"});
  EXPECT_GT(done.at("kv_bytes_moved").number, 0);
  EXPECT_EQ(run({"down", "pair"}).exit_status, 0);
  expect_nothing_runs();
}

TEST_F(Serve, AFileIsServedUnderItsName) {
  TinyLlama tiny;
  tiny.more = [](GgufWriter& writer) { TinyTokenizer{}.add_to(writer); };
  const std::string path = home_.path() + "/Tiny Llama.Q4_1.gguf";
  write_text(path, build_tiny_llama(tiny));
  const Output up = serve(path, "--detach --kv-cache-memory 4MiB --max-model-len 64");
  ASSERT_EQ(up.exit_status, 0) << up.err;
  EXPECT_NE(up.out.find("tiny-llama-q4-1 is up"), std::string::npos) << up.out;
  EXPECT_NE(up.out.find("64 a job at most"), std::string::npos) << up.out;
  EXPECT_EQ(last_line({"submit", "AB", "--max-tokens", "3", "--ignore-eos", "--json"}).at("usage").at("completion_tokens").number, 3);
  EXPECT_EQ(run({"down"}).exit_status, 0);
  expect_nothing_runs();
}

TEST_F(Serve, TheRealModelAnswers) {
  const std::optional<std::string> model = golden_model_path();
  if (!model) GTEST_SKIP() << golden_model_missing();
  const Output up = serve(*model, "--detach --name real --kv-cache-memory 64MiB");
  ASSERT_EQ(up.exit_status, 0) << up.err;
  const Output answer = run({"submit", "The capital of France is", "--max-tokens", "1"});
  EXPECT_EQ(answer.out, " Paris\n");
  EXPECT_EQ(run({"down"}).exit_status, 0);
  expect_nothing_runs();
}

TEST_F(Serve, CtrlCStopsIt) {
  const pid_t launcher = home_.start(words("oracle:", "--kv-cache-memory 4MiB"), "serve.log");
  ASSERT_TRUE(comes_true([&] { return read_text(home_.path() + "/serve.log").find("oracle is up") != std::string::npos; }));
  EXPECT_EQ(kill(launcher, SIGINT), 0);
  EXPECT_EQ(home_.wait_for(launcher, std::chrono::seconds(20)), 130);
  expect_nothing_runs();
}

TEST_F(Serve, AWrongFlagIsNamedAndNothingStarts) {
  const std::pair<const char*, const char*> wrong[] = {
      {"--block-size 17", "baton serve: --block-size 17: kv_cache.block_size must be a power of two, this is 17 (16 is usual)"},
      {"--max-num-seqs 0", "baton serve: --max-num-seqs 0: "},
      {"--max-num-seqs many", "baton serve: --max-num-seqs many: "},
      {"--max-num-seqs 4096", "max_num_seqs (4096) is above max_num_batched_tokens (2048)"},
      {"--tensor-parallel-size 2", "baton serve: --tensor-parallel-size 2: pools.worker.tensor_parallel_size: more than 1 is not supported yet"},
      {"--dtype int3", "baton serve: --dtype int3: "},
      {"--numerics wild", "baton serve: --numerics wild: "},
      {"--kv-cache-memory lots", "baton serve: --kv-cache-memory lots: "},
      {"--name Not_Good", "baton serve: --name Not_Good: \"Not_Good\" is no good name"},
      {"--set pools.worker.replicsa=2", "did you mean"},
      {"--prefill 2 --threads 0", "baton serve: --threads 0: "},
      {"--host 0.0.0.0", "gateway.http is off loopback (0.0.0.0), and nothing would protect it"},
  };
  for (const auto& [flags, sentence] : wrong) {
    const Output output = serve("oracle:", flags);
    EXPECT_EQ(output.exit_status, 3) << flags;
    EXPECT_NE(output.err.find(sentence), std::string::npos) << flags << ":\n" << output.err;
    EXPECT_NE(output.err.find("nothing was started"), std::string::npos) << output.err;
    EXPECT_EQ(output.out, "");
  }
  const Output address = run({"serve", "oracle:", "--jobs", "nowhere"});
  EXPECT_EQ(address.exit_status, 3);
  EXPECT_NE(address.err.find("baton serve: --jobs nowhere: coordinator.jobs is \"nowhere\""), std::string::npos) << address.err;
  EXPECT_FALSE(std::filesystem::exists(home_.path() + "/.local"));
}

TEST_F(Serve, AMissingModelIsNamed) {
  const Output typo = serve("smolm2", "");
  EXPECT_EQ(typo.exit_status, 3);
  EXPECT_NE(typo.err.find("baton serve: there is no file or folder smolm2 (did you mean \"smollm2\"?)"), std::string::npos) << typo.err;
  const Output absent = serve("/nowhere/model.gguf", "");
  EXPECT_EQ(absent.exit_status, 3);
  EXPECT_NE(absent.err.find("no model of that name to fetch; known: "), std::string::npos) << absent.err;
}

TEST_F(Serve, AModelThatCannotBeOpenedIsTheOnlyThingSaid) {
  const std::string text = home_.path() + "/README.md", topology = home_.path() + "/laptop.yaml", folder = home_.path() + "/empty";
  write_text(text, std::string(1000, '#'));
  write_text(topology, "version: 1\n");
  std::filesystem::create_directory(folder);
  const std::string model = home_.path() + "/tiny.gguf";
  write_text(model, build_tiny_llama({}));
  const std::tuple<std::string, std::string, std::string> wrong[] = {
      {text, "", "not a GGUF file"},
      {topology, "", "is a topology file; `baton up " + topology + '`'},
      {folder, "", "holds no .gguf file"},
      {model, "--max-model-len 9000", "max_model_len is 9000, the model was made for 256 tokens"},
  };
  for (const auto& [path, flags, sentence] : wrong) {
    const Output output = serve(path, flags);
    EXPECT_EQ(output.exit_status, 3) << path;
    EXPECT_NE(output.err.find(sentence), std::string::npos) << output.err;
    EXPECT_EQ(output.err.find('\n'), output.err.size() - 1) << "more than one line: " << output.err;
  }
  EXPECT_FALSE(std::filesystem::exists(home_.path() + "/.local"));
}

TEST_F(Serve, ADryRunFetchesNothing) {
  const Output plan = serve("smollm2", "--dry-run");
  EXPECT_EQ(plan.exit_status, 0) << plan.err;
  EXPECT_NE(plan.err.find("would fetch smollm2 (98 MB) into " + home_.path()), std::string::npos) << plan.err;
  EXPECT_NE(plan.out.find("smollm2 would start"), std::string::npos) << plan.out;
  EXPECT_FALSE(std::filesystem::exists(home_.path() + "/.cache"));
}

TEST_F(Serve, AFlagBeatsTheEnvironment) {
  home_.set_environment("BATON_KV_CACHE_BLOCK_SIZE", "17");
  EXPECT_EQ(serve("oracle:", "--dry-run").exit_status, 3);
  const Output plan = serve("oracle:", "--dry-run --block-size 8");
  EXPECT_EQ(plan.exit_status, 0) << plan.err;
  EXPECT_NE(plan.out.find("--set kv_cache.block_size=8"), std::string::npos) << plan.out;
}

// Loading UCX takes longer than what these commands do.
TEST_F(Serve, CommandsOfAClientDoNotLoadUcx) {
  home_.set_environment("LD_DEBUG", "files");
  for (const char* command : {"version", "status", "down"}) {
    const Output output = run({command});
    EXPECT_NE(output.err.find("libzmq"), std::string::npos) << "LD_DEBUG told nothing";
    EXPECT_EQ(output.err.find("libucp"), std::string::npos) << command;
  }
}

}  // namespace
}  // namespace baton::test
