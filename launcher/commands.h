// SPDX-License-Identifier: Apache-2.0
// The subcommands as functions: options in, exit status out (exit_code.h). cli.cc fills the options from the command line;
// nothing here knows how. Answers go to standard output, messages to standard error.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace baton {

struct UpOptions {
  std::string topology;
  std::vector<std::string> set;
  bool detach = false;
  bool dry_run = false;
  bool wait = false;  // a cluster that is up already is fine: wait until it is ready
};
int run_up(const UpOptions& options);

// A cluster of this machine without a file. Flags left empty are left to the defaults of the topology.
struct ServeOptions {
  std::string model;                              // a .gguf file, its folder, a name of `baton model fetch`, or "oracle:…"
  std::optional<std::uint32_t> prefill, decode;   // workers of each role; neither: one worker of role both
  std::optional<std::string> max_model_len, max_num_seqs, max_num_batched_tokens, block_size, dtype, tensor_parallel_size;
  std::optional<std::string> threads, numerics, kv_cache_memory, jobs, name, host, port, api_keys_file;
  std::vector<std::string> served_model_name;
  std::optional<bool> prefix_caching;
  std::vector<std::string> set;
  bool detach = false;
  bool dry_run = false;
};
int run_serve(const ServeOptions& options);

struct DownOptions {
  std::string cluster;  // name or topology file; empty: the only one that is up
  bool now = false;
};
int run_down(const DownOptions& options);

struct ValidateOptions {
  std::string topology;
  std::vector<std::string> set;
  bool json = false;
};
int run_validate(const ValidateOptions& options);

struct PlanOptions {
  std::string topology;
  std::vector<std::string> set;
  bool json = false;
};
int run_plan(const PlanOptions& options);

struct ConfigShowOptions {
  std::string topology;
  std::vector<std::string> set;
  bool origin = false;
  bool json = false;
};
int run_config_show(const ConfigShowOptions& options);

struct ConfigSchemaOptions {};
int run_config_schema(const ConfigSchemaOptions& options);

struct StatusOptions {
  std::string cluster;
  bool json = false;
};
int run_status(const StatusOptions& options);

struct FsckOptions {
  std::string cluster;
  bool json = false;
};
int run_fsck(const FsckOptions& options);

struct ScaleOptions {
  std::string cluster;
  std::vector<std::string> pools;  // "decode=3"
  std::string timeout = "10m";
};
int run_scale(const ScaleOptions& options);

struct DrainOptions {
  std::string cluster;
  std::string worker;
  bool undo = false;
  std::string timeout = "60s";
  bool json = false;
};
int run_drain(const DrainOptions& options);

struct RoleOptions {
  std::string cluster;
  std::string worker;
  std::string role;  // "prefill", "decode" or "both"
  bool json = false;
};
int run_role(const RoleOptions& options);

struct CancelOptions {
  std::string cluster;
  std::string id;
  bool json = false;
};
int run_cancel(const CancelOptions& options);

struct LinksOptions {
  std::string cluster;
  bool json = false;
};
int run_links(const LinksOptions& options);

struct TopOptions {
  std::string cluster;
};
int run_top(const TopOptions& options);

struct EventsOptions {
  std::string cluster;
  bool follow = false;
  bool json = false;
};
int run_events(const EventsOptions& options);

struct LogsOptions {
  std::string cluster;
  std::string process;
  std::size_t tail = 100;
  bool follow = false;
};
int run_logs(const LogsOptions& options);

struct AttachOptions {
  std::string cluster;
  std::string id;
  std::uint32_t from = 0;
  bool json = false;
};
int run_attach(const AttachOptions& options);

struct ChatOptions {
  std::string cluster;
  std::string system;
  std::optional<std::uint32_t> max_tokens;
  double temperature = 0.0;
  double top_p = 1.0;
  std::optional<std::uint64_t> seed;
};
int run_chat(const ChatOptions& options);

struct TraceOptions {
  std::string cluster;
  std::string id;
  bool json = false;
};
int run_trace(const TraceOptions& options);

