// SPDX-License-Identifier: Apache-2.0
#include "launcher/environment.h"

#include <pwd.h>
#include <sched.h>
#include <unistd.h>

#include <climits>
#include <cstdio>
#include <cstdlib>

extern "C" char** environ;

namespace baton {

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
  return options;
}

std::string own_executable() {
  char path[PATH_MAX];
  const ssize_t length = readlink("/proc/self/exe", path, sizeof path);
  return length > 0 ? std::string(path, static_cast<std::size_t>(length)) : "/proc/self/exe";
}

std::optional<LoadedTopology> load_or_explain(const std::string& path, const LoadOptions& options) {
  LoadResult loaded = load_topology(path, options);
  const std::string shown = render(loaded ? loaded->notes : loaded.error());
  std::fwrite(shown.data(), 1, shown.size(), stderr);
  if (loaded) return std::move(*loaded);
  const std::size_t count = loaded.error().size();
  std::fprintf(stderr, "%s: %zu error%s; nothing was started\n", path.c_str(), count, count == 1 ? "" : "s");
  return std::nullopt;
}

}  // namespace baton
