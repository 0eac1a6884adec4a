// SPDX-License-Identifier: Apache-2.0
// What can be wrong around a cluster, and what a user reads then: the exit status, what is wrong, and what to do about it.
// Nothing may be left running.
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <thread>

#include "tests/support/cluster_process.h"
#include "tests/support/tiny_llama.h"
#include "tests/support/tiny_tokenizer.h"

namespace baton::test {
namespace {

std::string tiny_gguf() {
  TinyLlama tiny;
  tiny.more = [](GgufWriter& writer) { TinyTokenizer{}.add_to(writer); };
  return build_tiny_llama(tiny);
}

int port_of(const std::string& address) { return std::stoi(address.substr(address.rfind(':') + 1)); }

int listen_on(int port) {
  const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int yes = 1;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  EXPECT_EQ(bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  EXPECT_EQ(listen(listener, 16), 0);
  return listener;
}

class Errors : public ::testing::Test {
 protected:
  ClusterProcess make(const std::string& model, const std::string& more = "", const std::string& name = "err") {
    ClusterSpec spec;
    spec.name = name;
    spec.model = model;
    spec.more = "lifecycle: { start_timeout: 60s }\n" + more;
    return ClusterProcess(home_, spec);
  }
  Output up(const ClusterProcess& cluster) { return home_.run({"up", cluster.file(), "--detach"}); }
  void expect_nothing_runs() {
    EXPECT_TRUE(comes_true([&] { return home_.processes().empty(); }));
    EXPECT_EQ(home_.run({"status"}).exit_status, 1);
  }

  TestHome home_;
};

void expect_says(const Output& output, int exit_status, const std::vector<std::string>& words) {
  EXPECT_EQ(output.exit_status, exit_status) << output.err;
  for (const std::string& each : words) EXPECT_NE(output.err.find(each), std::string::npos) << '"' << each << "\" is not in:\n" << output.err;
}

TEST_F(Errors, ATruncatedModelIsNamedAsSuch) {
  const std::string whole = tiny_gguf();
  for (const std::size_t bytes : {std::size_t{30}, std::size_t{500}, whole.size() / 10, whole.size() / 2, whole.size() - 1}) {
    const TempFile file(whole.substr(0, bytes));
    const ClusterProcess cluster = make(file.path());
    expect_says(up(cluster), 3, {file.path(), "the file is damaged", "download or convert it again"});
  }
  expect_nothing_runs();
  const TempFile file(whole);
  ClusterProcess cluster = make(file.path());
  EXPECT_TRUE(cluster.up());
}

TEST_F(Errors, AFileThatIsNoModelIsNamedAsSuch) {
  const TempFile file(std::string(100'000, 'x'));
  expect_says(up(make(file.path())), 3, {file.path(), "not a GGUF file", "give the path of a .gguf model"});
  const ClusterProcess absent = make(home_.path() + "/nowhere.gguf");
  expect_says(up(absent), 3, {"there is no ", "nowhere.gguf", "baton model fetch", "nothing was started"});
  expect_nothing_runs();
}

TEST_F(Errors, AModelLongerThanItsContextIsRefused) {
  const TempFile file(tiny_gguf());
  const ClusterProcess cluster = make(file.path());
  expect_says(home_.run({"up", cluster.file(), "--detach", "--set", "model.max_model_len=4096"}), 3, {"max_model_len is 4096, the model was made for 256 tokens"});
  EXPECT_FALSE(std::filesystem::exists(cluster.state()));
  expect_nothing_runs();
}

TEST_F(Errors, AKvCacheThatHoldsNoBlockIsRefused) {
  expect_says(up(make("oracle:layers=64,kv_heads=64,head_dim=64")), 4, {"kv_cache.memory", "holds no block: one needs 67108864 bytes"});
  expect_nothing_runs();
}

TEST_F(Errors, JobsThatCannotRunAreRefusedWithTheReason) {
  ClusterSpec spec;
  spec.name = "err";
  spec.max_model_len = 8192;
  spec.kv_memory = "1MiB";  // 256 blocks of 16 tokens: fewer than max_model_len
  ClusterProcess cluster(home_, spec);
  ASSERT_TRUE(cluster.up());
  write_text(home_.path() + "/long.txt", std::string(9'000, 'a'));
  expect_says(home_.run({"submit", "--file", home_.path() + "/long.txt"}), 1, {"the prompt has 9000 tokens", "context of 8192", "shorten the prompt"});
  expect_says(home_.run({"submit", "x", "--max-tokens", "8192"}), 1, {"with max_tokens 8192", "context of 8192", "lower max_tokens"});
  expect_says(home_.run({"submit", "x", "--max-tokens", "8000"}), 1, {"the prompt and max_tokens need 8001 tokens of KV, ", "-0 has 4096: lower max_tokens, or raise kv_cache.memory"});
  expect_says(home_.run({"submit", ""}), 2, {"the prompt is empty"});
  expect_says(home_.run({"submit", "--file", home_.path() + "/absent.txt"}), 1, {"cannot open", "absent.txt"});
  expect_says(home_.run({"cancel", "nobody"}), 1, {"no job \"nobody\" is waiting or running"});
  const Output json = home_.run({"submit", "x", "--max-tokens", "8192", "--json"});
  EXPECT_EQ(json.exit_status, 1);
  EXPECT_NE(json.out.find("{\"event\":\"error\",\"code\":\"invalid_argument\""), std::string::npos) << json.out;
  EXPECT_EQ(home_.run({"submit", "x", "--max-tokens", "3"}).exit_status, 0);  // all that has harmed nothing
  EXPECT_EQ(cluster.fsck(), "");
}

TEST_F(Errors, ATakenPortIsToldWithItsOwner) {
  const ClusterProcess cluster = make("oracle:");
  for (const std::string& address : {cluster.jobs(), cluster.control()}) {
    const int port = port_of(address);
    const int listener = listen_on(port);
    expect_says(up(cluster), 1, {"127.0.0.1:" + std::to_string(port) + " is taken by pid " + std::to_string(getpid()), "--set coordinator.jobs="});
    close(listener);
  }
  expect_nothing_runs();
}

TEST_F(Errors, ASecondClusterOfTheSameNameIsRefused) {
  ClusterProcess first = make("oracle:");
  ASSERT_TRUE(first.up());
  const pid_t launcher = first.pid("launcher");
  expect_says(up(first), 1, {"err is up already", "launcher pid " + std::to_string(launcher), "`baton down err` stops it"});
  expect_says(home_.run({"up", first.file(), "--detach", "--wait", "--set", "name=other"}), 1, {"the cluster err is up in it", "`baton down err` stops it"});
  expect_says(home_.run({"down", "other"}), 1, {"no cluster named other is up; up: err"});
  expect_says(home_.run({"serve", "oracle:", "--jobs", first.jobs()}), 1, {"), the cluster err; stop it with `baton down err`", "--jobs tcp://"});
  // Another file, another state folder, the same name: the commands could not tell them apart.
  ClusterSpec spec;
  spec.name = "err";
  const ClusterProcess second(home_, spec);
  expect_says(home_.run({"up", second.file(), "--detach", "--set", "coordinator.state=" + home_.path() + "/other"}), 1,
              {"another cluster named err is up", "launcher pid " + std::to_string(launcher)});
  EXPECT_EQ(first.pid("launcher"), launcher);
  EXPECT_TRUE(comes_true([&] { return home_.processes().size() == 4; }));
  EXPECT_EQ(home_.run({"submit", "x", "--max-tokens", "3"}).exit_status, 0);
}

// Its tokens would be others under a success status.
TEST_F(Errors, AWorkerWithAnotherModelIsNotLetIn) {
  ClusterProcess cluster = make("oracle:vocab_size=512");
  ASSERT_TRUE(cluster.up());
  std::string text = read_text(cluster.file());
  text.replace(text.find("vocab_size=512"), 14, "vocab_size=500");
  text.insert(text.find("lifecycle:"), "  - { name: spare, role: decode, threads: 1 }\n");
  const std::string other = home_.path() + "/other.yaml";
  write_text(other, text);
  expect_says(home_.run({"worker", "spare-0", "--topology", other}, std::chrono::seconds(20)), 1,
              {"the coordinator refused this worker", "its model 'oracle' has hash", "give every node the same model file"});
  const Output status = home_.run({"status", "--json"});
  EXPECT_EQ(status.out.find("spare"), std::string::npos) << status.out;
  EXPECT_EQ(home_.run({"submit", "x", "--max-tokens", "3"}).exit_status, 0);

  // With the same model it is welcome.
  text.replace(text.find("vocab_size=500"), 14, "vocab_size=512");
  write_text(other, text);
  const pid_t spare = home_.start({"worker", "spare-0", "--topology", other}, "spare.log");
  EXPECT_TRUE(comes_true([&] { return home_.run({"status"}).out.find("spare-0") != std::string::npos; }));
  EXPECT_EQ(kill(spare, SIGTERM), 0);
  EXPECT_EQ(home_.wait_for(spare, std::chrono::seconds(10)), 0) << read_text(home_.path() + "/spare.log");
}

TEST_F(Errors, AWorkerNobodyKnowsIsToldWhichThereAre) {
  const ClusterProcess cluster = make("oracle:");
  expect_says(home_.run({"worker", "decode-7", "--topology", cluster.file()}), 2, {"no worker named decode-7", "decode-0"});
}

TEST_F(Errors, ASocketThatIsNotBatonsIsGivenUpSoon) {
  const ClusterProcess cluster = make("oracle:");
  const int listener = listen_on(port_of(cluster.jobs()));
  std::atomic<bool> over{false};
  // Accepts, says something else, and waits; as a web server might.
  std::thread stranger([&] {
    std::vector<int> open;
    while (!over) {
      const int connection = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
      if (connection < 0) break;
      const std::string words = "HTTP/1.1 400 Bad Request\r\n\r\n";
      EXPECT_EQ(send(connection, words.data(), words.size(), MSG_NOSIGNAL), static_cast<ssize_t>(words.size()));
      open.push_back(connection);
    }
    for (const int connection : open) close(connection);
  });
  for (const std::vector<std::string>& words : {std::vector<std::string>{"status"}, {"submit", "x"}, {"fsck"}}) {
    std::vector<std::string> all = words;
    all.insert(all.end(), {"--topology", cluster.file()});
    const Output output = home_.run(all, std::chrono::seconds(20));
    expect_says(output, 1, {"err is not up: nobody answers at " + cluster.jobs(), "start it with `baton up " + cluster.file()});
    EXPECT_LT(output.took, std::chrono::seconds(10));
  }
  over = true;
  shutdown(listener, SHUT_RDWR);
  stranger.join();
  close(listener);
}

}  // namespace
}  // namespace baton::test
