// SPDX-License-Identifier: Apache-2.0
// TestHome: where a test's real processes live: a temporary folder that is HOME to all of them, so that clusters of the
// machine's user are neither seen nor touched. Whatever still runs under that HOME is killed with the object; should the test
// program itself be killed, a guard process does it. One thread.
#pragma once

#include <sys/types.h>

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "runtime/base/time.h"

namespace baton::test {

// The program of the same build tree.
std::string baton_program();

// Free ports of 127.0.0.1, all different, from below the range the kernel takes ports of outgoing connections from: a port
// that a test chose cannot be taken by somebody's connection before its cluster listens there, or while it restarts.
std::vector<int> free_ports(std::size_t count);

// Asks every few milliseconds until it is true or the limit has passed; returns the last answer.
bool comes_true(const std::function<bool()>& condition, Duration limit = std::chrono::seconds(20));

std::string read_text(const std::string& path);  // "" if there is none
void write_text(const std::string& path, const std::string& text);

struct Output {
  int exit_status = -1;  // -1: it ran past the limit, or a signal ended it
  std::string out;
  std::string err;
  Duration took{};
};

class TestHome {
 public:
  TestHome();
  ~TestHome();
  TestHome(const TestHome&) = delete;
  TestHome& operator=(const TestHome&) = delete;

  const std::string& path() const { return path_; }
  // For programs started from now on.
  void set_environment(const std::string& name, const std::string& value) { environment_[name] = value; }

  // Runs `baton WORDS` with nothing to read; killed after the limit.
  Output run(const std::vector<std::string>& words, Duration limit = std::chrono::seconds(60));
  // Starts it and returns; both outputs go to the file `log` in this folder. The caller waits for it, or the end of the test
  // kills it.
  pid_t start(const std::vector<std::string>& words, const std::string& log);
  // Waits for a process of start(): its exit status, or -1 (killed after the limit, or ended by a signal).
  int wait_for(pid_t pid, Duration limit);

  // All living processes with this HOME.
  std::vector<pid_t> processes() const;

 private:
  pid_t spawn(const std::vector<std::string>& words, const std::string& out, const std::string& err) const;
  void start_guard();

  std::string path_;
  std::map<std::string, std::string> environment_;
  int guard_input_ = -1;
  pid_t guard_ = -1;
};

}  // namespace baton::test
