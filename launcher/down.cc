// SPDX-License-Identifier: Apache-2.0
#include <signal.h>
#include <unistd.h>

#include <cstdio>

#include "config/units.h"
#include "launcher/commands.h"
#include "launcher/exit_code.h"
#include "launcher/find_cluster.h"
#include "launcher/supervisor.h"

namespace baton {

// What is wanted is that nothing runs; that nothing ran to begin with is no failure. A name that none of those up has is one.
int run_down(const DownOptions& options) {
  const auto entry = find_cluster(options.cluster, "baton down ");
  if (!entry || entry->launcher == 0) {
    if (entry || entry.error().code == ErrorCode::kNotFound) {
      std::fprintf(stderr, "%s\n", entry ? (entry->name + " is not up").c_str() : entry.error().message.c_str());
      return kDone;
    }
    return complain("down", entry.error());
  }
  const Time start = launcher_now();
  if (kill(entry->launcher, options.now ? SIGQUIT : SIGTERM) != 0) {
    std::fprintf(stderr, "baton down: cannot signal the launcher of %s (pid %d): %m\n", entry->name.c_str(), static_cast<int>(entry->launcher));
    return kFailed;
  }
  const Time deadline = start + (options.now ? Duration(std::chrono::seconds(10)) : entry->stop_limit + std::chrono::seconds(5));
  while (lock_holder(entry->state) == entry->launcher && launcher_now() < deadline) usleep(10'000);
  const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(launcher_now() - start);
  if (lock_holder(entry->state) == entry->launcher) {
    std::fprintf(stderr, "baton down: %s is still stopping after %s; `baton down %s --now` does not wait for running jobs\n", entry->name.c_str(),
                 format_duration(took).c_str(), entry->name.c_str());
    return kFailed;
  }
  std::printf("%s is down (%s)\n", entry->name.c_str(), format_duration(took).c_str());
  return kDone;
}

}  // namespace baton
