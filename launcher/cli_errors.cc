// SPDX-License-Identifier: Apache-2.0
// Why a command line is wrong, in our words: CLI11 alone names neither the command nor what was meant.
#include <cstdio>

#include "config/suggest.h"
#include "config/utf8.h"
#include "launcher/cli_parts.h"
#include "launcher/exit_code.h"

namespace baton {
namespace {

// The chosen command, as typed: "submit", "model fetch"; and the parser that knows its options.
std::pair<std::string, const CLI::App*> chosen_command(const CLI::App& app) {
  std::string name;
  const CLI::App* at = &app;
  while (!at->get_subcommands().empty()) {
    at = at->get_subcommands().front();
    name += ' ' + at->get_name();
  }
  return {name, at};
}

// What other programs call it, and what there is instead.
struct ForeignOption {
  std::string_view command, option, hint;
};
constexpr std::string_view kMaxModelLenHint = "--max-model-len N is what bounds prompt and answer";
constexpr std::string_view kModelWordHint = "the model is a word of its own, as in baton serve model.gguf";
constexpr std::string_view kClusterHint = "a cluster serves one model; --topology NAME chooses the cluster";
constexpr std::string_view kPromptHint = "the prompt is a word of its own, as in baton submit \"Hello\"";
constexpr ForeignOption kForeignOptions[] = {
    {" serve", "--api-key", "keys come from a file, where no other user reads them: --api-keys-file FILE"},
    {" serve", "--gpu-memory-utilization", "this version computes on the CPU; --kv-cache-memory SIZE is what each worker takes for KV"},
    {" serve", "-tp", "only --tensor-parallel-size 1 in this version; --prefill and --decode start more workers"},
    {" serve", "-c", kMaxModelLenHint},
    {" serve", "--ctx-size", kMaxModelLenHint},
    {" serve", "-t", "--threads N"},
    {" serve", "-np", "--max-num-seqs N"},
    {" serve", "--parallel", "--max-num-seqs N"},
    {" serve", "-m", kModelWordHint},
    {" serve", "--model", kModelWordHint},
    {" submit", "-m", kClusterHint},
    {" submit", "--model", kClusterHint},
    {" submit", "-p", kPromptHint},
    {" submit", "--prompt", kPromptHint},
};

std::string hint_for_option(const std::string& command_name, const CLI::App& command, const std::string& word) {
  for (const ForeignOption& each : kForeignOptions)
    if (each.command == command_name && each.option == word) return std::string(each.hint);
  if (word == "--") return "what stands behind -- is an argument such as the prompt, so options go in front";
  const bool submits = command_name == " submit";
  if (submits && word.find(' ') != std::string::npos) return "a prompt that begins with a dash goes last, behind --";
  std::vector<std::string> names;
  for (const CLI::Option* each : command.get_options())
    for (const std::string& name : each->get_lnames()) names.push_back("--" + name);
  const std::string meant = did_you_mean(word, names);
  return meant.empty() && submits ? "a prompt that begins with a dash goes last, behind --" : meant;
}

}  // namespace

int explain_usage(const CLI::App& app, const CLI::ParseError& problem, int argc) {
  const auto [name, command] = chosen_command(app);
  std::string why = problem.what(), hint;
  if (dynamic_cast<const CLI::ExtrasError*>(&problem) != nullptr) {
    const std::vector<std::string> extras = app.remaining(true);
    const std::string word = extras.empty() ? "" : extras.front();
    why = "what is \"" + printable(word) + "\"?";
    if (word.starts_with("-")) hint = hint_for_option(name, *command, word.substr(0, word.find('=')));
    else if (name == " submit") hint = "a prompt of several words goes into quotes";
  }
  if (argc < 2) why = "a command is missing";
  else if (dynamic_cast<const CLI::RequiredError*>(&problem) != nullptr && !command->get_subcommands([](const CLI::App*) { return true; }).empty())
    why = "a command is missing after \"" + name.substr(1) + '"';
  std::fprintf(stderr, "baton%s: %s%s; baton%s --help shows what there is\n", name.c_str(), why.c_str(), hint.empty() ? "" : (" (" + hint + ')').c_str(), name.c_str());
  return kBadUsage;
}

// CLI11 would only say that a subcommand is required.
bool is_unknown_command(const CLI::App& app, int argc, const char* const* argv) {
  if (argc < 2 || argv[1][0] == '-') return false;
  std::vector<std::string> names;
  for (const CLI::App* each : app.get_subcommands([](const CLI::App*) { return true; })) {
    if (each->get_name() == argv[1]) return false;
    if (!each->get_group().empty()) names.push_back(each->get_name());
  }
  const std::string hint = did_you_mean(argv[1], names);
  std::fprintf(stderr, "baton: no command \"%s\"%s\n", printable(argv[1]).c_str(), hint.empty() ? "; baton --help lists them" : (" (" + hint + ')').c_str());
  return true;
}

}  // namespace baton
