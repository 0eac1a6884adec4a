// SPDX-License-Identifier: Apache-2.0
// Completion scripts and the man page, made from the parser's own tree, so that nobody keeps a second list of commands.
#include <algorithm>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "launcher/cli_parts.h"
#include "launcher/exit_code.h"

namespace baton {
namespace {

// What a word that is no option names.
enum class Files { kNone, kTopologies, kAll };

struct CommandNode {
  std::string path;  // " model fetch"; "" for the program
  const CLI::App* app = nullptr;
  std::vector<std::string> commands;
  std::vector<const CLI::Option*> options;  // that begin with dashes
  std::vector<const CLI::Option*> positionals;
  Files files = Files::kNone;
};

Files files_of(const CLI::Option& option) {
  const std::string type = option.get_type_name();
  if (type.find("TOPOLOGY") != std::string::npos) return Files::kTopologies;
  for (const char* word : {"PATH", "FILE", "DIR", "MODEL"})
    if (type.find(word) != std::string::npos) return Files::kAll;
  return Files::kNone;
}

// The program and every command that its help lists, each before its own commands.
void collect(const CLI::App& app, const std::string& path, std::vector<CommandNode>& nodes) {
  CommandNode node{path, &app, {}, {}, {}, Files::kNone};
  std::vector<const CLI::App*> shown;
  for (const CLI::App* each : app.get_subcommands([](const CLI::App*) { return true; }))
    if (!each->get_group().empty()) shown.push_back(each);
  for (const CLI::App* each : shown) node.commands.push_back(each->get_name());
  for (const CLI::Option* each : app.get_options()) {
    if (each->get_group().empty()) continue;
    (each->get_positional() ? node.positionals : node.options).push_back(each);
    if (each->get_positional()) node.files = std::max(node.files, files_of(*each));
  }
  nodes.push_back(std::move(node));
  for (const CLI::App* each : shown) collect(*each, path + ' ' + each->get_name(), nodes);
}

bool takes_value(const CLI::Option& option) { return option.get_items_expected_max() != 0 && !option.get_type_name().empty(); }

std::vector<std::string> dashed_names(const CLI::Option& option) {
  std::vector<std::string> names;
  for (const std::string& each : option.get_snames()) names.push_back('-' + each);
  for (const std::string& each : option.get_lnames()) names.push_back("--" + each);
  return names;
}

std::string joined(const std::vector<std::string>& words, const char* between) {
  std::string text;
  for (const std::string& each : words) text += (text.empty() ? "" : between) + each;
  return text;
}

std::string words_of(const CommandNode& node) {
  std::vector<std::string> words = node.commands;
  for (const CLI::Option* each : node.options)
    for (const std::string& name : dashed_names(*each)) words.push_back(name);
  return joined(words, " ");
}

// " up"|" model"|" model fetch": what follows "COMMAND " and is a command itself.
std::string command_pattern(const std::vector<CommandNode>& nodes) {
  std::vector<std::string> quoted;
  for (const CommandNode& each : nodes)
    if (!each.path.empty()) quoted.push_back('"' + each.path + '"');
  return joined(quoted, "|");
}

// Options whose value is a file, of all commands: the same name means the same everywhere.
std::string file_options(const std::vector<CommandNode>& nodes, Files kind) {
  std::vector<std::string> names;
  for (const CommandNode& node : nodes)
    for (const CLI::Option* each : node.options)
      for (const std::string& name : dashed_names(*each))
        if (takes_value(*each) && files_of(*each) == kind && std::find(names.begin(), names.end(), name) == names.end())
          names.push_back(name);
  return joined(names, "|");
}

std::string bash_script(const std::vector<CommandNode>& nodes) {
  std::string text =
      "# bash completion of baton, made by `baton completion bash`; load it with: source <(baton completion bash)\n"
      "_baton() {\n"
      "  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]} command=\"\" words=\"\" files=\"\" i\n"
      "  for ((i = 1; i < COMP_CWORD; i++)); do\n"
      "    case \"$command ${COMP_WORDS[i]}\" in\n"
      "      " +
      command_pattern(nodes) +
      ") command=\"$command ${COMP_WORDS[i]}\" ;;\n"
      "    esac\n"
      "  done\n"
      "  case \"$command\" in\n";
  for (const CommandNode& node : nodes) {
    const char* files = node.files == Files::kTopologies ? " files=topologies" : node.files == Files::kAll ? " files=all" : "";
    text += "    \"" + node.path + "\") words=\"" + words_of(node) + "\"" + files + " ;;\n";
  }
  text += "  esac\n";
  if (const std::string names = file_options(nodes, Files::kAll); !names.empty())
    text += "  case \"$previous\" in " + names + ") words=\"\" files=all ;; esac\n";
  text +=
      "  COMPREPLY=()\n"
      "  if [[ $current == -* || -z $files || -n $words && \"$words\" != -* ]]; then mapfile -t COMPREPLY < <(compgen -W "
      "\"$words\" -- \"$current\"); fi\n"
      "  if [[ $current == -* || -z $files ]]; then return; fi\n"
      "  local found\n"
      "  if [[ $files == all ]]; then mapfile -t found < <(compgen -f -- \"$current\")\n"
      "  else mapfile -t found < <(compgen -f -X '!*.yaml' -- \"$current\"; compgen -f -X '!*.yml' -- \"$current\"; compgen -d "
      "-- \"$current\"); fi\n"
      "  COMPREPLY+=(\"${found[@]}\")\n"
      "  compopt -o filenames 2>/dev/null\n"
      "}\n"
      "complete -F _baton baton\n";
  return text;
}

std::string zsh_script(const std::vector<CommandNode>& nodes) {
  std::string text =
      "#compdef baton\n# zsh completion of baton, made by `baton completion zsh`; load it with: source <(baton completion "
      "zsh)\n"
      "_baton() {\n  local command=\"\" word\n  for word in ${words[2,CURRENT-1]}; do\n    case \"$command $word\" in\n      "
      "(" +
      command_pattern(nodes) + ") command=\"$command $word\" ;;\n    esac\n  done\n  case \"$command\" in\n";
  for (const CommandNode& node : nodes) {
    const char* files = node.files == Files::kTopologies ? "; _files -g '*.(yaml|yml)'"
                        : node.files == Files::kAll      ? "; _files"
                                                         : "";
    text += "    (\"" + node.path + "\") compadd -- " + words_of(node) + files + " ;;\n";
  }
  return text + "  esac\n}\ncompdef _baton baton\n";
}

std::string fish_quoted(const std::string& text) {
  std::string out = "'";
  for (const char c : text) out += c == '\'' ? std::string("\\'") : c == '\\' ? std::string("\\\\") : std::string(1, c);
  return out + '\'';
}

std::string fish_script(const std::vector<CommandNode>& nodes) {
  std::vector<std::string> known;
  for (const CommandNode& node : nodes)
    if (!node.path.empty()) known.push_back(fish_quoted(node.path));
  std::string text =
      "# fish completion of baton, made by `baton completion fish`; load it with: baton completion fish | source\n"
      "function __baton_at\n  set -l words (commandline -opc)\n  set -l at ''\n  for word in $words[2..-1]\n    switch \"$at "
      "$word\"\n      case " +
      joined(known, " ") +
      "\n        set at \"$at $word\"\n    end\n  end\n  test \"$at\" = \"$argv[1]\"\nend\ncomplete -c baton -f\n";
  for (const CommandNode& node : nodes) {
    const std::string here = "complete -c baton -n \"__baton_at '" + node.path + "'\"";
    for (const CLI::App* each : node.app->get_subcommands([](const CLI::App*) { return true; }))
      if (!each->get_group().empty())
        text += here + " -a " + each->get_name() + " -d " + fish_quoted(each->get_description()) + '\n';
    for (const CLI::Option* each : node.options) {
      text += here;
      for (const std::string& name : each->get_lnames()) text += " -l " + name;
      for (const std::string& name : each->get_snames()) text += " -s " + name;
      text += std::string(!takes_value(*each)              ? ""
                          : files_of(*each) == Files::kAll ? " -rF"
                                                           : " -x") +
              " -d " + fish_quoted(each->get_description()) + '\n';
    }
    if (node.files == Files::kTopologies) text += here + " -k -a '(__fish_complete_suffix .yaml)'\n";
    if (node.files == Files::kAll) text += here + " -F\n";
  }
  return text;
}

// Text for troff: backslashes and dashes are themselves, and no line of it is a command.
std::string troff(const std::string& text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if ((c == '.' || c == '\'') && (i == 0 || text[i - 1] == '\n')) out += "\\&";
    out += c == '\\' ? std::string("\\e") : c == '-' ? std::string("\\-") : std::string(1, c);
  }
  return out;
}

std::string man_options(const CommandNode& node) {
  std::string text;
  for (const CLI::Option* each : node.positionals)
    text += ".TP\n\\fI" + troff(each->get_type_name()) + "\\fR\n" + troff(each->get_description()) + '\n';
  for (const CLI::Option* each : node.options) {
    const std::string value = !takes_value(*each) ? "" : " \\fI" + troff(each->get_type_name()) + "\\fR";
    text +=
        ".TP\n\\fB" + troff(joined(dashed_names(*each), ", ")) + "\\fR" + value + '\n' + troff(each->get_description()) + '\n';
  }
  return text;
}

std::string man_page(const std::vector<CommandNode>& nodes) {
  std::string text =
      ".\\\" Made by `baton completion man` from the command line's own tree; a test holds it equal.\n.TH BATON 1\n.SH "
      "NAME\nbaton \\- " +
      troff(nodes.front().app->get_description()) + "\n.SH SYNOPSIS\n\\fBbaton\\fR \\fICOMMAND\\fR [\\fIOPTIONS\\fR]\n";
  for (const CommandNode& node : nodes) {
    text += node.path.empty() ? ".SH OPTIONS\n"
                              : ".SS \"baton" + troff(node.path) + "\"\n" + troff(node.app->get_description()) + ".\n";
    text += man_options(node);
    if (!node.app->get_footer().empty()) text += ".PP\n.nf\n" + troff(node.app->get_footer()) + "\n.fi\n";
    if (node.path.empty()) text += ".SH COMMANDS\n";
  }
  return text;
}

}  // namespace

