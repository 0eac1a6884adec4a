// SPDX-License-Identifier: Apache-2.0
// The program as a user meets it: exit codes, help, one cluster of the test model from up to down. Real processes; each
// test has its own HOME, so clusters of the machine's user are neither seen nor touched.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <sstream>

namespace baton {
namespace {

struct Output {
  int exit_status = -1;
  std::string out;
  std::string err;
};

class Cli : public ::testing::Test {
 protected:
  Cli() {
    char pattern[] = "/tmp/baton_cli_XXXXXX";
    home_ = mkdtemp(pattern);
    setenv("HOME", home_.c_str(), 1);
  }
  ~Cli() override {
    run("down --now");
    std::filesystem::remove_all(home_);
  }

  // Through the shell, for quoting and redirection.
  Output run(const std::string& arguments) {
    const std::string command = std::string(BATON_BINARY_DIR) + "/bin/baton " + arguments + " >" + home_ + "/out 2>" + home_ + "/err </dev/null";
    const int status = std::system(command.c_str());
    return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, read(home_ + "/out"), read(home_ + "/err")};
  }
  static std::string read(const std::string& path) {
    std::ifstream stream(path, std::ios::binary);
    std::ostringstream text;
    text << stream.rdbuf();
    return text.str();
  }
  static int free_port() {
    const int probe = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    EXPECT_EQ(bind(probe, reinterpret_cast<sockaddr*>(&address), length), 0);
    EXPECT_EQ(getsockname(probe, reinterpret_cast<sockaddr*>(&address), &length), 0);
    close(probe);
    return ntohs(address.sin_port);
  }
  // One prefill and one decode worker of the test model, on free ports.
  std::string topology(const std::string& more = "") {
    const std::string path = home_ + "/cli.yaml";
    jobs_port_ = free_port();
    std::ofstream(path) << "version: 1\nname: cli\nmodel: { path: \"oracle:\" }\nkv_cache: { memory: 4MiB }\n"
                        << "coordinator: { jobs: \"tcp://127.0.0.1:" << jobs_port_ << "\", control: \"tcp://127.0.0.1:" << free_port() << "\" }\n"
                        << "pools:\n  - { name: prefill, role: prefill, threads: 1 }\n  - { name: decode, role: decode, threads: 1 }\n"
                        << "lifecycle: { start_timeout: 60s }\n" << more;
    return path;
  }
  pid_t launcher_pid() { return static_cast<pid_t>(std::atoi(read(home_ + "/.local/state/baton/cli/lock").c_str())); }
  // Processes of this test's cluster, the launcher apart.
  int processes() {
    int found = 0;
    for (const auto& each : std::filesystem::directory_iterator("/proc")) {
      const std::string words = read(each.path() / "cmdline");
      if (words.find(home_ + "/.local") != std::string::npos && words.find("--base-folder") != std::string::npos) ++found;
    }
    return found;
  }
  static bool comes_true(const std::function<bool()>& condition) {
    for (int i = 0; i < 2000; ++i, usleep(5000))
      if (condition()) return true;
    return false;
  }

