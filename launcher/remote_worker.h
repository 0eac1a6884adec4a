// SPDX-License-Identifier: Apache-2.0
// How workers of other nodes are started: through ssh, or by somebody's hand. Through ssh the topology's text goes in on
// standard input, which then stays open for as long as the launcher lives: its end is how the worker there learns that the
// launcher is gone, whatever the network did. Any thread; the watch is a thread of its own.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "config/topology.h"
#include "launcher/supervisor.h"

namespace baton {

enum class StartedBy { kLauncher, kSsh, kHand };
// The coordinator's node, and every one without ssh whose address this machine has, is this machine.
StartedBy who_starts(const Topology& topology, const PoolSection& pool);

// What `ssh` is asked to run so that `arguments` (of `baton`) run there.
ProcessSpec through_ssh(const NodeSection& node, const std::string& own_program, const std::string& topology_text,
                        ProcessSpec local);

// Workers that somebody has to start, with the command for each; "" if there are none.
std::string to_be_started_by_hand(const Topology& topology);

// In a worker with `--topology -`: reads the text from standard input and returns a path under which it can be read; then
// ends this process (as `baton down` would, and at once if it hesitates) when standard input ends.
std::optional<std::string> topology_from_standard_input();

}  // namespace baton
