// SPDX-License-Identifier: Apache-2.0
// ClusterRun: one cluster from its launcher's point of view: prepare, start, wait until ready, watch, stop. Runs on the
// main thread and lives as long as the launcher. Owns the processes and the state folder's lock.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "config/load_topology.h"
#include "launcher/announcer.h"
#include "launcher/coordinator_line.h"
#include "launcher/fleet.h"
#include "launcher/launcher_socket.h"
#include "launcher/memory_file.h"
#include "launcher/signals.h"
#include "launcher/state_folder.h"
#include "launcher/supervisor.h"
#include "protocol/messages.h"

namespace baton {

// What is started, in this order: the coordinator first. Workers that somebody starts by hand are left out. `text` is the file's,
// for those that are started through ssh.
std::vector<ProcessSpec> plan_processes(const Topology& topology, const std::vector<std::string>& set, const std::string& text = {});

// "prefill-0" and so on that the report does not show as ready; empty: the cluster serves.
std::vector<std::string> workers_not_ready(const Topology& topology, const StatusReport& report);
// The same of a cluster that may have been scaled.
std::vector<std::string> workers_not_ready(const std::vector<std::string>& names, const StatusReport& report);

// "4096 tokens of KV in all (prefill 4096, decode 8192), 256 a job at most".
std::string describe_capacity(const StatusReport& report);

// Where the gateway of this topology, which has one, is dialled: "http://127.0.0.1:8000".
std::string http_url(const Topology& topology);

// Whether it answers, or there is none. Waits for it for a moment.
bool gateway_ready(const Topology& topology);

// What `up` prints once the cluster serves.
std::string describe_ready(const Topology& topology, const StatusReport& report, Duration took);

class ClusterRun {
 public:
  // Borrows all but `set`. `command` ("up", "serve") is what messages call themselves.
  ClusterRun(const LoadedTopology& loaded, std::vector<std::string> set, Announcer& announcer, std::string command);

  // Returns the exit status. `detached`: once ready, words go to the launcher's log instead of the terminal.
  int run(bool detached);

 private:
  Result<void> prepare(bool detached);
  std::optional<int> start_all();      // an exit status if it failed
  std::optional<int> wait_ready();
  void show_progress(const std::vector<std::string>& missing);
  int watch();
  int stop(bool at_once, int exit_status);
  bool drain_until(Time deadline, std::size_t leave_running);  // false: a second signal asked for haste
  Result<void> start(ProcessSpec spec);
  void note_ends(const Supervisor::Turn& turn);
  void tell_coordinator(const ProcessEnd& end);
  void write_cluster_file() const;
  int explain_death(const ProcessEnd& end);
  int explain_not_ready(const std::vector<std::string>& missing);

  void complain(const std::string& what) { announcer_.err("baton " + command_ + ": " + what); }

  const Topology& topology_;
  const std::string& text_;
  std::vector<std::string> set_;
  Announcer& announcer_;
  const std::string command_;
  SignalFile signals_;
  std::optional<StateFolder> state_;
  MemoryFile weights_;  // of the workers of this machine: one copy, filled by the first
  Supervisor supervisor_;
  CoordinatorLine line_;
  Fleet fleet_;
  std::optional<LauncherSocket> socket_;  // while it serves
  std::string supervisor_key_;  // shows the coordinator that it is the launcher who speaks
  Time started_{};
  std::string progress_;  // as shown
};

}  // namespace baton
