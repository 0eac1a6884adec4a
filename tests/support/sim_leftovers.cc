// SPDX-License-Identifier: Apache-2.0
#include "tests/support/sim_leftovers.h"

namespace baton {

std::vector<std::string> sim_leftovers(SimCluster& cluster) {
  std::vector<std::string> left = cluster.complaints();
  if (cluster.coordinator().jobs() != 0) left.push_back(std::to_string(cluster.coordinator().jobs()) + " jobs left at the coordinator");
  for (const std::string& problem : cluster.coordinator().check_integrity()) left.push_back("coordinator: " + problem);
  if (cluster.edge().streams() != 0) left.push_back(std::to_string(cluster.edge().streams()) + " streams left at the edge");
  if (cluster.edge().requests() != 0) left.push_back(std::to_string(cluster.edge().requests()) + " requests left at the edge");
  if (cluster.coordinator().workers() != cluster.workers().size()) left.push_back("a worker did not come back");
  for (const std::string& name : cluster.workers()) {
    const Worker* worker = cluster.worker(name);
    if (worker == nullptr) {
      left.push_back(name + " is dead");
      continue;
    }
    const FsckAccount account = worker->account();
    for (const std::string& problem : account.problems) left.push_back(name + ": " + problem);
    if (account.free + account.cached != account.blocks_total || account.sequences != 0 || account.transfers != 0)
      left.push_back(name + ": " + std::to_string(account.blocks_total - account.free - account.cached) + " blocks, " + std::to_string(account.sequences) + " sequences, " +
                     std::to_string(account.transfers) + " transfers left");
  }
  return left;
}

}  // namespace baton
