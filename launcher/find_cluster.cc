// SPDX-License-Identifier: Apache-2.0
#include "launcher/find_cluster.h"

#include <cstdio>
#include <utility>
#include <vector>

#include "config/load_topology.h"
#include "launcher/environment.h"
#include "launcher/exit_code.h"

namespace baton {
namespace {

constexpr Duration kConnectLimit = std::chrono::seconds(3);

bool names_a_file(const std::string& word) { return word.find('/') != std::string::npos || word.ends_with(".yaml") || word.ends_with(".yml"); }

Result<ClusterEntry> from_file(const std::string& path) {
  LoadOptions options = load_options({});
  options.check_files = false;  // a client needs no model
  const LoadResult loaded = load_topology(path, options);
  if (!loaded) return fail(ErrorCode::kInvalidArgument, "the topology has errors:\n" + render(loaded.error()));
  const Topology& topology = loaded->topology;
  ClusterEntry entry{topology.name, topology.coordinator.state, topology.coordinator.jobs, topology.file, 0, {}};
  entry.launcher = lock_holder(entry.state);
  entry.stop_limit = topology.lifecycle.drain_timeout + std::chrono::seconds(10);
  return entry;
}

}  // namespace

Result<ClusterEntry> find_cluster(const std::string& name_or_file, const std::string& how_to_name) {
  if (names_a_file(name_or_file)) return from_file(name_or_file);
  const std::vector<ClusterEntry> running = running_clusters(home_folder());
  std::string names;
  for (const ClusterEntry& each : running) {
    if (each.name == name_or_file) return each;
    names += (names.empty() ? "" : ", ") + each.name;
  }
  if (!name_or_file.empty() && !running.empty())
    return fail(ErrorCode::kInvalidArgument, "no cluster named " + name_or_file + " is up; up: " + names);
  if (!name_or_file.empty())
    return fail(ErrorCode::kNotFound, "no cluster named " + name_or_file + " is up");
  if (running.empty()) return fail(ErrorCode::kNotFound, "no cluster is up; start one with `baton up examples/laptop.yaml`");
  if (running.size() > 1) return fail(ErrorCode::kInvalidArgument, "several clusters are up: " + names + "; name one, as in " + how_to_name + running.front().name);
  return running.front();
}

Result<ConnectedCluster> connect_cluster(const std::string& name_or_file) {
  auto entry = find_cluster(name_or_file);
  if (!entry) return tl::unexpected<Error>(entry.error());
  auto client = JobsClient::connect(entry->jobs, kConnectLimit);
  if (!client && entry->launcher == 0)
    return fail(ErrorCode::kUnavailable, entry->name + " is not up: nobody answers at " + entry->jobs + "; start it with `baton up " + name_or_file + '`');
  if (!client) return fail(client.error().code, entry->name + " (launcher pid " + std::to_string(entry->launcher) + ") does not answer at " + entry->jobs + "; its log: " + entry->state + "/logs/coordinator.log");
  return ConnectedCluster{std::move(*entry), std::move(*client)};
}

Result<void> reconnect(ConnectedCluster& cluster) {
  auto client = JobsClient::connect(cluster.entry.jobs, kConnectLimit);
  if (client) cluster.client = std::move(*client);
  else if (lock_holder(cluster.entry.state) == 0) return fail(ErrorCode::kNotFound, cluster.entry.name + " is not up any more");
  return {};
}

int complain(const char* command, const Error& error) {
  std::fprintf(stderr, "baton %s: %s\n", command, error.message.c_str());
  return kFailed;
}

}  // namespace baton
