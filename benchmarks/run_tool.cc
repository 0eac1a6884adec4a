// SPDX-License-Identifier: Apache-2.0
#include "benchmarks/run_tool.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>

namespace baton {
namespace {

constexpr std::size_t kOutputMax = std::size_t{4} << 20;
constexpr std::size_t kTailBytes = 600;

// Reads until the pipe is closed. False: time ran out first.
bool read_until_closed(int pipe, Duration limit, std::string& text) {
  const auto deadline = std::chrono::steady_clock::now() + limit;
  while (true) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now()).count();
    if (left <= 0) return false;
    pollfd file{pipe, POLLIN, 0};
    if (poll(&file, 1, static_cast<int>(std::min<std::int64_t>(left, 60'000))) <= 0) continue;
    char buffer[16384];
    const ssize_t count = read(pipe, buffer, sizeof buffer);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return true;
    if (text.size() < kOutputMax) text.append(buffer, static_cast<std::size_t>(count));
  }
}

std::string tail_of(const std::string& text) {
  std::string tail = text.size() > kTailBytes ? text.substr(text.size() - kTailBytes) : text;
  while (!tail.empty() && tail.back() == '\n') tail.pop_back();
  return tail.empty() ? "it wrote nothing" : "its last lines:\n" + tail;
}

// The text behind the last `"name":`, blanks skipped.
std::string_view value_of(std::string_view text, std::string_view name) {
  const std::string key = '"' + std::string(name) + "\":";
  const std::size_t at = text.rfind(key);
  if (at == std::string_view::npos) return {};
  text.remove_prefix(at + key.size());
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  return text;
}

}  // namespace

Result<ToolOutput> run_tool(const std::vector<std::string>& argv, Duration limit) {
  std::vector<char*> arguments;
  for (const std::string& argument : argv) arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return fail(ErrorCode::kIo, std::string("no pipe: ") + std::strerror(errno));
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, ends[1], STDERR_FILENO);
  pid_t child = 0;
  const int error = posix_spawn(&child, arguments[0], &actions, nullptr, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  close(ends[1]);
  if (error != 0) {
    close(ends[0]);
    return fail(error == ENOENT ? ErrorCode::kNotFound : ErrorCode::kIo, "cannot start " + argv[0] + ": " + std::strerror(error));
  }
  ToolOutput output;
  const bool in_time = read_until_closed(ends[0], limit, output.text);
  close(ends[0]);
  if (!in_time) kill(child, SIGKILL);
  int status = 0;
  rusage usage{};
  while (wait4(child, &status, 0, &usage) < 0 && errno == EINTR) {
  }
  output.resident_bytes = static_cast<std::uint64_t>(usage.ru_maxrss) * 1024;
  if (!in_time) return fail(ErrorCode::kDeadlineExceeded, argv[0] + " took too long and was stopped; " + tail_of(output.text));
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) return fail(ErrorCode::kInternal, argv[0] + " failed; " + tail_of(output.text));
  return output;
}

Result<double> json_number(std::string_view text, std::string_view name) {
  const std::string value(value_of(text, name).substr(0, 40));
  char* end = nullptr;
  const double number = std::strtod(value.c_str(), &end);
  if (end == value.c_str()) return fail(ErrorCode::kIncompatible, "no number \"" + std::string(name) + "\" in the output");
  return number;
}

std::string json_text(std::string_view text, std::string_view name) {
  const std::string_view value = value_of(text, name);
  if (!value.starts_with('"')) return {};
  return std::string(value.substr(1, value.find('"', 1) - 1));
}

}  // namespace baton
