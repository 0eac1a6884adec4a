// SPDX-License-Identifier: Apache-2.0
// SimCluster: a whole cluster of the shipped actors on virtual time: coordinator, edge and workers as simulated processes, the
// oracle engine on simulated devices, KV over the simulated fabric. The counterpart of wire.cc; nothing here decides anything
// the actors do not. A worker that exits or is killed is started again by the simulated supervisor after `restart_after`.
// One thread. Owns world and fabric; borrows the heap.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "actors/coordinator.h"
#include "actors/edge.h"
#include "actors/job_client.h"
#include "actors/worker.h"
#include "engine/oracle_engine.h"
#include "runtime/actor/sim_loop.h"
#include "runtime/link/sim_data_plane.h"

namespace baton {

struct SimPool {
  std::string name;
  Role role = Role::kBoth;
  std::uint32_t replicas = 1;
  std::uint32_t blocks = 64;
  BatchLimits limits;
  bool prefix_caching = true;
  std::uint64_t prefix_hash_mask = ~std::uint64_t{0};
};

struct SimClusterOptions {
  std::vector<SimPool> pools;
  OracleOptions model;
  CoordinatorOptions coordinator;
  SimWorldOptions world;
  LinkLimits worker_links;  // of workers and clients; world.links is the coordinator's and the edge's
  SimFabricOptions fabric;
  Duration step_base = std::chrono::microseconds(500);
  Duration step_per_token = std::chrono::microseconds(20);
  Duration transfer_time_limit = std::chrono::seconds(1);
  Duration restart_after = std::chrono::milliseconds(50);
  bool edge_apart = true;  // a gateway's: it lives on when the coordinator dies; else both are one process
  Duration notice_after = std::chrono::milliseconds(1);  // until the supervisor has told the coordinator of a death
};

class SimCluster {
 public:
  SimCluster(EventHeap& heap, const SimClusterOptions& options);
  ~SimCluster();

  SimWorld& world() { return world_; }
  SimFabric& fabric() { return fabric_; }
  const std::vector<std::string>& workers() const { return workers_; }
  void kill_worker(const std::string& name);  // comes back after restart_after; the supervisor tells the coordinator
  // Asks the coordinator as an operator does; answers are not waited for.
  void command(ClusterCommand command);
  // The coordinator's process dies and comes back; what its journal had made durable is there again.
  void kill_control(Duration dead_for);
  std::uint64_t control_kills() const { return control_kills_; }
  void pause_worker(const std::string& name);
  void resume_worker(const std::string& name);
  // Cuts the data network between the present lives of two workers.
  void cut_data(const std::string& a, const std::string& b);
  void heal_data();
  // Null while it is dead.
  const Worker* worker(const std::string& name);
  const Coordinator& coordinator();
  const Edge& edge();
  // Adds a client process whose actor talks to the edge. `ready` is called with it in its first turn.
  void add_client(const std::string& name, JobClient::Sink sink, std::function<void(JobClient&, Outbox&, SimNodeContext&)> ready);
  static NodeId coordinator_node() { return node_id("coordinator"); }
  static NodeId edge_node() { return node_id("edge/jobs"); }
  std::uint64_t worker_exits() const { return worker_exits_; }
  // Blocks that changed hands while the data plane could still read or write them.
  const std::vector<std::string>& complaints() const { return complaints_; }

 private:
  struct CoordinatorProcess;
  struct EdgeProcess;
  struct WorkerProcess;
  struct ClientProcess;
  class SimEngine;
  class SimJournal;
  class Exit;

  void add_worker(const SimPool& pool, std::uint32_t index);
  void worker_ended(const std::string& name, bool crashed);

  EventHeap& heap_;
  const SimClusterOptions options_;
  SimFabric fabric_;
  SimWorld world_;
  std::vector<std::string> workers_;
  std::unique_ptr<Tokenizer> tokenizer_;
  std::uint64_t worker_exits_ = 0;
  std::uint64_t control_kills_ = 0;
  JournalRecords disk_;  // the coordinator's
  std::map<std::string, std::uint32_t> pids_;  // of the workers' present lives
  std::uint32_t last_pid_ = 0;
  JobClient* operator_ = nullptr;  // the supervisor's and the operator's way to the coordinator
  SimNodeContext* operator_context_ = nullptr;
  std::vector<std::pair<PeerKey, PeerKey>> cuts_;
  std::vector<std::string> complaints_;
};

}  // namespace baton
