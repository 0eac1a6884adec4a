// SPDX-License-Identifier: Apache-2.0
#include "launcher/start_cluster.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>

#include "config/memory.h"
#include "launcher/cluster.h"
#include "launcher/environment.h"
#include "launcher/exit_code.h"
#include "launcher/find_cluster.h"
#include "launcher/jobs_client.h"
#include "launcher/plan.h"
#include "launcher/remote_worker.h"
#include "runtime/base/log.h"
#include "server/api_keys.h"

namespace baton {
namespace {

int print_plan(const Topology& topology, const StartOptions& options) {
  std::printf("%s would start, in %s:\n", topology.name.c_str(), topology.coordinator.state.c_str());
  for (const ProcessSpec& each : plan_processes(topology, options.set)) {
    std::printf("  %-14s %s", each.name.c_str(), each.program.empty() ? "baton" : each.program.c_str());
    for (const std::string& word : each.arguments) std::printf(" %s", word.c_str());
    std::printf("\n");
  }
  std::printf("%s", to_be_started_by_hand(topology).c_str());
  if (topology.gateway) std::printf("HTTP at %s\n", http_url(topology).c_str());
  const auto plan = make_plan(topology, machine_facts());
  if (plan) {
    std::printf("\n%s", plan_text(topology, *plan).c_str());
    return kDone;
  }
  if (plan.error().code != ErrorCode::kNotFound) {
    complain(options.command.c_str(), plan.error());
    return kBadConfiguration;
  }
  std::printf("\nmemory and KV cannot be planned before the model is here\n");  // `serve` would fetch it
  return kDone;
}

// The cluster whose launcher that is; another than `wanted` if two topologies name one state folder.
std::string name_of_holder(pid_t holder, const std::string& wanted) {
  for (const ClusterEntry& each : running_clusters(home_folder()))
    if (each.launcher == holder) return each.name;
  return wanted;
}

// `up --wait` on a cluster that is up already.
int wait_for_running(const Topology& topology, const std::string& command) {
  const Time deadline = launcher_now() + topology.lifecycle.start_timeout;
  std::string why = "nobody answered at " + topology.coordinator.jobs;
  while (launcher_now() < deadline) {
    auto client = JobsClient::connect(topology.coordinator.jobs, std::chrono::seconds(1));
    const auto report = client ? (*client)->status(std::chrono::seconds(2)) : tl::unexpected<Error>(client.error());
    const std::vector<std::string> names = workers_of(topology.coordinator.state);
    if (report && (names.empty() ? workers_not_ready(topology, *report) : workers_not_ready(names, *report)).empty() && gateway_ready(topology)) {
      const std::string text = describe_ready(topology, *report, Duration{0});
      std::fwrite(text.data(), 1, text.size(), stdout);
      return kDone;
    }
    if (lock_holder(topology.coordinator.state) == 0) {
      why = "it went down meanwhile";
      break;
    }
    why = report ? "some workers, or the gateway, are not ready" : report.error().message;
    usleep(100'000);
  }
  std::fprintf(stderr, "baton %s: %s is up but not ready: %s\n", command.c_str(), topology.name.c_str(), why.c_str());
  return kNotReadyInTime;
}

int run_cluster(const LoadedTopology& loaded, const StartOptions& options, Announcer& announcer, bool detached) {
  set_log_json(loaded.topology.observability.log_json);
  signal(SIGPIPE, SIG_IGN);
  ClusterRun cluster(loaded, options.set, announcer, options.command);
  const int exit_status = cluster.run(detached);
  announcer.finish(exit_status);
  return exit_status;
}

// The child becomes the launcher, in a session of its own; this command stays until the cluster is ready. Forks before any
// other thread exists.
int run_detached(const LoadedTopology& loaded, const StartOptions& options) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) {
    std::fprintf(stderr, "baton %s: no pipe: %s\n", options.command.c_str(), std::strerror(errno));
    return kFailed;
  }
  const SignalFile signals;
  const pid_t launcher = fork();
  if (launcher < 0) {
    std::fprintf(stderr, "baton %s: cannot fork: %s\n", options.command.c_str(), std::strerror(errno));
    return kFailed;
  }
  if (launcher == 0) {
    close(ends[0]);
    setsid();
    if (chdir("/") != 0) _exit(kFailed);
    const int nothing = open("/dev/null", O_RDWR);
    for (const int standard : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) dup2(nothing, standard);
    if (nothing > STDERR_FILENO) close(nothing);
    Announcer announcer(ends[1]);
    return run_cluster(loaded, options, announcer, true);
  }
  close(ends[1]);
  const int exit_status = relay_announcements(ends[0], signals.fd(), [&] { kill(launcher, SIGINT); });
  close(ends[0]);
  if (exit_status == kFailed && kill(launcher, 0) != 0) std::fprintf(stderr, "baton %s: the launcher ended; see its log\n", options.command.c_str());
  return exit_status;
}

}  // namespace

int start_cluster(const LoadedTopology& loaded, const StartOptions& options) {
  const Topology& topology = loaded.topology;
  if (const std::string& keys = topology.security.api_keys_file; !keys.empty()) {
    if (const auto read = ApiKeys::load(keys); !read) {
      std::fprintf(stderr, "baton %s: security.api_keys_file: %s; nothing was started\n", options.command.c_str(), read.error().message.c_str());
      return kBadConfiguration;
    }
  }
  if (options.dry_run) return print_plan(topology, options);
  if (const pid_t holder = lock_holder(topology.coordinator.state); holder != 0) {
    const std::string name = name_of_holder(holder, topology.name);
    if (options.wait && name == topology.name) return wait_for_running(topology, options.command);
    const std::string why = name == topology.name ? name + " is up already" : "the state folder is in use: the cluster " + name + " is up in it";
    std::fprintf(stderr, "baton %s: %s (launcher pid %d, state %s); `baton down %s` stops it\n", options.command.c_str(), why.c_str(),
                 static_cast<int>(holder), topology.coordinator.state.c_str(), name.c_str());
    return kFailed;
  }
  if (options.detach) return run_detached(loaded, options);
  Announcer announcer;
  return run_cluster(loaded, options, announcer, false);
}

LoadOptions start_options(const std::vector<std::string>& set) {
  LoadOptions load = load_options(set);
  if (const std::uint64_t free_now = available_memory(); free_now != 0) load.memory = std::min(load.memory, free_now);
  return load;
}

}  // namespace baton
