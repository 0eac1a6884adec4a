// SPDX-License-Identifier: Apache-2.0
// Saboteur: kills and freezes workers and the coordinator of a real cluster at seeded random moments while streams are under way, so that
// the cluster can always serve: of each role at most one process is down at a time, and none ends more often than its launcher starts
// it again.
// It works on a thread of its own from construction until finish().
#pragma once

#include <atomic>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "launcher/supervisor.h"
#include "tests/support/chaos_options.h"
#include "tests/support/cluster_process.h"

namespace baton::test {

// What the launcher's budget still allows: it gives a process up that ends once more often within the window.
class RestartLedger {
 public:
  explicit RestartLedger(const RestartBudget& budget) : budget_(budget) {}
  bool allows(const std::string& process, Time now) const;
  void note(const std::string& process, Time now) { ends_[process].push_back(now); }

 private:
  const RestartBudget budget_;
  std::map<std::string, std::deque<Time>> ends_;
};

struct Fault {
  Time at{};
  std::string victim;
  Duration frozen{};                   // zero: killed
  std::vector<std::string> streams;    // that it was decoding, by the cluster's own word; all of them, of the coordinator
  std::optional<Time> noticed;         // the coordinator gave it up
};

struct SabotagePlan {
  std::vector<ChaosRole> roles;  // of workers, and the coordinator
  std::uint32_t kills = 0;
  std::uint32_t freezes = 0;
  Duration shortest = std::chrono::milliseconds(200);  // of a freeze
  Duration longest = std::chrono::seconds(3);
  Duration load{};               // over which the faults are spread
  std::uint64_t seed = 1;
  bool at_rest = false;          // each fault waits until all workers are back, and a second longer: for measuring
};

class Saboteur {
 public:
  // Borrows the cluster, which must be up. `workers`: their names by role; "coordinator" may be one of them. `streaming`: names of the streams under way, from any thread.
  Saboteur(ClusterProcess& cluster, SabotagePlan plan, std::map<std::string, ChaosRole> workers, std::function<std::vector<std::string>()> streaming);
  ~Saboteur();
  Saboteur(const Saboteur&) = delete;
  Saboteur& operator=(const Saboteur&) = delete;

  bool done() const { return done_; }  // no fault is to come, and none lasts
  // Waits for the last fault and until all workers are back. Faults that could not be done are missing.
  std::vector<Fault> finish();
  std::uint64_t resumed() const { return resumed_; }          // jobs that were placed again; after finish()
  std::uint64_t quarantined() const { return quarantined_; }  // jobs that were refused as the cause

 private:
  struct Worker {
    std::string name;
    ChaosRole role = ChaosRole::kBoth;
    bool down = false;
    pid_t pid = 0;           // of the life that the fault hit
    Time thaw = kNever;      // of a frozen one
    Time since{};            // when it was hit, or thawed
    std::size_t fault = 0;
  };

  void work();
  void look();
  bool reach(Time now);
  void take_events();
  Worker* choose(Time now);
  void strike(Worker& worker, Duration freeze);
  std::vector<std::string> decoded_by(const std::string& worker);
  bool all_up() const;

  ClusterProcess& cluster_;
  const SabotagePlan plan_;
  const std::function<std::vector<std::string>()> streaming_;
  std::vector<Worker> workers_;
  RestartLedger ledger_;
  std::mt19937_64 random_;
  std::unique_ptr<JobsClient> client_;
  std::vector<Fault> faults_;
  Time looked_{};
  std::uint64_t event_ = 0;
  std::uint64_t resumed_ = 0;
  std::uint64_t quarantined_ = 0;
  std::atomic<bool> done_{false};
  std::thread thread_;
};

}  // namespace baton::test