struct SubmitOptions {
  std::string cluster;
  std::optional<std::string> prompt;  // "-": standard input
  std::string file;
  std::string id;
  bool json = false;
  std::optional<std::uint32_t> max_tokens;
  double temperature = 0.0;
  double top_p = 1.0;
  std::uint32_t top_k = 0;
  double min_p = 0.0;
  std::optional<std::uint64_t> seed;
  bool ignore_eos = false;
  double repetition_penalty = 1.0;
  double presence_penalty = 0.0;
  double frequency_penalty = 0.0;
  std::vector<std::string> logit_bias;  // "ID=BIAS"
  std::uint32_t n = 1;
  std::uint32_t min_tokens = 0;
  std::vector<std::string> stop;
  std::vector<std::int32_t> stop_token_ids;
  bool include_stop = false;
  std::vector<std::string> bad_words;
  std::optional<std::uint32_t> logprobs;
  std::optional<std::uint32_t> prompt_logprobs;
  std::string cache_salt;
  std::string time_limit;  // "30s"; empty: the cluster's
  bool timeline = false;
  bool detach = false;    // leave once it is accepted
  bool chat = false;      // the prompt is what a user says; the model's chat template makes a prompt of it
  std::string jobs;       // a file of jobs, a JSON object each; "-": standard input
  std::uint32_t concurrency = 4;
  std::string out;        // where their answers go; empty: standard output
};
int run_submit(const SubmitOptions& options);

struct ModelFetchOptions {
  std::string name;
  std::string cache;  // empty: ~/.cache/baton/models
};
int run_model_fetch(const ModelFetchOptions& options);

struct ModelInspectOptions {
  std::string path;  // a GGUF file, or a folder with one
  bool tensors = false;
  bool json = false;
};
int run_model_inspect(const ModelInspectOptions& options);

struct InitOptions {
  std::string model;            // empty: the one that `baton model fetch smollm2` gets
  std::string pools = "1p1d";   // "both", or "NpMd"
  std::string out = "baton.yaml";  // "-": standard output
};
int run_init(const InitOptions& options);

struct DoctorOptions {
  bool json = false;
};
int run_doctor(const DoctorOptions& options);

struct VersionOptions {
  bool json = false;
};
int run_version(const VersionOptions& options);

struct BenchEngineOptions {
  std::string device = "cpu";          // or "cuda:0": then only numerics, rounds and json count
  std::string model;                   // empty: the one that `baton model fetch smollm2` gets
  std::vector<std::string> numerics;   // empty: invariant
  std::vector<std::uint32_t> threads;  // empty: 1 and 2
  std::string peer;                    // folder of llama.cpp's programs; empty: where tools/get_llama_cpp.sh puts them
  std::uint32_t rounds = 5;
  bool neighbour = false;
  bool json = false;
};
int run_bench_engine(const BenchEngineOptions& options);

struct BenchKernelsOptions {
  std::string device = "cpu";       // or "cuda:0": then only rounds and json count
  std::string model;                // empty: as above, unless shapes are given
  std::vector<std::string> shapes;  // "4096x1024:Q8_0"
  std::string peer;                 // folder of ggml-matmul; empty: where tools/get_llama_cpp.sh puts it, if it is there
  std::string numerics = "invariant";
  std::uint32_t threads = 1;
  std::uint32_t rounds = 5;
  bool json = false;
};
int run_bench_kernels(const BenchKernelsOptions& options);

struct BenchServeOptions {
  std::string cluster;
  std::uint32_t requests = 32;
  std::uint32_t concurrency = 4;
  std::vector<std::uint32_t> prompt_tokens;  // empty: 512
  std::uint32_t max_tokens = 64;
  std::uint32_t shared_prefix = 0;
  std::uint32_t repeat = 1;
  std::uint64_t seed = 1;
  bool json = false;
};
int run_bench_serve(const BenchServeOptions& options);

struct BenchTransportOptions {
  std::string interface_name = "lo";
  std::vector<std::string> pieces;  // sizes; empty: 4 KiB to 4 MiB and two models' blocks
  std::uint32_t rounds = 5;
  std::string iperf3;  // the program; empty: the one on PATH, if there is one
  bool json = false;
};
int run_bench_transport(const BenchTransportOptions& options);

struct BenchActorsOptions {
  std::uint32_t rounds = 7;
  std::uint64_t messages = 0;  // of each rate; 0: 2 million, 1 million of the chain and between loops
  std::uint64_t trips = 5000;
  std::string caf;  // the program bench_actors_caf; empty: the one beside this program, if there is one
  bool json = false;
};
int run_bench_actors(const BenchActorsOptions& options);

// A process of a cluster; started by `baton up`, or by hand with the same file.
struct ProcessOptions {
  std::string topology;
  std::vector<std::string> set;
  std::string base_folder;  // what relative paths in the file start from; empty: the file's folder
  std::string worker;       // empty: the coordinator, or the gateway
  bool gateway = false;
  int weights_file = -1;    // a descriptor: the memory file that the workers of this machine keep weights in
};
int run_process(const ProcessOptions& options);

}  // namespace baton
