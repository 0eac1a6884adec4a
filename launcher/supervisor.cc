// SPDX-License-Identifier: Apache-2.0
#include "launcher/supervisor.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace baton {
namespace {

// Between fork and exec only async-signal-safe calls are allowed: another thread may hold any lock.
[[noreturn]] void become(const char* executable, char* const* arguments, int input, int log, int failure, int inherit, pid_t parent) {
  setpgid(0, 0);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  ::signal(SIGPIPE, SIG_DFL);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  close_range(STDERR_FILENO + 1, ~0u, CLOSE_RANGE_CLOEXEC);  // nothing that we inherited ourselves is passed on
  if (inherit >= 0) fcntl(inherit, F_SETFD, 0);
  if (getppid() == parent && dup2(input, STDIN_FILENO) >= 0 && dup2(log, STDOUT_FILENO) >= 0 && dup2(log, STDERR_FILENO) >= 0)
    execvp(executable, arguments);
  const int why = errno;
  [[maybe_unused]] const ssize_t told = write(failure, &why, sizeof why);
  _exit(127);
}

std::string describe_status(int status) {
  if (WIFEXITED(status)) return "exit status " + std::to_string(WEXITSTATUS(status));
  if (WIFSIGNALED(status)) return "killed by signal " + std::to_string(WTERMSIG(status)) + " (" + strsignal(WTERMSIG(status)) + ')';
  return "status " + std::to_string(status);
}

// Ended by a signal of its own making. Who is killed by others has done nothing to be suspected of.
bool crashed(int status) {
  if (!WIFSIGNALED(status)) return false;
  const int signal = WTERMSIG(status);
  return signal != SIGKILL && signal != SIGTERM && signal != SIGINT && signal != SIGHUP;
}

// Standard input for `spec`, and in `keep` what must stay open so that it does not end; -1: not to be had. What a pipe holds
// (64 KiB unless enlarged) must hold all of the text: nobody reads yet.
int open_input(const ProcessSpec& spec, int& keep) {
  if (spec.input.empty()) return open("/dev/null", O_RDONLY | O_CLOEXEC);
  int ends[2];
  if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) return -1;
  fcntl(ends[0], F_SETFL, 0);
  fcntl(ends[1], F_SETPIPE_SZ, static_cast<int>(spec.input.size()));
  keep = ends[1];
  if (write(keep, spec.input.data(), spec.input.size()) == static_cast<ssize_t>(spec.input.size())) return ends[0];
  close(ends[0]);
  return -1;
}

int milliseconds_up(Duration duration) {
  const auto count = (duration.count() + 999'999) / 1'000'000;
  return static_cast<int>(std::clamp<std::int64_t>(count, 0, 3'600'000));
}

}  // namespace

Time launcher_now() { return Time{std::chrono::duration_cast<Duration>(std::chrono::steady_clock::now().time_since_epoch())}; }

Supervisor::~Supervisor() {
  for (Process& process : processes_) {
    if (process.pid == 0) continue;
    kill(process.pid, SIGKILL);
    while (waitpid(process.pid, nullptr, 0) < 0 && errno == EINTR) {
    }
    for (const int file : {process.watch, process.input})
      if (file >= 0) close(file);
  }
}

Result<void> Supervisor::start(const ProcessSpec& spec) {
  Process process;
  process.spec = spec;
  RETURN_IF_ERROR(spawn(process));
  processes_.push_back(std::move(process));
  return {};
}

Result<void> Supervisor::spawn(Process& process) {
  const std::string& executable = process.spec.program.empty() ? executable_ : process.spec.program;
  std::vector<std::string> words = {executable};
  words.insert(words.end(), process.spec.arguments.begin(), process.spec.arguments.end());
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);

  int failure[2] = {-1, -1};  // closed by a good exec; carries errno of a bad one
  const int input = open_input(process.spec, process.input);
  const int log = open(process.spec.log_path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  const bool piped = pipe2(failure, O_CLOEXEC) == 0;
  const pid_t parent = getpid();
  pid_t child = -1;
  int why = errno;
  if (input >= 0 && log >= 0 && piped) {
    child = fork();
    why = errno;
    if (child == 0) become(executable.c_str(), arguments.data(), input, log, failure[1], process.spec.inherit, parent);
  }
  for (const int file : {input, log, failure[1]})
    if (file >= 0) close(file);
  if (child > 0) {
    if (read(failure[0], &why, sizeof why) == sizeof why) {
      waitpid(child, nullptr, 0);
      child = -1;
    }
  }
  if (failure[0] >= 0) close(failure[0]);
  if (child < 0) return fail(ErrorCode::kIo, "cannot start " + process.spec.name + " (" + executable + "): " + std::strerror(why));
  process.pid = child;
  process.watch = static_cast<int>(syscall(SYS_pidfd_open, child, 0));
  return {};
}

