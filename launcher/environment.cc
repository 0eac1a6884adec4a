// SPDX-License-Identifier: Apache-2.0
#include "launcher/environment.h"

#include <pwd.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <fstream>

extern "C" char** environ;

namespace baton {
namespace {

// What this machine has, or what its container is limited to. 0: not known.
std::uint64_t machine_memory() {
  const long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
  std::uint64_t bytes = pages > 0 && page > 0 ? static_cast<std::uint64_t>(pages) * static_cast<std::uint64_t>(page) : 0;
  for (const char* limit : {"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"}) {
    std::uint64_t value = 0;
    if (std::ifstream(limit) >> value && value > 0) bytes = bytes == 0 ? value : std::min(bytes, value);
  }
  return bytes;
}

}  // namespace

std::string home_folder() {
  if (const char* home = std::getenv("HOME"); home != nullptr && *home != '\0') return home;
  const passwd* entry = getpwuid(getuid());
  return entry != nullptr && entry->pw_dir != nullptr ? entry->pw_dir : "";
}

LoadOptions load_options(const std::vector<std::string>& set) {
  LoadOptions options;
  options.set = set;
  for (char** each = environ; each != nullptr && *each != nullptr; ++each) {
    const std::string_view text = *each;
    const std::size_t equals = text.find('=');
    if (text.starts_with("BATON_") && equals != std::string_view::npos)
      options.environment.emplace(text.substr(0, equals), text.substr(equals + 1));
  }
  options.environment["HOME"] = home_folder();
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  if (sched_getaffinity(0, sizeof allowed, &allowed) == 0) options.cores = static_cast<std::uint32_t>(CPU_COUNT(&allowed));
  options.memory = machine_memory();
  return options;
}

std::string own_executable() {
  char path[PATH_MAX];
  const ssize_t length = readlink("/proc/self/exe", path, sizeof path);
  return length > 0 ? std::string(path, static_cast<std::size_t>(length)) : "/proc/self/exe";
}

std::optional<LoadedTopology> load_or_explain(const std::string& path, const LoadOptions& options, const char* outcome) {
  LoadResult loaded = load_topology(path, options);
  const std::string shown = render(loaded ? loaded->notes : loaded.error());
  std::fwrite(shown.data(), 1, shown.size(), stderr);
  if (loaded) return std::move(*loaded);
  const std::size_t count = loaded.error().size();
  std::fprintf(stderr, "%s: %zu error%s%s\n", path.c_str(), count, count == 1 ? "" : "s", outcome);
  return std::nullopt;
}

}  // namespace baton
