// SPDX-License-Identifier: Apache-2.0
#include "launcher/process_usage.h"

#include <filesystem>
#include <fstream>
#include <sstream>

namespace baton {
namespace {

constexpr double kNanosecond = 1e-9;

std::string first_line(const std::filesystem::path& path) {
  std::string line;
  std::getline(std::ifstream(path) >> std::ws, line);
  return line;
}

}  // namespace

std::map<std::string, double> cpu_seconds_by_thread(pid_t pid) {
  std::map<std::string, double> seconds;
  std::error_code problem;
  for (const auto& task : std::filesystem::directory_iterator("/proc/" + std::to_string(pid) + "/task", problem)) {
    std::uint64_t nanoseconds = 0;  // schedstat: on a CPU, waiting for one, time slices
    if (std::ifstream(task.path() / "schedstat") >> nanoseconds) seconds[first_line(task.path() / "comm")] += kNanosecond * static_cast<double>(nanoseconds);
  }
  return seconds;
}

MemoryUse memory_use(pid_t pid) {
  MemoryUse use;
  std::ifstream stream("/proc/" + std::to_string(pid) + "/smaps_rollup");
  for (std::string line; std::getline(stream, line);) {
    std::istringstream words(line);
    std::string name;
    std::uint64_t kibibytes = 0;
    words >> name >> kibibytes;
    if (name == "Rss:") use.resident_bytes = kibibytes * 1024;
    if (name == "Pss:") use.proportional_bytes = kibibytes * 1024;
  }
  return use;
}

}  // namespace baton
