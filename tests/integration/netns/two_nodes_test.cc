// SPDX-License-Identifier: Apache-2.0
// A cluster over two machines, which are two network namespaces joined by a cable: coordinator and prefill in one, decode in
// the other, started by hand and by ssh. Needs root, iproute2, and nft and sshd for two of the cases; says so where it skips.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>

#include <atomic>
#include <cstdlib>
#include <functional>
#include <sstream>
#include <thread>

#include "tests/support/cluster_process.h"
#include "tests/support/json_lines.h"
#include "tests/support/load_client.h"
#include "tests/support/two_namespaces.h"

namespace baton::test {
namespace {

constexpr const char* kHere = TwoNamespaces::kHere;
constexpr const char* kThere = TwoNamespaces::kThere;
constexpr std::size_t kClients = 4;
constexpr Duration kJobLimit = std::chrono::seconds(60);

// Large rows, so that KV is most of what travels.
OracleOptions wide_model() {
  OracleOptions model;
  model.head_dim = 256;
  model.vocab_size = 512;
  model.max_model_len = 512;
  return model;
}

class TwoNodes : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!nodes_.missing().empty()) GTEST_SKIP() << nodes_.missing();
    jobs_ = "tcp://" + std::string(kHere) + ":7070";
  }

  void TearDown() override {
    if (started_) (void)home_.run({"down", "it", "--now"});
    for (const pid_t pid : by_hand_) kill(pid, SIGKILL);
    for (const pid_t pid : by_hand_) home_.wait_for(pid, std::chrono::seconds(10));
    if (sshd_ > 0) kill(sshd_, SIGKILL);
  }

  void write_topology(const std::string& of_there) {
    const std::size_t block = oracle_info(model_).geometry.block_bytes();
    std::ostringstream text;
    text << "version: 1\nname: it\nmodel: { path: \"oracle:head_dim=" << model_.head_dim << ",vocab_size=" << model_.vocab_size
         << "\", max_model_len: " << model_.max_model_len << " }\nkv_cache: { memory: " << 256 * block
         << "B, block_size: 16, prefix_caching: true }\n"
         << "coordinator: { node: here, jobs: \"" << jobs_ << "\", control: \"tcp://" << kHere
         << ":7071\", state: " << home_.path() << "/state }\n"
         << "nodes:\n  - { name: here, address: " << kHere << " }\n  - { name: there, address: " << kThere << of_there << " }\n"
         << "pools:\n  - { name: prefill, role: prefill, threads: 1 }\n  - { name: decode, role: decode, threads: 1, node: "
            "there }\n"
         << "transport: { order: [shm, tcp], interface: eth0 }\nsecurity: { insecure: true }\n"
         << "lifecycle: { heartbeat: { miss: 50 } }\n";  // a busy machine must not end the worker that nobody starts again
    file_ = home_.path() + "/it.yaml";
    write_text(file_, text.str());
  }

  void start_decode_by_hand() {
    nodes_.enter(1);
    by_hand_.push_back(home_.start({"worker", "decode-0", "--topology", file_}, "decode.log"));
    nodes_.enter(0);
  }

  void up() {
    started_ = true;
    const Output output = home_.run({"up", file_, "--detach", "--wait"}, std::chrono::minutes(2));
    ASSERT_EQ(output.exit_status, 0) << output.out << output.err << logs();
    up_said_ = output.out + output.err;
  }

  std::string logs() {
    std::string text;
    for (const char* name : {"/state/logs/launcher.log", "/state/logs/coordinator.log", "/state/logs/prefill-0.log",
                             "/state/logs/decode-0.log", "/decode.log"})
      text += std::string("--- ") + name + '\n' + read_text(home_.path() + name);
    return text;
  }

  // What came in over the cable of the decode node since it exists.
  std::uint64_t received_there() {
    nodes_.enter(1);
    std::istringstream lines(read_text("/proc/thread-self/net/dev"));
    nodes_.enter(0);
    for (std::string line; std::getline(lines, line);)
      if (const std::size_t at = line.find("eth0:"); at != std::string::npos)
        return std::strtoull(line.c_str() + at + 5, nullptr, 10);
    return 0;
  }

  // Where the decode node takes KV: all that listens there but what its log calls its address, which is for control.
  std::string kv_ports() {
    const std::string log = read_text(home_.path() + "/decode.log");
    const std::string before = "address=tcp://" + std::string(kThere) + ':';
    const std::size_t at = log.find(before);
    const long control = at == std::string::npos ? 0 : std::strtol(log.c_str() + at + before.size(), nullptr, 10);
    EXPECT_NE(control, 0) << log;
    nodes_.enter(1);
    std::istringstream lines(read_text("/proc/thread-self/net/tcp"));
    nodes_.enter(0);
    std::string ports;
    std::string number, local, remote, state;
    for (std::string line; std::getline(lines, line);) {
      std::istringstream fields(line);
      if (!(fields >> number >> local >> remote >> state) || state != "0A") continue;
      const long port = std::strtol(local.c_str() + local.find(':') + 1, nullptr, 16);
      if (port != control) ports += (ports.empty() ? "" : ", ") + std::to_string(port);
    }
    return "{ " + ports + " }";
  }

  // Every job ends with the tokens of the model; returns the KV bytes that moved.
  std::uint64_t expect_right_answers(std::size_t jobs, const std::function<void(std::size_t)>& progress = {}) {
    const std::vector<JobRecord> records =
        run_load(jobs_, random_jobs(model_, 7, jobs, 300, 20, 0), kClients, kJobLimit, progress);
    EXPECT_EQ(records.size(), jobs);
    std::uint64_t moved = 0;
    for (const JobRecord& record : records) {
      EXPECT_EQ(oracle_complaint(model_, record), "");
      EXPECT_FALSE(record.error) << record.error->message;
      if (!record.done || record.done->kv_bytes_moved == 0) continue;
      moved += record.done->kv_bytes_moved;
      EXPECT_EQ(record.done->transport, "tcp");
    }
    return moved;
  }

  void expect_nothing_lost() {
    const Output report = home_.run({"fsck", "--topology", "it"});
    EXPECT_EQ(report.exit_status, 0) << report.out << report.err;
  }

  TestHome home_;
  const OracleOptions model_ = wide_model();
  const TwoNamespaces nodes_;
  std::string jobs_;
  std::string file_;
  std::string up_said_;
  bool started_ = false;
  std::vector<pid_t> by_hand_;
  pid_t sshd_ = -1;
};