Supervisor::Turn Supervisor::wait(Duration limit, int file) {
  Turn turn;
  const Time deadline = launcher_now() + limit;
  while (true) {
    restart_due(turn);
    bool blind = false;
    std::vector<pollfd> files;
    if (file >= 0) files.push_back({file, POLLIN, 0});
    for (const Process& process : processes_) {
      if (process.pid == 0) continue;
      if (process.watch >= 0) files.push_back({process.watch, POLLIN, 0});
      else blind = true;
    }
    const bool something = !turn.ended.empty() || !turn.restarted.empty();
    Duration pause = something ? Duration{0} : until_next_restart(std::max(Duration{0}, deadline - launcher_now()));
    if (blind) pause = std::min<Duration>(pause, std::chrono::milliseconds(20));
    poll(files.data(), files.size(), milliseconds_up(pause));
    if (file >= 0) turn.readable = (files[0].revents & POLLIN) != 0;
    for (Process& process : processes_) reap(process, turn);
    if (turn.readable || !turn.ended.empty() || !turn.restarted.empty() || launcher_now() >= deadline) return turn;
  }
}

bool Supervisor::reap(Process& process, Turn& turn) {
  int status = 0;
  if (process.pid == 0 || waitpid(process.pid, &status, WNOHANG) != process.pid) return false;
  ProcessEnd end{process.spec.name, process.pid, describe_status(status), process.asked_to_end, false, crashed(status)};
  for (int* file : {&process.watch, &process.input}) {
    if (*file >= 0) close(*file);
    *file = -1;
  }
  process.pid = 0;
  if (!process.asked_to_end && restarting_) plan_restart(process, end);
  turn.ended.push_back(std::move(end));
  return true;
}

void Supervisor::plan_restart(Process& process, ProcessEnd& end) {
  const Time now = launcher_now();
  while (!process.restarts.empty() && now - process.restarts.front() > budget_.window) process.restarts.pop_front();
  if (process.restarts.size() >= budget_.restarts) {
    end.for_good = true;
    return;
  }
  Duration pause = budget_.first_pause;
  for (std::size_t i = 0; i < process.restarts.size() && pause < budget_.longest_pause; ++i) pause *= 2;
  process.restarts.push_back(now);
  process.restart_due = true;
  process.restart_at = now + std::min(pause, budget_.longest_pause);
}

void Supervisor::restart_due(Turn& turn) {
  for (Process& process : processes_) {
    if (!process.restart_due || launcher_now() < process.restart_at) continue;
    process.restart_due = false;
    if (!restarting_ || process.asked_to_end) continue;
    if (const Result<void> started = spawn(process); started) {
      turn.restarted.push_back(process.spec.name);
    } else {
      ProcessEnd end{process.spec.name, 0, started.error().message, false, false, false};
      plan_restart(process, end);
      turn.ended.push_back(std::move(end));
    }
  }
}

Duration Supervisor::until_next_restart(Duration limit) const {
  for (const Process& process : processes_)
    if (process.restart_due && restarting_) limit = std::min(limit, std::max(Duration{0}, process.restart_at - launcher_now()));
  return limit;
}

void Supervisor::signal(const std::string& name, int number) {
  for (Process& process : processes_) {
    if (process.spec.name != name) continue;
    process.asked_to_end = true;
    if (process.pid != 0) kill(process.pid, number);
  }
}

void Supervisor::forget(const std::string& name) {
  std::erase_if(processes_, [&](const Process& process) { return process.spec.name == name && process.pid == 0; });
}

pid_t Supervisor::pid(const std::string& name) const {
  for (const Process& process : processes_)
    if (process.spec.name == name) return process.pid;
  return 0;
}

std::size_t Supervisor::running() const {
  return static_cast<std::size_t>(std::count_if(processes_.begin(), processes_.end(), [](const Process& each) { return each.pid != 0; }));
}

}  // namespace baton
