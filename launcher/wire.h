// SPDX-License-Identifier: Apache-2.0
// The mains of the processes that `baton up` starts. Each builds its objects bottom-up, runs its loop and destroys them in
// reverse. SIGTERM: finish within lifecycle.drain_timeout and return 0; a second one: at once. The result is the exit status.
#pragma once

#include <string>

#include "config/topology.h"

namespace baton {

int run_coordinator(const Topology& topology);
// The topology has a gateway. gateway.cc
int run_gateway(const Topology& topology);
// `worker_name` is one of worker_slots(topology). `weights_file`: descriptor of a memory file that this machine's workers share
// (models/weight_arena.h), or -1.
int run_worker(const Topology& topology, const std::string& worker_name, int weights_file);

}  // namespace baton
