// SPDX-License-Identifier: Apache-2.0
#include "launcher/cli_parts.h"
#include "launcher/commands.h"

namespace baton {

void add_process_commands(CLI::App& app, ChosenCommand& chosen) {
  const auto [coordinator, of_coordinator] = add_command(app, chosen, "coordinator", "One process of a cluster: the coordinator", "", run_process);
  const auto [gateway, of_gateway] = add_command(app, chosen, "gateway", "One process of a cluster: the HTTP gateway", "", run_process);
  of_gateway.gateway = true;
  const auto [worker, of_worker] = add_command(app, chosen, "worker", "One process of a cluster: a worker", "", run_process);
  worker->add_option("name", of_worker.worker, "Name, such as decode-0")->type_name("NAME")->required();
  worker->add_option("--weights-file", of_worker.weights_file, "Descriptor of the memory file that workers of this machine share")->type_name("FD");
  const auto add_file = [](CLI::App* process, ProcessOptions& options) {
    process->group("");  // started by `baton up`; not in the overview
    process->add_option("--topology", options.topology, "Topology file")->type_name("TOPOLOGY.yaml")->required();
    process->add_option("--base-folder", options.base_folder, "What relative paths in the file start from")->type_name("DIR");
    add_set(process, options.set);
  };
  add_file(coordinator, of_coordinator);
  add_file(gateway, of_gateway);
  add_file(worker, of_worker);
}

}  // namespace baton
