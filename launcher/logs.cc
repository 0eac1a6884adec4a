// SPDX-License-Identifier: Apache-2.0
// `baton logs`: what a process of a cluster wrote, from its state folder on this machine.
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "launcher/commands.h"
#include "launcher/exit_code.h"
#include "launcher/find_cluster.h"
#include "launcher/interrupt.h"

namespace baton {
namespace {

constexpr std::chrono::milliseconds kGlance{200};
constexpr std::size_t kTailBytesMax = std::size_t{16} << 20;

std::vector<std::string> processes_of(const std::string& folder) {
  std::vector<std::string> names;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(folder, ignored))
    if (entry.path().extension() == ".log") names.push_back(entry.path().stem().string());
  std::sort(names.begin(), names.end());
  return names;
}

// The last lines, of at most kTailBytesMax; where they end in the file.
std::uintmax_t print_tail(const std::string& path, std::size_t lines) {
  std::ifstream stream(path, std::ios::binary | std::ios::ate);
  const auto size = static_cast<std::uintmax_t>(std::max<std::streamoff>(stream.tellg(), 0));
  std::string text(std::min<std::uintmax_t>(size, kTailBytesMax), '\0');
  stream.seekg(static_cast<std::streamoff>(size - text.size()));
  stream.read(text.data(), static_cast<std::streamsize>(text.size()));
  std::size_t from = text.size();
  for (std::size_t found = 0; from > 0; --from)
    if (text[from - 1] == '\n' && from != text.size() && ++found == lines) break;
  std::fwrite(text.data() + from, 1, lines == 0 ? 0 : text.size() - from, stdout);
  return size;
}

// Which file it is: a process that is started again gets a new one.
ino_t file_of(const std::string& path) {
  struct stat facts {};
  return stat(path.c_str(), &facts) == 0 ? facts.st_ino : 0;
}

int follow(const std::string& path, std::uintmax_t from) {
  ino_t file = file_of(path);
  catch_interrupts();
  while (!interrupted() && std::fflush(stdout) == 0) {
    std::this_thread::sleep_for(kGlance);
    const ino_t now = file_of(path);
    std::ifstream stream(path, std::ios::binary | std::ios::ate);
    const auto size = stream ? static_cast<std::uintmax_t>(stream.tellg()) : 0;
    if (now != file || size < from) from = 0;
    file = now;
    if (size <= from) continue;
    std::string text(std::min<std::uintmax_t>(size - from, kTailBytesMax), '\0');
    stream.seekg(static_cast<std::streamoff>(from));
    stream.read(text.data(), static_cast<std::streamsize>(text.size()));
    text.resize(static_cast<std::size_t>(stream.gcount()));
    std::fwrite(text.data(), 1, text.size(), stdout);
    from += text.size();
  }
  return kInterrupted;
}

}  // namespace

int run_logs(const LogsOptions& options) {
  const auto entry = find_cluster(options.cluster);
  if (!entry) return complain("logs", entry.error());
  const std::string folder = entry->state + "/logs";
  const std::vector<std::string> names = processes_of(folder);
  if (std::find(names.begin(), names.end(), options.process) == names.end()) {
    std::string known;
    for (const std::string& name : names) known += (known.empty() ? "" : ", ") + name;
    return complain("logs", Error{ErrorCode::kNotFound, known.empty() ? "there are no logs in " + folder : entry->name + " has no process " + options.process + "; it has " + known});
  }
  const std::string path = folder + '/' + options.process + ".log";
  const std::uintmax_t end = print_tail(path, options.tail);
  return options.follow ? follow(path, end) : kDone;
}

}  // namespace baton
