// SPDX-License-Identifier: Apache-2.0
// The only file that knows CLI11. Its exceptions end here.
#include "launcher/cli.h"

#include <CLI/CLI.hpp>
#include <functional>
#include <string>

#include "config/suggest.h"
#include "config/units.h"
#include "config/utf8.h"
#include "launcher/commands.h"
#include "launcher/exit_code.h"

namespace baton {
namespace {

// Everything the parser writes into, and the command that was chosen. Lives as long as the parser.
struct Parsed {
  UpOptions up;
  ServeOptions serve;
  DownOptions down;
  ValidateOptions validate;
  StatusOptions status;
  FsckOptions fsck;
  CancelOptions cancel;
  SubmitOptions submit;
  ModelFetchOptions fetch;
  VersionOptions version;
  BenchEngineOptions bench_engine;
  BenchKernelsOptions bench_kernels;
  BenchServeOptions bench_serve;
  BenchTransportOptions bench_transport;
  ProcessOptions process;
  std::function<int()> command;
};

constexpr const char* kClusterHelp = "Name or topology file; default: the only cluster that is up";
constexpr const char* kBenchModelHelp = "A .gguf file or its folder; default: smollm2 of `baton model fetch`";
constexpr const char* kSetHelp = "Override a key of the file, as in pools.decode.replicas=3 (repeatable)";

CLI::App* add(CLI::App& parent, Parsed& parsed, const char* name, const char* what, const char* examples, std::function<int()> command) {
  CLI::App* sub = parent.add_subcommand(name, what);
  sub->footer(examples);
  sub->callback([&parsed, run = std::move(command)] { parsed.command = run; });
  return sub;
}

// CLI11's own Range says "0.000000 to 100.000000", also of what is no number at all.
CLI::Validator number_within(double min, double max, const char* words) {
  return CLI::Validator(
      [=](std::string& text) {
        double value = 0;
        const bool number = CLI::detail::lexical_cast(text, value);
        return number && value >= min && value <= max ? std::string() : '"' + text + "\" is not " + words;
      },
      "");
}

// CLI11 reads "-1" into an unsigned number as 2^64 - 1.
CLI::Validator whole_number() {
  return CLI::Validator([](std::string& text) { return parse_unsigned(text) ? std::string() : '"' + text + "\" is no whole number"; }, "");
}

void add_set(CLI::App* sub, std::vector<std::string>& set) {
  sub->add_option("--set", set, kSetHelp)->type_name("KEY=VALUE")->allow_extra_args(false);
}

void add_cluster_commands(CLI::App& app, Parsed& p) {
  CLI::App* up = add(app, p, "up", "Start a cluster and wait until it is ready",
                     "Examples:\n  baton up examples/laptop.yaml             in the foreground; Ctrl-C drains and stops\n"
                     "  baton up examples/laptop.yaml --detach    return once it is ready\n"
                     "  baton up examples/laptop.yaml --dry-run --set pools.decode.replicas=3\n"
                     "Exit status: 3 wrong topology, nothing started; 4 not ready in time; 5 a worker was lost for good.",
                     [&p] { return run_up(p.up); });
  up->add_option("topology", p.up.topology, "Topology file")->type_name("TOPOLOGY.yaml")->required();
  up->add_flag("--detach,-d", p.up.detach, "Leave the terminal once the cluster is ready");
  up->add_flag("--dry-run", p.up.dry_run, "Check the topology and show what would be started");
  up->add_flag("--wait", p.up.wait, "If the cluster is up already, wait until it is ready instead of failing");
  add_set(up, p.up.set);

  CLI::App* down = add(app, p, "down", "Drain and stop a cluster", "Examples:\n  baton down\n  baton down laptop --now", [&p] { return run_down(p.down); });
  down->add_option("cluster", p.down.cluster, kClusterHelp)->type_name("NAME");
  down->add_flag("--now", p.down.now, "Do not wait for running jobs");

  CLI::App* status = add(app, p, "status", "Show workers, roles, health, queues and KV use", "Examples:\n  baton status\n  baton status --json --topology laptop",
                         [&p] { return run_status(p.status); });
  status->add_option("--topology", p.status.cluster, kClusterHelp)->type_name("NAME");
  status->add_flag("--json", p.status.json, "One JSON object");

  CLI::App* fsck = add(app, p, "fsck", "Check every worker's block accounts; exit status 1 if one does not add up", "Example:\n  baton fsck --topology laptop",
                       [&p] { return run_fsck(p.fsck); });
  fsck->add_option("--topology", p.fsck.cluster, kClusterHelp)->type_name("NAME");
  fsck->add_flag("--json", p.fsck.json, "One JSON object");
}

void add_penalty_options(CLI::App* submit, SubmitOptions& s) {
  const auto penalty = [] { return number_within(-2.0, 2.0, "a number from -2 to 2"); };
  submit->add_option("--repetition-penalty", s.repetition_penalty, "Divide the logits of tokens in prompt or answer by R if positive, else multiply; 1: off")->capture_default_str()->type_name("R")->check(number_within(1e-6, 100.0, "a number above 0, at most 100"));
  submit->add_option("--presence-penalty", s.presence_penalty, "Lower the logits of tokens in the answer by P")->capture_default_str()->type_name("P")->check(penalty());
  submit->add_option("--frequency-penalty", s.frequency_penalty, "Lower them by F for each time they are there")->capture_default_str()->type_name("F")->check(penalty());
  submit->add_option("--logit-bias", s.logit_bias, "Add BIAS, -100 to 100, to the logit of token ID (repeatable)")->type_name("ID=BIAS")->allow_extra_args(false);
  submit->add_option("--bad-word", s.bad_words, "A text that is not to be generated (repeatable)")->type_name("TEXT")->allow_extra_args(false);
  submit->add_option("--n", s.n, "Choices: that many answers, each drawn on its own")->capture_default_str()->type_name("N")->check(number_within(1, 128, "a whole number from 1 to 128"));
  submit->add_option("--logprobs", s.logprobs, "With --json: each token's log-probability, and those of the N likeliest")->type_name("N")->check(number_within(0, 20, "a whole number from 0 to 20"));
  submit->add_option("--prompt-logprobs", s.prompt_logprobs, "With --json: the same of the prompt's tokens")->type_name("N")->check(number_within(0, 20, "a whole number from 0 to 20"));
}

void add_stop_options(CLI::App* submit, SubmitOptions& s) {
  submit->add_option("--stop", s.stop, "End the answer before this text (repeatable)")->type_name("TEXT")->allow_extra_args(false);
  submit->add_option("--stop-token-id", s.stop_token_ids, "End the answer at this token (repeatable)")->type_name("ID")->allow_extra_args(false)->check(whole_number());
  submit->add_flag("--include-stop", s.include_stop, "Show what ended the answer too");
  submit->add_option("--min-tokens", s.min_tokens, "Do not end before N tokens")->capture_default_str()->type_name("N")->check(whole_number());
}

void add_serve_command(CLI::App& app, Parsed& p) {
  CLI::App* serve = add(app, p, "serve", "Serve a model on this machine, without a topology file",
                        "Examples:\n  baton serve smollm2\n  baton serve model.gguf --max-model-len 4096 --threads 8 --detach\n"
                        "  baton serve smollm2 --prefill 1 --decode 2\n"
                        "One worker of role both, unless --prefill or --decode ask for workers of their own. Jobs are taken on the jobs\n"
                        "socket (baton submit); the OpenAI-compatible HTTP front comes with a later version. baton status, baton down and\n"
                        "Ctrl-C work as for baton up; --dry-run shows what would be started.",
                        [&p] { return run_serve(p.serve); });
  ServeOptions& s = p.serve;
  serve->add_option("model", s.model, "A .gguf file, its folder, a name of `baton model fetch` (fetched if missing), or oracle:")->type_name("MODEL")->required();
  serve->add_option("--name", s.name, "Name of the cluster; default: made from MODEL")->type_name("NAME");
  serve->add_option("--served-model-name", s.served_model_name, "What clients call the model (repeatable)")->type_name("NAME")->allow_extra_args(false);
  serve->add_option("--max-model-len", s.max_model_len, "Tokens of prompt and answer; default: the model's own")->type_name("N");
  serve->add_option("--max-num-seqs", s.max_num_seqs, "Jobs that run at once, per worker")->type_name("N");
  serve->add_option("--max-num-batched-tokens", s.max_num_batched_tokens, "Tokens of one step, per worker")->type_name("N");
  serve->add_option("--block-size", s.block_size, "Tokens of a KV block, a power of two")->type_name("N");
  serve->add_option("--kv-cache-memory", s.kv_cache_memory, "KV of each worker, as in 2GiB")->type_name("SIZE");
  serve->add_flag_callback("--enable-prefix-caching", [&s] { s.prefix_caching = true; }, "Keep the KV of prompts for those that begin alike");
  serve->add_flag_callback("--no-enable-prefix-caching", [&s] { s.prefix_caching = false; }, "Compute every prompt in full");
  serve->add_option("--dtype", s.dtype, "auto, float32, bfloat16 or float16")->type_name("TYPE");
  serve->add_option("--numerics", s.numerics, "auto, invariant, fast or reference")->type_name("WORD");
  serve->add_option("--threads", s.threads, "Kernel threads of each worker; default: a share of the cores")->type_name("N");
  serve->add_option("--tensor-parallel-size", s.tensor_parallel_size, "Only 1 in this version")->type_name("N");
  serve->add_option("--prefill", s.prefill, "So many workers of role prefill")->type_name("N")->check(CLI::Range(1u, 1024u));
  serve->add_option("--decode", s.decode, "So many workers of role decode")->type_name("N")->check(CLI::Range(1u, 1024u));
  serve->add_option("--jobs", s.jobs, "Where jobs are submitted; workers join one port above; default tcp://127.0.0.1:7070")->type_name("ADDRESS");
  serve->add_flag("--detach,-d", s.detach, "Leave the terminal once the cluster is ready");
  serve->add_flag("--dry-run", s.dry_run, "Check everything and show what would be started");
  add_set(serve, s.set);
}

void add_job_commands(CLI::App& app, Parsed& p) {
  CLI::App* submit = add(app, p, "submit", "Submit a job and stream its tokens",
                         "Examples:\n  baton submit \"The capital of France is\" --max-tokens 32\n"
                         "  baton submit --file prompt.txt --temperature 0.8 --top-p 0.95 --seed 7\n"
                         "  printf Hello | baton submit - --json      the text is taken as it stands, a newline at its end too\n"
                         "  baton submit \"Three fruits:\" --stop 4. --stop $'\\n\\n' --repetition-penalty 1.1\n"
                         "  baton submit \"A name for a boat:\" --n 3 --temperature 1 --bad-word Boaty\n"
                         "  baton submit \"2 + 2 =\" --max-tokens 1 --logprobs 5 --json\n"
                         "Ctrl-C cancels the job. The summary goes to standard error, the text alone to standard output.",
                         [&p] { return run_submit(p.submit); });
  SubmitOptions& s = p.submit;
  submit->add_option("prompt", s.prompt, "The prompt; - reads standard input. One that begins with a dash goes last, behind --")->type_name("PROMPT");
  submit->add_option("--file", s.file, "Read the prompt from a file")->type_name("F");
  submit->add_option("--max-tokens", s.max_tokens, "Generate at most N tokens; default: what the cluster allows")->type_name("N")->check(number_within(1, 1 << 24, "a whole number from 1 to 16777216"));
  submit->add_option("--temperature", s.temperature, "0: always the likeliest token; at most 100")->capture_default_str()->type_name("T")->check(number_within(0.0, 100.0, "a number from 0 to 100"));
  submit->add_option("--top-p", s.top_p, "Keep the smallest set whose probability reaches P; 1: off")->capture_default_str()->type_name("P")->check(number_within(1e-6, 1.0, "a number above 0, at most 1"));
  submit->add_option("--top-k", s.top_k, "Keep the K likeliest; 0: off")->capture_default_str()->type_name("K")->check(whole_number());
  submit->add_option("--min-p", s.min_p, "Keep tokens with at least P times the likeliest one's probability; 0: off")->capture_default_str()->type_name("P")->check(number_within(0.0, 1.0, "a number from 0 to 1"));
  submit->add_option("--seed", s.seed, "Same seed, same tokens; default: drawn at admission and reported")->type_name("S")->check(whole_number());
  submit->add_flag("--ignore-eos", s.ignore_eos, "Go on after an end-of-sequence token");
  add_penalty_options(submit, s);
  add_stop_options(submit, s);
  submit->add_option("--cache-salt", s.cache_salt, "Share cached KV only with jobs of this salt, at most 128 printable characters, no spaces; default: with all that give none")->type_name("TEXT");
  submit->add_option("--id", s.id, "Name of the job, at most 128 printable characters, no spaces; default: made by the cluster")->type_name("ID");
  submit->add_option("--topology", s.cluster, kClusterHelp)->type_name("NAME");
  submit->add_flag("--json", s.json, "One JSON object per line: accepted, token…, done or error; with --n also choice_done");

  CLI::App* cancel = add(app, p, "cancel", "Cancel a job", "Example:\n  baton cancel job-42", [&p] { return run_cancel(p.cancel); });
  cancel->add_option("id", p.cancel.id, "Name of the job")->type_name("ID")->required();
  cancel->add_option("--topology", p.cancel.cluster, kClusterHelp)->type_name("NAME");
  cancel->add_flag("--json", p.cancel.json, "One JSON object");
}

void add_bench_serve(CLI::App& bench, Parsed& p) {
  CLI::App* serve = add(bench, p, "serve", "Load on a running cluster: time to first token, between tokens, tokens per second",
                        "Examples:\n  baton bench serve --concurrency 16 --requests 64 --prompt-tokens 128,512 --max-tokens 64\n"
                        "  baton bench serve --concurrency 1 --requests 8 --repeat 2 --json     how much sooner a prompt's second time answers\n"
                        "CPU time by thread and memory of the cluster's processes stand beside it, if they run on this machine.",
                        [&p] { return run_bench_serve(p.bench_serve); });
  BenchServeOptions& s = p.bench_serve;
  serve->add_option("--requests", s.requests, "Different prompts")->capture_default_str()->type_name("N")->check(CLI::Range(1u, 1u << 20));
  serve->add_option("--concurrency", s.concurrency, "Streams, each with one job at a time")->capture_default_str()->type_name("N")->check(CLI::Range(1u, 1024u));
  serve->add_option("--prompt-tokens", s.prompt_tokens, "Lengths of the prompts, in turn; default 512")->type_name("N,…")->delimiter(',')->check(CLI::Range(1u, 1u << 20));
  serve->add_option("--max-tokens", s.max_tokens, "Tokens generated for each, exactly")->capture_default_str()->type_name("N")->check(CLI::Range(1u, 1u << 20));
  serve->add_option("--shared-prefix", s.shared_prefix, "So many first tokens are the same in all prompts")->capture_default_str()->type_name("N")->check(whole_number());
  serve->add_option("--repeat", s.repeat, "Send each prompt so often, one after the other")->capture_default_str()->type_name("N")->check(CLI::Range(1u, 1u << 20));
  serve->add_option("--seed", s.seed, "Other prompts")->capture_default_str()->type_name("S")->check(whole_number());
  serve->add_option("--topology", s.cluster, kClusterHelp)->type_name("NAME");
  serve->add_flag("--json", s.json, "One JSON object");
}

void add_bench_commands(CLI::App& app, Parsed& p) {
  CLI::App* bench = app.add_subcommand("bench", "Measure this machine, beside its own limits");
  bench->require_subcommand(1);
  bench->footer("baton bench COMMAND --help shows examples.");
  CLI::App* engine = add(*bench, p, "engine", "Prefill and decode tokens per second of the CPU engine, beside llama.cpp and the machine's limits",
                         "Examples:\n  baton bench engine --threads 1,2\n  baton bench engine --numerics invariant,fast --rounds 9 --neighbour --json\n"
                         "tools/get_llama_cpp.sh builds the peer; without it only limits stand beside our figures. docs/benchmarks.md explains each.",
                         [&p] { return run_bench_engine(p.bench_engine); });
  BenchEngineOptions& e = p.bench_engine;
  engine->add_option("--model", e.model, kBenchModelHelp)->type_name("PATH");
  engine->add_option("--threads", e.threads, "Kernel threads, one run each; default 1,2")->type_name("N,…")->delimiter(',')->check(CLI::Range(1u, 256u));
  engine->add_option("--numerics", e.numerics, "invariant, fast or reference, all in the same rounds; default invariant")->type_name("WORD,…")->delimiter(',');
  engine->add_option("--peer", e.peer, "Folder with llama-bench and llama-batched-bench; default .deps/llama.cpp/bin")->type_name("DIR");
  engine->add_option("--rounds", e.rounds, "Rounds of limit, ours, peer")->capture_default_str()->type_name("N")->check(CLI::Range(1u, 1000u));
  engine->add_flag("--neighbour", e.neighbour, "Measure each row again beside a busy process on one core");
  engine->add_flag("--json", e.json, "One JSON object");
  CLI::App* kernels = add(*bench, p, "kernels", "Single ops of the CPU engine at a model's shapes, beside the machine's limits",
                          "Examples:\n  baton bench kernels --threads 2\n  baton bench kernels --shape 4096x4096:Q4_0 --shape 14336x4096:Q8_0 --json",
                          [&p] { return run_bench_kernels(p.bench_kernels); });
  BenchKernelsOptions& k = p.bench_kernels;
  kernels->add_option("--device", k.device, "cpu")->capture_default_str()->type_name("NAME");
  kernels->add_option("--model", k.model, kBenchModelHelp)->type_name("PATH");
  kernels->add_option("--shape", k.shapes, "A matrix instead of the model's (repeatable); type Q4_1 unless given")->type_name("ROWSxCOLUMNS[:TYPE]");
  kernels->add_option("--peer", k.peer, "Folder with ggml-matmul; default: where tools/get_llama_cpp.sh puts it")->type_name("DIR");
  kernels->add_option("--numerics", k.numerics, "invariant, fast or reference")->capture_default_str()->type_name("WORD");
  kernels->add_option("--threads", k.threads, "Kernel threads")->capture_default_str()->type_name("N")->check(CLI::Range(1u, 256u));
  kernels->add_option("--rounds", k.rounds, "Rounds of limit and op")->capture_default_str()->type_name("N")->check(CLI::Range(1u, 1000u));
  kernels->add_flag("--json", k.json, "One JSON object");
  add_bench_serve(*bench, p);
  CLI::App* transport = add(*bench, p, "transport", "Rate at which KV-sized pieces move over UCX, beside memcpy",
                            "Example:\n  baton bench transport", [&p] { return run_bench_transport(p.bench_transport); });
  transport->add_option("--interface", p.bench_transport.interface_name, "Network interface for TCP")->capture_default_str()->type_name("NAME");
}

void add_other_commands(CLI::App& app, Parsed& p) {
  CLI::App* validate = add(app, p, "validate", "Show everything that is wrong with a topology file, at once",
                           "Example:\n  baton validate examples/laptop.yaml --set kv_cache.memory=1GiB\nExit status: 3 if there are errors.",
                           [&p] { return run_validate(p.validate); });
  validate->add_option("topology", p.validate.topology, "Topology file")->type_name("TOPOLOGY.yaml")->required();
  validate->add_flag("--json", p.validate.json, "One JSON object");
  add_set(validate, p.validate.set);

  CLI::App* model = app.add_subcommand("model", "Models on this machine");
  model->require_subcommand(1);
  model->footer("baton model fetch --help shows an example.");
  CLI::App* fetch = add(*model, p, "fetch", "Fetch a small model by name and print its path", "Example:\n  baton model fetch smollm2",
                        [&p] { return run_model_fetch(p.fetch); });
  fetch->add_option("name", p.fetch.name, "Name, such as smollm2")->type_name("NAME")->required();
  fetch->add_option("--cache", p.fetch.cache, "Where to keep it; default ~/.cache/baton")->type_name("DIR");

  CLI::App* version = add(app, p, "version", "Show build facts", "", [&p] { return run_version(p.version); });
  version->add_flag("--json", p.version.json, "One JSON object");

  CLI::App* coordinator = add(app, p, "coordinator", "One process of a cluster: the coordinator", "", [&p] { return run_process(p.process); });
  CLI::App* worker = add(app, p, "worker", "One process of a cluster: a worker", "", [&p] { return run_process(p.process); });
  worker->add_option("name", p.process.worker, "Name, such as decode-0")->type_name("NAME")->required();
  worker->add_option("--weights-file", p.process.weights_file, "Descriptor of the memory file that workers of this machine share")->type_name("FD");
  for (CLI::App* each : {coordinator, worker}) {
    each->group("");  // started by `baton up`; not in the overview
    each->add_option("--topology", p.process.topology, "Topology file")->type_name("TOPOLOGY.yaml")->required();
    each->add_option("--base-folder", p.process.base_folder, "What relative paths in the file start from")->type_name("DIR");
    add_set(each, p.process.set);
  }
}

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
constexpr std::string_view kJobsHint = "jobs are taken at --jobs tcp://HOST:PORT; the HTTP front comes with a later version";
constexpr std::string_view kMaxModelLenHint = "--max-model-len N is what bounds prompt and answer";
constexpr std::string_view kModelWordHint = "the model is a word of its own, as in baton serve model.gguf";
constexpr std::string_view kClusterHint = "a cluster serves one model; --topology NAME chooses the cluster";
constexpr std::string_view kPromptHint = "the prompt is a word of its own, as in baton submit \"Hello\"";
constexpr ForeignOption kForeignOptions[] = {
    {" serve", "--port", kJobsHint},
    {" serve", "--host", kJobsHint},
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

// Why the words after `baton` are wrong, and what to do; CLI11 alone names neither the command nor what was meant.
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

}  // namespace

int run_cli(int argc, const char* const* argv) {
  try {
    CLI::App app{"Baton: distributed inference for large language models", "baton"};
    app.footer("First steps:\n  baton model fetch smollm2\n  baton up examples/laptop.yaml --detach\n  baton submit \"The capital of France is\"\n  baton down\n\n"
               "baton COMMAND --help shows a command's options and examples.");
    app.require_subcommand(1);
    Parsed parsed;
    add_serve_command(app, parsed);
    add_cluster_commands(app, parsed);
    add_job_commands(app, parsed);
    add_bench_commands(app, parsed);
    add_other_commands(app, parsed);
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
    return parsed.command();
  } catch (const std::exception& problem) {
    std::fprintf(stderr, "baton: %s\n", problem.what());
    return kFailed;
  }
}

}  // namespace baton
