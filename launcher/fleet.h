// SPDX-License-Identifier: Apache-2.0
// Fleet: the workers of a cluster that serves, as its launcher knows them: which there should be, how their number is changed
// while jobs run (`baton scale`), and whether the cluster can do without one that is given up. One change at a time: first
// what is to be more is started and becomes ready, then what is to be less is drained and ended, highest numbers first, so that
// no moment lacks a role. A refusal of the coordinator takes the drains back.
// The launcher's main thread; nothing blocks: step() and take() are called as time passes and answers come.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "config/load_topology.h"
#include "launcher/coordinator_line.h"
#include "launcher/scale_protocol.h"
#include "launcher/supervisor.h"

namespace baton {

// How the worker is started; nullopt: somebody does it by hand. `text` is the topology's, for those that are started through ssh.
std::optional<ProcessSpec> worker_process(const Topology& topology, const WorkerSlot& slot, const std::vector<std::string>& set, const std::string& text);

class Fleet {
 public:
  // What a fleet needs of its launcher.
  struct Ports {
    std::function<Result<void>(ProcessSpec)> start;                           // a worker's process
    std::function<void(std::uint64_t connection, const ScaleReply&)> reply;  // to who asked
    std::function<void(const std::string&)> say;                              // to who reads the launcher's words
    std::function<std::string(const std::string& name)> log_path;
  };
  // Borrows all but `set` and `ports`. The topology's workers are in, ready.
  Fleet(const LoadedTopology& loaded, std::vector<std::string> set, Supervisor& supervisor, CoordinatorLine& line, Ports ports);

  void scale(std::uint64_t connection, const ScaleRequest& request);
  // A process ended that is, or was, one of these.
  void note_end(const ProcessEnd& end);
  void take(std::uint64_t number, const CoordinatorLine::Answer& answer);
  void step();
  // step() has something to wait for.
  bool busy() const { return operation_.has_value() || !losses_.empty(); }

  // In the order of the pools.
  std::vector<WorkerSlot> workers() const;
  // Whether workers() has changed since it was asked last.
  bool take_changed() { return std::exchange(changed_, false); }
  // A worker was given up; the cluster may go on without it.
  bool gave_up() const { return gave_up_; }
  // Set once nobody is left to do what one that was given up did: why the cluster must stop.
  const std::optional<std::string>& cannot_serve() const { return cannot_serve_; }

 private:
  enum class Part : std::uint8_t { kServes, kStarts, kDrains, kEnds };
  using Key = std::pair<std::size_t, std::uint32_t>;  // pool and replica
  struct Worker {
    WorkerSlot slot;
    Part part = Part::kServes;
    Time kill_at = kNever;  // kEnds
  };
  struct Operation {
    std::uint64_t connection = 0;
    ScaleRequest request;
    Time begun{};
    Time deadline{};
    Time look_at{};
    std::uint64_t status = 0;                // number of the question that is open; 0: none
    bool shrinking = false;
    std::map<std::uint64_t, Key> drains;     // by number of the question
    std::string refusal;
  };

  std::optional<ScaleReply> refusal(const ScaleRequest& request) const;
  std::size_t size_of(std::size_t pool) const;  // without those that leave
  std::optional<std::size_t> find_pool(const std::string& name) const;
  std::vector<std::string> settings_for(std::size_t pool, std::uint32_t replicas) const;
  Result<void> grow(const PoolSize& wanted);
  void look(const StatusReport& report);
  void shrink();
  void take_drain(const Key& key, const CoordinatorLine::Answer& answer);
  void take_back(const std::string& why);
  void end_worker(Worker& worker);
  void remove(const Key& key);
  void tell(const std::string& text) { ports_.reply(operation_->connection, {text, std::nullopt}); }
  void finish(int exit_status, const std::string& text);
  std::string summary() const;
  void give_up(const Worker& worker, const ProcessEnd& end);
  void judge_loss(const WorkerSlot& lost, const StatusReport& report);

  const LoadedTopology& loaded_;
  const Topology& topology_;
  const std::vector<std::string> set_;
  Supervisor& supervisor_;
  CoordinatorLine& line_;
  const Ports ports_;
  std::map<Key, Worker> workers_;
  std::optional<Operation> operation_;
  std::map<std::uint64_t, WorkerSlot> losses_;  // given up, by number of the question who else is there
  bool changed_ = false;
  bool gave_up_ = false;
  std::optional<std::string> cannot_serve_;
};

}  // namespace baton
