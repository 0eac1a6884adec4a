// SPDX-License-Identifier: Apache-2.0
#include "tests/support/test_home.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <random>
#include <sstream>

#include "runtime/actor/real_loop.h"
#include "runtime/base/check.h"

extern char** environ;

namespace baton::test {
namespace {

bool is_free(int port) {
  const int probe = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int yes = 1;
  setsockopt(probe, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  const bool free = bind(probe, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0 && listen(probe, 1) == 0;
  close(probe);
  return free;
}

std::vector<char*> pointers(std::vector<std::string>& words) {
  std::vector<char*> result;
  for (std::string& word : words) result.push_back(word.data());
  result.push_back(nullptr);
  return result;
}

}  // namespace

std::string baton_program() { return std::string(BATON_BINARY_DIR) + "/bin/baton"; }

std::vector<int> free_ports(std::size_t count) {
  static std::mt19937 random{std::random_device{}()};
  std::vector<int> ports;
  while (ports.size() < count) {
    const int port = 15'000 + static_cast<int>(random() % 15'000);
    if (std::find(ports.begin(), ports.end(), port) == ports.end() && is_free(port)) ports.push_back(port);
  }
  return ports;
}

bool comes_true(const std::function<bool()>& condition, Duration limit) {
  const Time deadline = real_now() + limit;
  while (!condition()) {
    if (real_now() >= deadline) return condition();
    usleep(5'000);
  }
  return true;
}

std::string read_text(const std::string& path) {
  std::ifstream stream(path, std::ios::binary);
  std::ostringstream text;
  text << stream.rdbuf();
  return text.str();
}

void write_text(const std::string& path, const std::string& text) { std::ofstream(path, std::ios::binary) << text; }

TestHome::TestHome() {
  char pattern[] = "/tmp/baton_test_XXXXXX";
  CHECK(mkdtemp(pattern) != nullptr, "no temporary folder");
  path_ = pattern;
  start_guard();
}

TestHome::~TestHome() {
  // More than once: a launcher that is dying may have started one more.
  comes_true(
      [&] {
        const std::vector<pid_t> left = processes();
        for (const pid_t pid : left) kill(pid, SIGKILL);
        while (waitpid(-1, nullptr, WNOHANG) > 0) {
        }
        return left.empty();
      },
      std::chrono::seconds(10));
  close(guard_input_);
  waitpid(guard_, nullptr, 0);
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

// A shell that reads until we are gone, then ends what has our HOME. It has another HOME itself.
void TestHome::start_guard() {
  int ends[2];
  CHECK(pipe2(ends, O_CLOEXEC) == 0, "no pipe");
  const std::string script =
      "read _; for e in /proc/[0-9]*/environ; do if tr '\\0' '\\n' <$e 2>/dev/null | grep -qxF \"HOME=$0\"; then "
      "p=${e#/proc/}; kill -KILL ${p%/environ} 2>/dev/null; fi; done; rm -rf \"$0\"";
  std::vector<std::string> words = {"/bin/sh", "-c", script, path_};
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_adddup2(&files, ends[0], STDIN_FILENO);
  posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_addopen(&files, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);  // a Ctrl-C for the test is not for the guard
  CHECK(posix_spawn(&guard_, "/bin/sh", &files, &attributes, pointers(words).data(), environ) == 0, "no guard process");
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&files);
  close(ends[0]);
  guard_input_ = ends[1];
}

pid_t TestHome::spawn(const std::vector<std::string>& words, const std::string& out, const std::string& err) const {
  std::vector<std::string> arguments = {baton_program()};
  arguments.insert(arguments.end(), words.begin(), words.end());
  std::map<std::string, std::string> settings = environment_;
  settings.try_emplace("LSAN_OPTIONS", std::string("suppressions=") + BATON_SOURCE_DIR + "/tests/lsan.supp:print_suppressions=0");
  settings["HOME"] = path_;
  std::vector<std::string> environment;
  for (char** each = environ; *each != nullptr; ++each) {
    const std::string entry = *each;
    const std::string name = entry.substr(0, entry.find('='));
    if (!settings.contains(name) && !name.starts_with("BATON_") && name != "XDG_CACHE_HOME") environment.push_back(entry);
  }
  for (const auto& [name, value] : settings) environment.push_back(name + '=' + value);
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, out.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  if (out == err) posix_spawn_file_actions_adddup2(&files, STDOUT_FILENO, STDERR_FILENO);
  else posix_spawn_file_actions_addopen(&files, STDERR_FILENO, err.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  pid_t pid = -1;
  const int problem = posix_spawn(&pid, arguments[0].c_str(), &files, nullptr, pointers(arguments).data(), pointers(environment).data());
  posix_spawn_file_actions_destroy(&files);
  if (problem != 0) ADD_FAILURE() << "cannot start " << arguments[0] << ": " << std::strerror(problem);
  return problem == 0 ? pid : -1;
}

int TestHome::wait_for(pid_t pid, Duration limit) {
  int status = 0;
  if (!comes_true([&] { return waitpid(pid, &status, WNOHANG) == pid; }, limit)) {
    kill(pid, SIGKILL);
    waitpid(pid, nullptr, 0);
    return -1;
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

Output TestHome::run(const std::vector<std::string>& words, Duration limit) {
  static int calls = 0;
  const std::string name = path_ + "/call" + std::to_string(++calls);
  const Time begin = real_now();
  Output output;
  if (const pid_t pid = spawn(words, name + ".out", name + ".err"); pid > 0) output.exit_status = wait_for(pid, limit);
  output.took = real_now() - begin;
  output.out = read_text(name + ".out");
  output.err = read_text(name + ".err");
  return output;
}

pid_t TestHome::start(const std::vector<std::string>& words, const std::string& log) {
  return spawn(words, path_ + '/' + log, path_ + '/' + log);
}

std::vector<pid_t> TestHome::processes() const {
  std::vector<pid_t> found;
  const std::string wanted = std::string(1, '\0') + "HOME=" + path_ + '\0';
  std::error_code problem;
  for (const auto& each : std::filesystem::directory_iterator("/proc", problem)) {
    const std::string pid = each.path().filename().string();
    if (pid.find_first_not_of("0123456789") != std::string::npos) continue;
    const std::string environment = '\0' + read_text(each.path() / "environ") + '\0';
    if (environment.find(wanted) != std::string::npos) found.push_back(static_cast<pid_t>(std::atoi(pid.c_str())));
  }
  return found;
}

}  // namespace baton::test