TEST_F(TwoNodes, KvGoesOverTheCableOnceAndTheTokensAreRight) {
  write_topology("");
  start_decode_by_hand();
  up();
  EXPECT_NE(up_said_.find("baton worker decode-0 --topology it.yaml"), std::string::npos) << up_said_;
  const std::uint64_t before = received_there();
  const std::uint64_t moved = expect_right_answers(40);
  const std::uint64_t carried = received_there() - before;
  RecordProperty("kv_bytes", std::to_string(moved));
  RecordProperty("cable_bytes", std::to_string(carried));
  EXPECT_GT(moved, std::uint64_t{20} << 20);
  EXPECT_GE(carried, moved);
  EXPECT_LE(carried, moved + moved * 15 / 100 + (1 << 20));  // headers, and the control traffic
  expect_nothing_lost();
}

TEST_F(TwoNodes, AWorkerStartedLateIsWaitedFor) {
  write_topology("");
  std::thread late([this] {
    std::this_thread::sleep_for(std::chrono::seconds(1));
    nodes_.enter(1);  // this thread alone
    by_hand_.push_back(home_.start({"worker", "decode-0", "--topology", file_}, "decode.log"));
  });
  up();
  late.join();
  (void)expect_right_answers(4);
}

TEST_F(TwoNodes, KvThatTheCableLosesForAWhileCostsTimeAndNoToken) {
  if (!is_there("nft")) GTEST_SKIP() << "needs nft (Debian package nftables)";
  write_topology("");
  start_decode_by_hand();
  up();
  const std::string there = nodes_.in(1) + "nft ";
  const std::string ports = kv_ports();
  std::atomic<std::size_t> ended{0};
  std::thread saboteur([&] {
    if (!comes_true([&] { return ended >= 4; }, kJobLimit)) return;
    // One way only, and only KV: a worker that does not hear its coordinator ends, and nobody would start this one again.
    EXPECT_TRUE(shell(there + "add table inet cut") &&
                shell(there + "add chain inet cut in '{ type filter hook input priority 0; }'") &&
                shell(there + "add rule inet cut in tcp dport '" + ports + "' drop"));
    std::this_thread::sleep_for(std::chrono::seconds(4));  // longer than TCP's own patience
    EXPECT_TRUE(shell(there + "delete table inet cut"));
  });
  (void)expect_right_answers(60, [&](std::size_t count) { ended = count; });
  saboteur.join();
  expect_nothing_lost();
  const std::uint64_t before = received_there();
  EXPECT_GT(expect_right_answers(8), 0u);
  EXPECT_GT(received_there(), before);
}

