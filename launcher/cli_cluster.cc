// SPDX-License-Identifier: Apache-2.0
#include "launcher/cli_parts.h"
#include "launcher/commands.h"

namespace baton {

void add_serve_command(CLI::App& app, ChosenCommand& chosen) {
  const auto [serve, serve_options] = add_command(app, chosen, "serve", "Serve a model on this machine, without a topology file",
                        "Examples:\n  baton serve smollm2\n  baton serve model.gguf --max-model-len 4096 --threads 8 --detach\n"
                        "  baton serve smollm2 --prefill 1 --decode 2 --port 8080\n"
                        "One worker of role both, unless --prefill or --decode ask for workers of their own. OpenAI's HTTP API is at\n"
                        "http://127.0.0.1:8000/v1 unless --host or --port say otherwise; baton submit takes jobs, too. baton status, baton\n"
                        "down and Ctrl-C work as for baton up; --dry-run shows what would be started.", run_serve);
  auto& s = serve_options;
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
  serve->add_option("--host", s.host, "Where HTTP listens; default 127.0.0.1. Off loopback it needs --api-keys-file")->type_name("HOST");
  serve->add_option("--port", s.port, "Port of HTTP; default 8000")->type_name("PORT");
  serve->add_option("--api-keys-file", s.api_keys_file, "File of API keys (mode 0600), one per line, KEY or NAME:KEY")->type_name("FILE");
  serve->add_option("--jobs", s.jobs, "Where jobs are submitted; workers join one port above; default tcp://127.0.0.1:7070")->type_name("ADDRESS");
  serve->add_flag("--detach,-d", s.detach, "Leave the terminal once the cluster is ready");
  serve->add_flag("--dry-run", s.dry_run, "Check everything and show what would be started");
  add_set(serve, s.set);
}

void add_cluster_commands(CLI::App& app, ChosenCommand& chosen) {
  const auto [up, up_options] = add_command(app, chosen, "up", "Start a cluster and wait until it is ready",
                     "Examples:\n  baton up examples/laptop.yaml             in the foreground; Ctrl-C drains and stops\n"
                     "  baton up examples/laptop.yaml --detach    return once it is ready\n"
                     "  baton up examples/laptop.yaml --dry-run --set pools.decode.replicas=3\n"
                     "Exit status: 3 wrong topology, nothing started; 4 not ready in time; 5 a worker was lost for good.", run_up);
  up->add_option("topology", up_options.topology, "Topology file")->type_name("TOPOLOGY.yaml")->required();
  up->add_flag("--detach,-d", up_options.detach, "Leave the terminal once the cluster is ready");
  up->add_flag("--dry-run", up_options.dry_run, "Check the topology and show what would be started");
  up->add_flag("--wait", up_options.wait, "If the cluster is up already, wait until it is ready instead of failing");
  add_set(up, up_options.set);

  const auto [down, down_options] = add_command(app, chosen, "down", "Drain and stop a cluster", "Examples:\n  baton down\n  baton down laptop --now", run_down);
  down->add_option("cluster", down_options.cluster, kClusterHelp)->type_name("NAME");
  down->add_flag("--now", down_options.now, "Do not wait for running jobs");

  const auto [status, status_options] = add_command(app, chosen, "status", "Show workers, roles, health, queues and KV use", "Examples:\n  baton status\n  baton status --json --topology laptop", run_status);
  add_cluster(status, status_options.cluster);
  add_json(status, status_options.json);

  const auto [fsck, fsck_options] = add_command(app, chosen, "fsck", "Check every worker's block accounts; exit status 1 if one does not add up", "Example:\n  baton fsck --topology laptop", run_fsck);
  add_cluster(fsck, fsck_options.cluster);
  add_json(fsck, fsck_options.json);
}

}  // namespace baton
