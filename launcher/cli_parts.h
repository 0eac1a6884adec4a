// SPDX-License-Identifier: Apache-2.0
// What the files that describe commands to CLI11 (cli_*.cc) share. Only these include CLI11; its exceptions end in cli.cc.
// A command's options live in an object of its own that its callback keeps; the parser borrows it.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace baton {

// The command that was chosen; runs after the whole line was understood.
struct ChosenCommand {
  std::function<int()> run;
};

inline constexpr const char* kClusterHelp = "Name or topology file; default: the only cluster that is up";

CLI::App* add_command(CLI::App& parent, ChosenCommand& chosen, const char* name, const char* what, const char* examples, std::function<int()> command);

// The same for a command whose options are a struct of type Options: `run` gets them.
template <class Options>
std::pair<CLI::App*, Options&> add_command(CLI::App& parent, ChosenCommand& chosen, const char* name, const char* what, const char* examples,
                                           int (*run)(const Options&)) {
  auto options = std::make_shared<Options>();
  Options& filled = *options;
  return {add_command(parent, chosen, name, what, examples, std::function<int()>([options = std::move(options), run] { return run(*options); })), filled};
}

// CLI11's own Range says "0.000000 to 100.000000", also of what is no number at all.
CLI::Validator number_within(double min, double max, const char* words);
// CLI11 reads "-1" into an unsigned number as 2^64 - 1.
CLI::Validator whole_number();

// --set KEY=VALUE, --topology NAME and --json as every command has them.
void add_set(CLI::App* command, std::vector<std::string>& set);
void add_cluster(CLI::App* command, std::string& cluster);
void add_json(CLI::App* command, bool& json, const char* what = "One JSON object");

// The groups, in the order of `baton --help`.
void add_serve_command(CLI::App& app, ChosenCommand& chosen);     // cli_cluster.cc
void add_cluster_commands(CLI::App& app, ChosenCommand& chosen);  // cli_cluster.cc
void add_job_commands(CLI::App& app, ChosenCommand& chosen);      // cli_jobs.cc
void add_live_commands(CLI::App& app, ChosenCommand& chosen);     // cli_live.cc
void add_bench_commands(CLI::App& app, ChosenCommand& chosen);    // cli_bench.cc
void add_offline_commands(CLI::App& app, ChosenCommand& chosen);  // cli_offline.cc
void add_completion_command(CLI::App& app, ChosenCommand& chosen);  // cli_completion.cc
void add_process_commands(CLI::App& app, ChosenCommand& chosen);  // cli_process.cc

// Why the words after `baton` are wrong, and what to do; returns the exit status. cli_errors.cc
int explain_usage(const CLI::App& app, const CLI::ParseError& problem, int argc);
// Says so if the first word is no command.
bool is_unknown_command(const CLI::App& app, int argc, const char* const* argv);

}  // namespace baton
