// SPDX-License-Identifier: Apache-2.0
#include "launcher/cli_parts.h"
#include "launcher/commands.h"

namespace baton {

namespace {

constexpr const char* kBenchModelHelp = "A .gguf file or its folder; default: smollm2 of `baton model fetch`";

void add_bench_serve(CLI::App& bench, ChosenCommand& chosen) {
  const auto [serve, bench_serve_options] = add_command(bench, chosen, "serve", "Load on a running cluster: time to first token, between tokens, tokens per second",
                        "Examples:\n  baton bench serve --concurrency 16 --requests 64 --prompt-tokens 128,512 --max-tokens 64\n"
                        "  baton bench serve --concurrency 1 --requests 8 --repeat 2 --json     how much sooner a prompt's second time answers\n"
                        "CPU time by thread and memory of the cluster's processes stand beside it, if they run on this machine.", run_bench_serve);
  auto& s = bench_serve_options;
  serve->add_option("--requests", s.requests, "Different prompts")->capture_default_str()->type_name("N")->check(CLI::Range(1u, 1u << 20));
  serve->add_option("--concurrency", s.concurrency, "Streams, each with one job at a time")->capture_default_str()->type_name("N")->check(CLI::Range(1u, 1024u));
  serve->add_option("--prompt-tokens", s.prompt_tokens, "Lengths of the prompts, in turn; default 512")->type_name("N,…")->delimiter(',')->check(CLI::Range(1u, 1u << 20));
  serve->add_option("--max-tokens", s.max_tokens, "Tokens generated for each, exactly")->capture_default_str()->type_name("N")->check(CLI::Range(1u, 1u << 20));
  serve->add_option("--shared-prefix", s.shared_prefix, "So many first tokens are the same in all prompts")->capture_default_str()->type_name("N")->check(whole_number());
  serve->add_option("--repeat", s.repeat, "Send each prompt so often, one after the other")->capture_default_str()->type_name("N")->check(CLI::Range(1u, 1u << 20));
  serve->add_option("--seed", s.seed, "Other prompts")->capture_default_str()->type_name("S")->check(whole_number());
  add_cluster(serve, s.cluster);
  add_json(serve, s.json);
}

void add_bench_actors(CLI::App& bench, ChosenCommand& chosen) {
  const auto [actors, bench_actors_options] = add_command(bench, chosen, "actors", "Messages per second between actors of one loop and of two, beside CAF and bare ZeroMQ",
                         "Examples:\n  baton bench actors\n  baton bench actors --rounds 15 --json\n"
                         "CAF is measured by bench_actors_caf beside this program (build target of that name; Debian package libcaf-dev).", run_bench_actors);
  auto& a = bench_actors_options;
  actors->add_option("--rounds", a.rounds, "Rounds of ours and the peer's in turn")->capture_default_str()->type_name("N")->check(CLI::Range(1u, 1000u));
  actors->add_option("--messages", a.messages, "Messages for each rate; default 2000000, and 1000000 where they take longer")->type_name("N")->check(CLI::Range(1000u, 1u << 30));
  actors->add_option("--trips", a.trips, "Round trips in a round")->capture_default_str()->type_name("N")->check(CLI::Range(1u, 1u << 24));
  actors->add_option("--caf", a.caf, "The program bench_actors_caf; default: beside this one")->type_name("FILE");
  add_json(actors, a.json);
}

}  // namespace

void add_bench_commands(CLI::App& app, ChosenCommand& chosen) {
  CLI::App* bench = app.add_subcommand("bench", "Measure this machine, beside its own limits");
  bench->require_subcommand(1);
  bench->footer("baton bench COMMAND --help shows examples.");
  const auto [engine, bench_engine_options] = add_command(*bench, chosen, "engine", "Prefill and decode tokens per second of the engine, beside llama.cpp and the machine's limits",
                         "Examples:\n  baton bench engine --threads 1,2\n  baton bench engine --numerics invariant,fast --rounds 9 --neighbour --json\n"
                         "tools/get_llama_cpp.sh builds the peer; without it only limits stand beside our figures. docs/benchmarks.md explains each.", run_bench_engine);
  auto& e = bench_engine_options;
  engine->add_option("--device", e.device, "cpu, or cuda:0: then the shape of Llama-3.1-8B with random weights")->capture_default_str()->type_name("NAME");
  engine->add_option("--model", e.model, kBenchModelHelp)->type_name("PATH");
  engine->add_option("--threads", e.threads, "Kernel threads, one run each; default 1,2")->type_name("N,…")->delimiter(',')->check(CLI::Range(1u, 256u));
  engine->add_option("--numerics", e.numerics, "invariant, fast or reference, all in the same rounds; default invariant")->type_name("WORD,…")->delimiter(',');
  engine->add_option("--peer", e.peer, "Folder with llama-bench and llama-batched-bench; default .deps/llama.cpp/bin")->type_name("DIR");
  engine->add_option("--rounds", e.rounds, "Rounds of limit, ours, peer")->capture_default_str()->type_name("N")->check(CLI::Range(1u, 1000u));
  engine->add_flag("--neighbour", e.neighbour, "Measure each row again beside a busy process on one core");
  add_json(engine, e.json);
  const auto [kernels, bench_kernels_options] = add_command(*bench, chosen, "kernels", "Single ops of the engine at a model's shapes, beside the machine's limits",
                          "Examples:\n  baton bench kernels --threads 2\n  baton bench kernels --shape 4096x4096:Q4_0 --shape 14336x4096:Q8_0 --json", run_bench_kernels);
  auto& k = bench_kernels_options;
  kernels->add_option("--device", k.device, "cpu, or cuda:0: then at the shape of Llama-3.1-8B")->capture_default_str()->type_name("NAME");
  kernels->add_option("--model", k.model, kBenchModelHelp)->type_name("PATH");
  kernels->add_option("--shape", k.shapes, "A matrix instead of the model's (repeatable); type Q4_1 unless given")->type_name("ROWSxCOLUMNS[:TYPE]");
  kernels->add_option("--peer", k.peer, "Folder with ggml-matmul; default: where tools/get_llama_cpp.sh puts it")->type_name("DIR");
  kernels->add_option("--numerics", k.numerics, "invariant, fast or reference")->capture_default_str()->type_name("WORD");
  kernels->add_option("--threads", k.threads, "Kernel threads")->capture_default_str()->type_name("N")->check(CLI::Range(1u, 256u));
  kernels->add_option("--rounds", k.rounds, "Rounds of limit and op")->capture_default_str()->type_name("N")->check(CLI::Range(1u, 1000u));
  add_json(kernels, k.json);
  add_bench_serve(*bench, chosen);
  const auto [transport, bench_transport_options] = add_command(*bench, chosen, "transport", "Rate at which pieces of KV move over shared memory and TCP, beside memcpy and iperf3",
                            "Examples:\n  baton bench transport\n  baton bench transport --interface eth0 --pieces 64KiB,2MiB --rounds 9 --json\n"
                            "iperf3 (Debian package iperf3) is the limit of TCP; without it that column is empty.", run_bench_transport);
  auto& t = bench_transport_options;
  transport->add_option("--interface", t.interface_name, "Network interface for TCP")->capture_default_str()->type_name("NAME");
  transport->add_option("--pieces", t.pieces, "Sizes of the pieces; default 4KiB to 4MiB, and the blocks of two models")->type_name("SIZE,…")->delimiter(',');
  transport->add_option("--rounds", t.rounds, "Rounds of every path and limit in turn")->capture_default_str()->type_name("N")->check(CLI::Range(1u, 1000u));
  transport->add_option("--iperf3", t.iperf3, "The program iperf3; default: as found on PATH")->type_name("FILE");
  add_json(transport, t.json);
  add_bench_actors(*bench, chosen);
}

}  // namespace baton
