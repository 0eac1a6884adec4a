// SPDX-License-Identifier: Apache-2.0
// The state folder of a running cluster (coordinator.state, mode 0700) and the register of all clusters of this user.
//   STATE/lock            held (flock) by the launcher as long as it lives; contains its pid
//   STATE/cluster.json    name, pids, addresses, topology; for people and scripts
//   STATE/launcher.sock   where a launcher that serves takes `baton scale` (launcher_socket.h)
//   STATE/topology.yaml   the text the cluster was started with; restarted processes read it, not the edited original
//   STATE/journal         jobs that the coordinator has taken and not ended (runtime/journal/file_journal.h); gone after a good end
//   STATE/supervisor.key  what shows the coordinator that it is its launcher who speaks
//   STATE/logs/NAME.log   what each process wrote, the last run's in NAME.log.1
//   STATE/progress/NAME   how far a worker is before it joins (load_progress.h)
//   ~/.local/state/baton/clusters/NAME   where to find it: "key=value" lines
// Whether a cluster runs is decided by the lock alone, so a killed launcher leaves nothing that looks alive.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "runtime/base/result.h"
#include "runtime/base/time.h"

namespace baton {

struct ClusterEntry {
  std::string name;
  std::string state;      // folder
  std::string jobs;       // address
  std::string topology;   // the YAML file, as the user named it, absolute
  pid_t launcher = 0;
  Duration stop_limit{0}; // how long a graceful stop may take
};

class StateFolder {
 public:
  // Makes the folders (0700) and takes the lock. kAlreadyExists names the pid that holds it.
  static Result<StateFolder> create(const std::string& path);
  StateFolder(StateFolder&& other) noexcept;
  StateFolder& operator=(StateFolder&&) = delete;
  ~StateFolder();  // lets go of the lock

  const std::string& path() const { return path_; }
  std::string log_path(const std::string& process) const { return path_ + "/logs/" + process + ".log"; }

 private:
  StateFolder(std::string path, int lock) : path_(std::move(path)), lock_(lock) {}
  std::string path_;
  int lock_;
};

std::string journal_path(const std::string& state);
// And what a crash in the middle of writing it anew has left.
void remove_journal(const std::string& state);
std::string supervisor_key_path(const std::string& state);

// Whether some launcher holds the folder's lock, and its pid (0: nobody).
pid_t lock_holder(const std::string& state);

// The register. `home` is home_folder().
Result<void> register_cluster(const std::string& home, const ClusterEntry& entry);
void unregister_cluster(const std::string& home, const std::string& name);
// Clusters whose launcher lives, by name.
std::vector<ClusterEntry> running_clusters(const std::string& home);

// The workers that the cluster in that folder has now, as its launcher wrote it into cluster.json; empty: it has not yet.
std::vector<std::string> workers_of(const std::string& state);

// The gateway of the cluster in that folder, as its launcher wrote it into cluster.json; nullopt: it has none.
struct GatewayEntry {
  pid_t pid = 0;  // 0: it is not running just now
  std::string http;
};
std::optional<GatewayEntry> gateway_of(const std::string& state);

// Writes the whole file or nothing (rename), mode 0600.
Result<void> write_file(const std::string& path, const std::string& text);
// The last lines of a file, at most `lines` and 16 KiB; "" if it cannot be read.
std::string last_lines_of_file(const std::string& path, std::size_t lines);

}  // namespace baton
