// SPDX-License-Identifier: Apache-2.0
// Topology: a cluster as its YAML file describes it, after every check that needs no device and no model. Plain values,
// copied freely; paths are absolute, "~" expanded. docs/topology.md is the reference for people; the comments here give
// unit and default of each field. Loaded by load_topology.h, nowhere else.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/base/time.h"

namespace baton {

// Same numbers as the wire's Role; the wire is above this folder.
enum class PoolRole : std::uint8_t { kPrefill = 0, kDecode = 1, kBoth = 2 };
enum class DtypeOption : std::uint8_t { kAuto, kFloat32, kBfloat16, kFloat16, kFp8 };
enum class QuantizationOption : std::uint8_t { kAuto, kNone, kFp8, kInt8, kInt4 };
enum class NumericsOption : std::uint8_t { kAuto, kInvariant, kFast, kReference };
enum class PlacementOption : std::uint8_t { kLeastLoaded };
enum class WorkerLossOption : std::uint8_t { kResume, kFail };
enum class CurveOption : std::uint8_t { kAuto, kOn, kOff };
enum class TransportOption : std::uint8_t { kCudaIpc, kRdma, kShm, kTcp };

std::string_view to_string(PoolRole role);
std::string_view to_string(NumericsOption numerics);
std::string_view to_string(TransportOption transport);

// The test model: an integer hash over the KV bytes actually stored. Given as "oracle:" or "oracle:layers=4,step_time=2ms".
struct OracleSection {
  std::uint32_t layers = 2;           // >= 1
  std::uint32_t kv_heads = 2;         // >= 1
  std::uint32_t head_dim = 4;         // 64-bit values per row, >= 1
  std::uint32_t vocab_size = 512;     // >= 2
  Duration step_time{0};              // what one engine step takes at least
  Duration token_time{0};             // and each of its input tokens on top
  std::optional<std::uint32_t> crash_on;  // for tests only: a worker that computes this token id aborts
};

struct ModelSection {
  std::string path;                              // a folder or a .gguf file; "oracle:…" as written
  std::vector<std::string> served_model_name;    // the first one is shown; default: the last part of path; "oracle"
  DtypeOption dtype = DtypeOption::kAuto;
  QuantizationOption quantization = QuantizationOption::kAuto;
  std::uint32_t max_model_len = 0;               // tokens; 0: the model's own
  std::optional<OracleSection> oracle;           // set if path is "oracle:…"
};

struct KvCacheSection {
  DtypeOption dtype = DtypeOption::kAuto;        // auto: the model's
  std::uint32_t block_size = 16;                 // tokens per block, a power of two in 1..256
  std::uint64_t memory = 512ull << 20;           // bytes per worker
  bool prefix_caching = true;
  std::uint64_t host_memory = 0;                 // bytes; 0: none
  double gpu_memory_utilization = 0.0;           // share of a CUDA device's memory that a worker may take; 0: `memory` counts
};

struct CoordinatorSection {
  std::string node;                              // default: the first node
  std::string jobs = "tcp://127.0.0.1:7070";     // jobs are submitted here
  std::string control = "tcp://127.0.0.1:7071";  // workers join here
  std::string state;                             // folder; default ~/.local/state/baton/NAME
};

struct GatewaySection {
  std::string http;                              // host:port
  std::string admin;                             // host:port, for /metrics and signs of life without a key; empty: none
};

struct NodeSection {
  std::string name;
  std::string address = "127.0.0.1";
  std::string devices = "auto";                  // auto | cpu:N | sim:KIND | a list, written [0, 1]
  std::string ssh;                               // user@host; empty: this machine, or workers started by hand
  std::string interface;                         // of the data plane there; default: transport.interface
  std::string baton;                             // the program there; default: the launcher's own path
};

inline constexpr std::uint32_t kReplicasMax = 1024;  // workers of a pool

struct PoolLimits {
  std::uint32_t max_num_batched_tokens = 2048;   // input tokens of one engine step
  std::uint32_t max_num_seqs = 64;               // sequences running at once
  std::uint32_t long_prefill_token_threshold = 0;  // tokens; 0: a quarter of max_num_batched_tokens
};
struct PoolSection {
  std::string name;                              // workers are NAME-0, NAME-1, …
  PoolRole role = PoolRole::kBoth;
  std::string node;                              // default: the coordinator's
  std::uint32_t replicas = 1;                    // workers at the start, 0..1024
  std::uint32_t tensor_parallel_size = 1;
  std::uint32_t pipeline_parallel_size = 1;
  std::uint32_t threads = 0;                     // kernel threads per worker; 0: a share of the cores, see worker_threads()
  bool pin_threads = false;                      // each kernel thread to a core of its own, where there are enough
  PoolLimits limits;
  std::uint32_t autoscale_min = 0;               // 0: autoscale was not given
  std::uint32_t autoscale_max = 0;
};

struct TransportSection {
  std::vector<TransportOption> order = {TransportOption::kCudaIpc, TransportOption::kRdma, TransportOption::kShm, TransportOption::kTcp};
  std::string interface = "lo";                  // the network interface of the data plane
  bool checksum = true;
};

struct SchedulingSection {
  PlacementOption placement = PlacementOption::kLeastLoaded;
  std::uint32_t max_num_queued_reqs = 4096;
  std::uint32_t max_num_queued_tokens = 400'000;
  Duration request_timeout = std::chrono::minutes(10);
  Duration max_predicted_ttft{};  // 0: a job's own time limit alone
};

struct LifecycleSection {
  Duration start_timeout = std::chrono::minutes(10);  // until every worker must be ready
  Duration heartbeat_interval = std::chrono::milliseconds(200);
  std::uint32_t heartbeat_miss = 5;                    // heartbeats missed in a row until a worker counts as lost
  Duration drain_timeout = std::chrono::seconds(30);   // what running jobs get when the cluster stops
  WorkerLossOption on_worker_loss = WorkerLossOption::kResume;
  std::uint32_t max_restarts = 5;                      // of one process within a minute; one more and it is given up
};

struct SecuritySection {
  std::string api_keys_file;
  CurveOption curve = CurveOption::kAuto;
  bool insecure = false;                         // allows addresses off loopback without keys
  bool share_prefix_cache = false;               // between API keys
};

struct ObservabilitySection {
  bool log_json = false;                         // log_format: text | json
  std::string log_level = "info";                // debug | info | warn | error
  std::vector<std::string> metrics_compat;
};

struct Topology {
  std::string file;                              // absolute path of the YAML file
  std::string name = "baton";
  ModelSection model;
  KvCacheSection kv_cache;
  CoordinatorSection coordinator;
  std::optional<GatewaySection> gateway;
  std::vector<NodeSection> nodes;
  std::vector<PoolSection> pools;
  TransportSection transport;
  NumericsOption numerics = NumericsOption::kAuto;
  SchedulingSection scheduling;
  LifecycleSection lifecycle;
  SecuritySection security;
  ObservabilitySection observability;
};

// One worker of a topology: "decode-1" is the second replica of the pool "decode".
struct WorkerSlot {
  std::string name;
  std::size_t pool = 0;       // index into Topology::pools
  std::uint32_t replica = 0;
};

// Where the coordinator runs, and the launcher with it. A node that the file names wrongly counts as the first.
const NodeSection& coordinator_node(const Topology& topology);
const NodeSection& node_of(const Topology& topology, const PoolSection& pool);
// The CUDA devices that a node lists, in its order; empty: it computes on CPUs.
std::vector<std::uint32_t> cuda_devices(const NodeSection& node);
// Whether any worker computes on a CUDA device.
bool uses_cuda(const Topology& topology);
// The network interface that the data plane of this pool's workers uses.
const std::string& interface_of(const Topology& topology, const PoolSection& pool);

// All workers, in the order of the pools.
std::vector<WorkerSlot> worker_slots(const Topology& topology);
std::optional<WorkerSlot> find_worker(const Topology& topology, std::string_view name);

// Kernel threads of one worker of the pool: what the pool says, or a share of `cores` of its node, at least 1: an even one among the workers there
// that prefill, or among those that decode if these are more. The two kinds take turns on the cores: a job is in one phase at a
// time, a thread that has nothing to do sleeps, and a fixed half each would leave one half idle whenever the load is not even.
std::uint32_t worker_threads(const Topology& topology, const PoolSection& pool, std::uint32_t cores);
// The most kernel threads that want a core of the coordinator's node at once: those of all workers there that prefill, or of all that decode.
std::uint64_t threads_at_once(const Topology& topology, std::uint32_t cores);
// The first of the cores that are this worker's own, if the threads of all workers together are no more than the cores: then each
// kernel thread can have one to itself. nullopt: they must share.
std::optional<std::uint32_t> first_core(const Topology& topology, const WorkerSlot& worker, std::uint32_t cores);

}  // namespace baton
