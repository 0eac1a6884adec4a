// SPDX-License-Identifier: Apache-2.0
// What `baton up` and `baton serve` share once they have a topology: show the plan, or start every process and stay as their
// launcher, in the foreground or detached. Main thread; forks, so nobody else may have started threads before.
#pragma once

#include <string>
#include <vector>

#include "config/load_topology.h"

namespace baton {

struct StartOptions {
  std::string command;           // "up", "serve": what messages call themselves
  std::vector<std::string> set;  // overrides that the processes get, too
  bool detach = false;
  bool dry_run = false;
  bool wait = false;             // a cluster that is up already is fine: wait until it is ready
};

// The exit status.
int start_cluster(const LoadedTopology& loaded, const StartOptions& options);

// load_options(), with the memory that is free now as the limit.
LoadOptions start_options(const std::vector<std::string>& set);

}  // namespace baton
