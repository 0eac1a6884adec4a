// SPDX-License-Identifier: Apache-2.0
// What the paths between workers are, and should be.
#pragma once

#include <optional>
#include <string>

#include "config/topology.h"
#include "launcher/state_folder.h"
#include "protocol/messages.h"

namespace baton {

// Why KV goes this way although a faster one was possible; nothing where it goes as well as it can, or that is not known.
std::optional<std::string> why_slow(const std::optional<Topology>& topology, const std::string& from, const LinkTraffic& link);

// What the cluster was started with; nothing if its file cannot be read here.
std::optional<Topology> topology_of(const ClusterEntry& entry);

}  // namespace baton
