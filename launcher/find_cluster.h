// SPDX-License-Identifier: Apache-2.0
// Which cluster a client command means: by name, by topology file, or the only one that is up.
#pragma once

#include <memory>
#include <string>

#include "launcher/jobs_client.h"
#include "launcher/state_folder.h"
#include "runtime/base/result.h"

namespace baton {

// A word with a "/" or ending in .yaml or .yml is a file, anything else a name. kNotFound: nothing is up; kInvalidArgument:
// others are, and it says which. `launcher` is 0 in what a file names, so that a cluster started by hand can be reached, too.
// `how_to_name` is what a user types before a cluster's name, for the error when there are several.
Result<ClusterEntry> find_cluster(const std::string& name_or_file, const std::string& how_to_name = "--topology ");

// find_cluster and a connection to its jobs socket.
struct ConnectedCluster {
  ClusterEntry entry;
  std::unique_ptr<JobsClient> client;
};
Result<ConnectedCluster> connect_cluster(const std::string& name_or_file);
// After nobody answered: connects anew if the coordinator is back. An error only if its launcher is gone, too.
Result<void> reconnect(ConnectedCluster& cluster);

// Prints "baton COMMAND: message" to standard error and returns kFailed.
int complain(const char* command, const Error& error);

}  // namespace baton
