// SPDX-License-Identifier: Apache-2.0
// The parser as a whole. CLI11's exceptions end here.
#include "launcher/cli.h"

#include <cstdio>

#include "config/units.h"
#include "launcher/cli_parts.h"
#include "launcher/commands.h"
#include "launcher/exit_code.h"

namespace baton {

CLI::App* add_command(CLI::App& parent, ChosenCommand& chosen, const char* name, const char* what, const char* examples, std::function<int()> command) {
  CLI::App* sub = parent.add_subcommand(name, what);
  sub->footer(examples);
  sub->callback([&chosen, run = std::move(command)] { chosen.run = run; });
  return sub;
}

CLI::Validator number_within(double min, double max, const char* words) {
  return CLI::Validator(
      [=](std::string& text) {
        double value = 0;
        const bool number = CLI::detail::lexical_cast(text, value);
        return number && value >= min && value <= max ? std::string() : '"' + text + "\" is not " + words;
      },
      "");
}

CLI::Validator whole_number() {
  return CLI::Validator([](std::string& text) { return parse_unsigned(text) ? std::string() : '"' + text + "\" is no whole number"; }, "");
}

void add_set(CLI::App* command, std::vector<std::string>& set) {
  command->add_option("--set", set, "Override a key of the file, as in pools.decode.replicas=3 (repeatable)")->type_name("KEY=VALUE")->allow_extra_args(false);
}

void add_cluster(CLI::App* command, std::string& cluster) { command->add_option("--topology", cluster, kClusterHelp)->type_name("NAME"); }

void add_json(CLI::App* command, bool& json, const char* what) { command->add_flag("--json", json, what); }

int run_cli(int argc, const char* const* argv) {
  try {
    CLI::App app{"Baton: distributed inference for large language models", "baton"};
    app.footer("First steps:\n  baton model fetch smollm2\n  baton up examples/laptop.yaml --detach\n  baton submit \"The capital of France is\"\n  baton down\n\n"
               "baton COMMAND --help shows a command's options and examples.");
    app.require_subcommand(1);
    ChosenCommand chosen;
    add_serve_command(app, chosen);
    add_cluster_commands(app, chosen);
    add_job_commands(app, chosen);
    add_live_commands(app, chosen);
    add_bench_commands(app, chosen);
    add_offline_commands(app, chosen);
    add_completion_command(app, chosen);
    add_process_commands(app, chosen);
    const std::string_view first = argc == 2 ? argv[1] : "";
    if (first == "--version") return run_version({});
    if (first == "help") {
      std::printf("%s", app.help().c_str());
      return kDone;
    }
    if (is_unknown_command(app, argc, argv)) return kBadUsage;
    try {
      app.parse(argc, argv);
    } catch (const CLI::ParseError& problem) {
      if (problem.get_exit_code() == static_cast<int>(CLI::ExitCodes::Success)) return app.exit(problem);  // --help, --version
      return explain_usage(app, problem, argc);
    }
    return chosen.run();
  } catch (const std::exception& problem) {
    std::fprintf(stderr, "baton: %s\n", problem.what());
    return kFailed;
  }
}

}  // namespace baton