  std::string home_;
  int jobs_port_ = 0;
};

TEST_F(Cli, EveryCommandHasHelp) {
  for (const char* command : {"", "up", "down", "status", "submit", "cancel", "validate", "fsck", "model", "model fetch", "version", "coordinator", "worker"}) {
    const Output help = run(std::string(command) + " --help");
    EXPECT_EQ(help.exit_status, 0) << command;
    EXPECT_NE(help.out.find("Usage: baton"), std::string::npos) << command;
    EXPECT_EQ(help.err, "") << command;
  }
}

TEST_F(Cli, WrongUsageIsTwo) {
  for (const char* words : {"", "frobnicate", "up", "submit x --bogus", "submit x --seed -1", "submit x --top-k -1", "submit x --max-tokens 0",
                            "submit x --temperature nan", "submit x --top-p 2", "cancel", "model", "model fetch"}) {
    const Output wrong = run(words);
    EXPECT_EQ(wrong.exit_status, 2) << words;
    EXPECT_EQ(wrong.out, "") << words;
    EXPECT_NE(wrong.err, "") << words;
  }
  EXPECT_EQ(run("sumbit x").err, "baton: no command \"sumbit\" (did you mean \"submit\"?)\n");
}

TEST_F(Cli, AWrongTopologyIsThreeAndStartsNothing) {
  const std::string path = topology("replicas: 3\n");
  for (const char* command : {"up ", "validate "}) {
    const Output wrong = run(command + path);
    EXPECT_EQ(wrong.exit_status, 3);
    EXPECT_NE(wrong.err.find("cli.yaml:10:1: error: unknown key \"replicas\" (did you mean \"pools.prefill.replicas\"?)"), std::string::npos) << wrong.err;
    EXPECT_NE(wrong.err.find("1 error; nothing was started"), std::string::npos);
  }
  EXPECT_EQ(run("validate --json " + path).exit_status, 3);
  EXPECT_FALSE(std::filesystem::exists(home_ + "/.local"));
}

TEST_F(Cli, ADryRunShowsThePlanAndStartsNothing) {
  const Output plan = run("up --dry-run " + topology() + " --set pools.decode.replicas=2");
  EXPECT_EQ(plan.exit_status, 0);
  for (const char* name : {"coordinator", "prefill-0", "decode-0", "decode-1"}) EXPECT_NE(plan.out.find(name), std::string::npos) << name;
  EXPECT_FALSE(std::filesystem::exists(home_ + "/.local"));
}

TEST_F(Cli, WithNoClusterClientsFailAndDownIsDone) {
  for (const char* command : {"status", "submit x", "cancel x", "fsck"}) {
    const Output failed = run(command);
    EXPECT_EQ(failed.exit_status, 1) << command;
    EXPECT_NE(failed.err.find("no cluster is up"), std::string::npos) << failed.err;
  }
  EXPECT_EQ(run("down").exit_status, 0);
}

TEST_F(Cli, ATakenPortIsToldWithItsOwner) {
  const std::string path = topology();
  const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<std::uint16_t>(jobs_port_));
  ASSERT_EQ(bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  ASSERT_EQ(listen(listener, 1), 0);
  const Output failed = run("up " + path + " --detach");
  EXPECT_EQ(failed.exit_status, 1);
  EXPECT_NE(failed.err.find("127.0.0.1:" + std::to_string(jobs_port_) + " is taken by pid " + std::to_string(getpid())), std::string::npos) << failed.err;
  close(listener);
}

TEST_F(Cli, UpStatusDown) {
  const std::string path = topology();
  const Output up = run("up " + path + " --detach");
  ASSERT_EQ(up.exit_status, 0) << up.err;
  EXPECT_NE(up.out.find("cli is up"), std::string::npos);
  EXPECT_EQ(processes(), 3);
  EXPECT_NE(read(home_ + "/.local/state/baton/cli/cluster.json").find("\"name\":\"cli\""), std::string::npos);

  const Output again = run("up " + path + " --detach");
  EXPECT_EQ(again.exit_status, 1);
  EXPECT_NE(again.err.find("launcher pid " + std::to_string(launcher_pid())), std::string::npos) << again.err;
  EXPECT_EQ(run("up " + path + " --detach --wait").exit_status, 0);

  for (const std::string& flags : {std::string(), std::string(" --topology cli"), " --topology " + path}) {
    const Output status = run("status --json" + flags);
    EXPECT_EQ(status.exit_status, 0) << status.err;
    for (const char* part : {"\"coordinator\":{\"pid\":", "\"name\":\"prefill-0\"", "\"name\":\"decode-0\"", "\"state\":\"ready\"", "\"kv_blocks_total\":"})
      EXPECT_NE(status.out.find(part), std::string::npos) << part << '\n' << status.out;
  }
  EXPECT_EQ(run("status").exit_status, 0);
  EXPECT_EQ(run("cancel nobody").exit_status, 1);

  const Output down = run("down cli");
  EXPECT_EQ(down.exit_status, 0) << down.err;
  EXPECT_EQ(processes(), 0);
}

TEST_F(Cli, AKilledWorkerIsStartedAgain) {
  ASSERT_EQ(run("up " + topology() + " --detach").exit_status, 0);
  const std::string file = home_ + "/.local/state/baton/cli/cluster.json";
  const std::string before = read(file);
  const std::size_t at = before.find("\"name\":\"decode-0\"");
  ASSERT_NE(at, std::string::npos);
  const pid_t worker = std::atoi(before.c_str() + before.find("\"pid\":", at) + 6);
  ASSERT_GT(worker, 0);
  ASSERT_EQ(kill(worker, SIGKILL), 0);
  EXPECT_TRUE(comes_true([&] { return processes() == 3 && read(file) != before && read(file).find("\"pid\":0") == std::string::npos; }));
}

TEST_F(Cli, NothingOutlivesAKilledLauncher) {
  ASSERT_EQ(run("up " + topology() + " --detach").exit_status, 0);
  ASSERT_EQ(processes(), 3);
  ASSERT_EQ(kill(launcher_pid(), SIGKILL), 0);
  EXPECT_TRUE(comes_true([&] { return processes() == 0; }));
  EXPECT_EQ(run("status").exit_status, 1);
}

}  // namespace
}  // namespace baton
