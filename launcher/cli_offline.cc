// SPDX-License-Identifier: Apache-2.0
// Commands that need no running cluster.
#include "launcher/cli_parts.h"
#include "launcher/commands.h"

namespace baton {

void add_offline_commands(CLI::App& app, ChosenCommand& chosen) {
  const auto [validate, validate_options] = add_command(app, chosen, "validate", "Show everything that is wrong with a topology file, at once",
                           "Example:\n  baton validate examples/laptop.yaml --set kv_cache.memory=1GiB\nExit status: 3 if there are errors.", run_validate);
  validate->add_option("topology", validate_options.topology, "Topology file")->type_name("TOPOLOGY.yaml")->required();
  add_json(validate, validate_options.json);
  add_set(validate, validate_options.set);

  const auto [plan, plan_options] = add_command(app, chosen, "plan", "Show what a topology would take and give, without starting it",
                       "Example:\n  baton plan examples/laptop.yaml --set pools.decode.replicas=3\n"
                       "Needs no device and no running cluster; of the model, the header is read. Exit status: 3 if the file or the model is wrong.", run_plan);
  plan->add_option("topology", plan_options.topology, "Topology file")->type_name("TOPOLOGY.yaml")->required();
  add_json(plan, plan_options.json);
  add_set(plan, plan_options.set);

  CLI::App* config = app.add_subcommand("config", "What a topology file says, and may say");
  config->require_subcommand(1);
  config->footer("baton config show --help shows an example.");
  const auto [show, show_options] = add_command(*config, chosen, "show", "Show the configuration that counts, defaults and overrides included, as YAML",
                       "Examples:\n  baton config show examples/laptop.yaml\n  baton config show --origin examples/laptop.yaml --set kv_cache.memory=1GiB\n"
                       "Exit status: 3 if the file has errors.", run_config_show);
  show->add_option("topology", show_options.topology, "Topology file")->type_name("TOPOLOGY.yaml")->required();
  show->add_flag("--origin", show_options.origin, "A table: where each value comes from (flag, environment, line of the file, default)");
  add_json(show, show_options.json);
  add_set(show, show_options.set);
  add_command(*config, chosen, "schema", "Print the JSON Schema of topology files, for editors",
              "Example:\n  baton config schema > topology.schema.json\nExamples name it in their first line, as in\n"
              "  # yaml-language-server: $schema=topology.schema.json", run_config_schema);

  const auto [init, init_options] = add_command(app, chosen, "init", "Write a topology file to start from",
                       "Examples:\n  baton init\n  baton init --model model.gguf --pools 2p2d --out cluster.yaml\n"
                       "Sizes fit the cores and the memory of this machine. A file that is there already is left alone.", run_init);
  init->add_option("--model", init_options.model, "A .gguf file, its folder, or oracle:; default: what `baton model fetch smollm2` gets")->type_name("PATH");
  init->add_option("--pools", init_options.pools, "both: one worker for everything; NpMd: N that prefill and M that decode; default 1p1d")->type_name("SHAPE");
  init->add_option("--out,-o", init_options.out, "Where to write it; - is standard output; default baton.yaml")->type_name("FILE");

  const auto [doctor, doctor_options] = add_command(app, chosen, "doctor", "Look at this machine: what matters to Baton, and what to do about it",
                           "Example:\n  baton doctor\nExit status: 1 if Baton cannot run here; things worth a look alone are 0.", run_doctor);
  add_json(doctor, doctor_options.json);

  CLI::App* model = app.add_subcommand("model", "Models on this machine");
  model->require_subcommand(1);
  model->footer("baton model fetch --help shows an example.");
  const auto [fetch, fetch_options] = add_command(*model, chosen, "fetch", "Fetch a small model by name and print its path", "Example:\n  baton model fetch smollm2", run_model_fetch);
  fetch->add_option("name", fetch_options.name, "Name, such as smollm2")->type_name("NAME")->required();
  fetch->add_option("--cache", fetch_options.cache, "Where to keep it; default ~/.cache/baton")->type_name("DIR");

  const auto [inspect, inspect_options] = add_command(*model, chosen, "inspect", "Show what a model file holds, and whether this version can run it",
                             "Examples:\n  baton model inspect ~/.cache/baton/models/smollm2-135m-instruct\n  baton model inspect model.gguf --tensors",
                             run_model_inspect);
  inspect->add_option("path", inspect_options.path, "A .gguf file, or a folder with one")->type_name("PATH")->required();
  inspect->add_flag("--tensors", inspect_options.tensors, "Every tensor: name, type, shape, bytes");
  add_json(inspect, inspect_options.json);

  const auto [version, version_options] = add_command(app, chosen, "version", "Show build facts", "", run_version);
  add_json(version, version_options.json);
}

}  // namespace baton