TEST_F(TwoNodes, SshStartsTheWorkerAndTheLaunchersEndEndsIt) {
  if (!is_there("ssh") || !is_there("sshd"))
    GTEST_SKIP() << "needs ssh and sshd (Debian packages openssh-client, openssh-server)";
  // An sshd of the other node with keys of its own, and an ssh on PATH that knows them.
  const std::string folder = home_.path() + "/ssh";
  ASSERT_TRUE(shell("mkdir -p /run/sshd " + folder + "/bin && ssh-keygen -q -t ed25519 -N '' -f " + folder +
                    "/host && ssh-keygen -q -t ed25519 -N '' -f " + folder + "/user && cp " + folder + "/user.pub " + folder +
                    "/authorized"));
  write_text(folder + "/sshd_config",
             "Port 22\nListenAddress " + std::string(kThere) + "\nHostKey " + folder + "/host\nAuthorizedKeysFile " + folder +
                 "/authorized\nStrictModes no\nUsePAM no\nPermitRootLogin yes\nPidFile " + folder + "/pid\n");
  write_text(folder + "/bin/ssh", "#!/bin/sh\nexec /usr/bin/ssh -F /dev/null -i " + folder +
                                      "/user -o StrictHostKeyChecking=no -o UserKnownHostsFile=" + folder + "/known \"$@\"\n");
  ASSERT_EQ(chmod((folder + "/bin/ssh").c_str(), 0755), 0);
  ASSERT_TRUE(shell(nodes_.in(1) + "/usr/sbin/sshd -f " + folder + "/sshd_config"));
  ASSERT_TRUE(comes_true([&] { return !read_text(folder + "/pid").empty(); }));
  sshd_ = static_cast<pid_t>(std::strtol(read_text(folder + "/pid").c_str(), nullptr, 10));
  home_.set_environment("PATH", folder + "/bin:" + std::getenv("PATH"));
  write_topology(", ssh: root@" + std::string(kThere));
  up();
  EXPECT_GT(expect_right_answers(10), 0u);
  expect_nothing_lost();
  // The launcher is killed: nobody can tell the worker there, but its standard input ends.
  const std::string decode = "for p in $(pgrep -f 'worker decode-0 --topology - .*" + home_.path() +
                             "'); do grep -q '^baton' /proc/$p/comm && exit 0; done; exit 1";
  EXPECT_TRUE(shell(decode));
  const auto launcher =
      static_cast<pid_t>(parse_json(read_text(home_.path() + "/state/cluster.json")).at("launcher").at("pid").number);
  ASSERT_EQ(kill(launcher, SIGKILL), 0);
  EXPECT_TRUE(comes_true([&] { return !shell(decode); }));
}

}  // namespace
}  // namespace baton::test