void add_completion_command(CLI::App& app, ChosenCommand& chosen) {
  auto shell = std::make_shared<std::string>();
  CLI::App* completion =
      add_command(app, chosen, "completion", "Print a completion script for a shell",
                  "Examples:\n  source <(baton completion bash)     put this into ~/.bashrc\n"
                  "  source <(baton completion zsh)      put this into ~/.zshrc\n  baton completion fish | source\n"
                  "Completes commands, options and topology files. baton completion man prints the man page.",
                  std::function<int()>([&app, shell] {
                    std::vector<CommandNode> nodes;
                    collect(app, "", nodes);
                    const std::string text = *shell == "bash"   ? bash_script(nodes)
                                             : *shell == "zsh"  ? zsh_script(nodes)
                                             : *shell == "fish" ? fish_script(nodes)
                                                                : man_page(nodes);
                    std::fwrite(text.data(), 1, text.size(), stdout);
                    return static_cast<int>(kDone);
                  }));
  completion->add_option("shell", *shell, "bash, zsh or fish")
      ->type_name("SHELL")
      ->required()
      ->check(CLI::Validator(
          [](std::string& word) {
            return word == "bash" || word == "zsh" || word == "fish" || word == "man"
                       ? std::string()
                       : "no completion for \"" + word + "\": bash, zsh or fish";
          },
          ""));
}

}  // namespace baton
