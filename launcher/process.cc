// SPDX-License-Identifier: Apache-2.0
#include <cstdio>

#include "launcher/commands.h"
#include "launcher/environment.h"
#include "launcher/exit_code.h"
#include "launcher/remote_worker.h"
#include "launcher/wire.h"
#include "runtime/base/log.h"

namespace baton {
namespace {

LogLevel level_of(const std::string& name) {
  if (name == "debug") return LogLevel::kDebug;
  if (name == "warn") return LogLevel::kWarn;
  if (name == "error") return LogLevel::kError;
  return LogLevel::kInfo;
}

}  // namespace

int run_process(const ProcessOptions& options) {
  LoadOptions load = load_options(options.set);
  load.base_folder = options.base_folder;
  load.check_files = options.worker.empty();  // a worker that cannot open its model says why in better words
  const bool from_input = options.topology == "-";
  const std::optional<std::string> file = from_input ? topology_from_standard_input() : options.topology;
  if (!file) {
    std::fprintf(stderr, "baton: no topology came on standard input; `--topology -` is for the launcher's use\n");
    return kBadUsage;
  }
  const auto loaded = load_or_explain(*file, load);
  if (!loaded) return kBadConfiguration;
  const Topology& topology = loaded->topology;
  set_log_json(topology.observability.log_json);
  set_log_level(level_of(topology.observability.log_level));
  if (options.gateway && topology.gateway) return run_gateway(topology);
  if (options.gateway) {
    std::fprintf(stderr, "baton gateway: the topology has no gateway; give it one, as in gateway: { http: 127.0.0.1:8000 }\n");
    return kBadConfiguration;
  }
  if (options.worker.empty()) return run_coordinator(topology);
  if (find_worker(topology, options.worker)) return run_worker(topology, options.worker, options.weights_file);
  std::fprintf(stderr, "baton worker: the topology has no worker named %s; it has", options.worker.c_str());
  for (const WorkerSlot& slot : worker_slots(topology)) std::fprintf(stderr, " %s", slot.name.c_str());
  std::fprintf(stderr, "\n");
  return kBadUsage;
}

}  // namespace baton
