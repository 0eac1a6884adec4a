// SPDX-License-Identifier: Apache-2.0
// The real wiring: each process is built bottom-up on the stack of its main and destroyed in reverse. The simulated
// counterpart is sim_wire.cc.
#include "launcher/wire.h"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <memory>
#include <optional>
#include <thread>
#include <utility>

#include "actors/coordinator.h"
#include "actors/edge.h"
#include "actors/worker.h"
#include "config/memory.h"
#include "config/units.h"
#include "engine/cpu_engine.h"
#include "engine/cuda_engine.h"
#include "engine/engine_thread.h"
#include "engine/oracle_engine.h"
#include "kvstore/digest.h"
#include "launcher/load_progress.h"
#include "launcher/process_parts.h"
#include "launcher/shared_memory.h"
#include "launcher/state_folder.h"
#include "models/model_path.h"
#include "runtime/actor/real_loop.h"
#include "runtime/base/log.h"
#include "runtime/base/thread_name.h"
#include "runtime/journal/journal_thread.h"
#include "runtime/link/no_data_plane.h"
#include "runtime/link/threaded_data_plane.h"

namespace baton {
namespace {

Role role_of(PoolRole role) {
  return role == PoolRole::kPrefill ? Role::kPrefill : role == PoolRole::kDecode ? Role::kDecode : Role::kBoth;
}

CoordinatorOptions coordinator_options(const Topology& topology) {
  CoordinatorOptions options;
  options.cluster_name = topology.name;
  std::ifstream(supervisor_key_path(topology.coordinator.state)) >> options.supervisor_key;
  options.pid = static_cast<std::uint32_t>(getpid());
  options.heartbeat_interval = topology.lifecycle.heartbeat_interval;
  options.heartbeat_miss = topology.lifecycle.heartbeat_miss;
  options.jobs_max = topology.scheduling.max_num_queued_reqs;
  options.queued_tokens_max = topology.scheduling.max_num_queued_tokens;
  options.request_time_limit = topology.scheduling.request_timeout;
  options.ttft_limit = topology.scheduling.max_predicted_ttft;
  options.resume = topology.lifecycle.on_worker_loss == WorkerLossOption::kResume;
  return options;
}

// An engine and the memory its KV lives in. The plane allocates the pool; the engine is told the geometry first.
struct WorkerParts {
  std::unique_ptr<CpuEngine> cpu;
  std::unique_ptr<CudaEngine> device;  // has its own pool
  std::unique_ptr<Engine> oracle;
  std::unique_ptr<DataPlane> plane;
  std::span<std::byte> pool;  // the plane's
  EngineInfo info;
  std::uint32_t blocks = 0;
  Engine& engine() { return cpu ? static_cast<Engine&>(*cpu) : device ? *device : *oracle; }
};

// Whether this process may run on each of the machine's cores: where it may not, their numbers are others' to give.
bool has_all_cores(std::uint32_t cores) {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  if (cores > CPU_SETSIZE || sched_getaffinity(0, sizeof allowed, &allowed) != 0) return false;
  for (std::uint32_t core = 0; core < cores; ++core)
    if (!CPU_ISSET(core, &allowed)) return false;
  return true;
}

std::string served_name(const Topology& topology) { return topology.model.served_model_name.empty() ? std::string() : topology.model.served_model_name.front(); }

Result<void> load_cuda_engine(const Topology& topology, const WorkerSlot& slot, const std::string& path, WorkerParts& parts) {
  const PoolSection& pool = topology.pools[slot.pool];
  const std::vector<std::uint32_t> devices = cuda_devices(node_of(topology, pool));
  if (slot.replica >= devices.size())
    return fail(ErrorCode::kInvalidArgument, "no CUDA device is left for " + slot.name + ": node " + node_of(topology, pool).name + " lists " + std::to_string(devices.size()));
  CudaEngineOptions options;
  options.device = devices[slot.replica];
  options.model_path = path;
  options.model_name = served_name(topology);
  options.numerics = topology.numerics == NumericsOption::kInvariant ? Numerics::kInvariant : Numerics::kFast;
  options.block_tokens = topology.kv_cache.block_size;
  options.max_model_len = topology.model.max_model_len;
  if (topology.kv_cache.gpu_memory_utilization != 0) options.utilization = topology.kv_cache.gpu_memory_utilization;
  else options.kv_bytes = topology.kv_cache.memory;
  options.max_batched_tokens = pool.limits.max_num_batched_tokens;
  options.max_sequences = pool.limits.max_num_seqs;
  options.threads = worker_threads(topology, pool, std::max(std::thread::hardware_concurrency(), 1u));
  auto engine = make_cuda_engine(options);
  if (!engine) return tl::unexpected(engine.error());
  parts.device = std::move(*engine);
  parts.info = parts.device->info();
  log_info("worker", "memory of the device", {{"plan", parts.device->plan()}});
  return {};
}

Result<void> load_engine(const Topology& topology, const WorkerSlot& slot, int weights_file, LoadProgress& progress, WorkerParts& parts) {
  if (topology.model.oracle) {
    parts.info = oracle_info(oracle_options(topology));
    return {};
  }
  const auto path = resolve_model_path(topology.model.path);
  if (!path) return tl::unexpected(path.error());
  if (!cuda_devices(node_of(topology, topology.pools[slot.pool])).empty()) return load_cuda_engine(topology, slot, *path, parts);
  CpuEngineOptions options;
  options.model_path = *path;
  options.model_name = served_name(topology);
  options.numerics = topology.numerics == NumericsOption::kReference ? Numerics::kReference
                     : topology.numerics == NumericsOption::kFast    ? Numerics::kFast
                                                                     : Numerics::kInvariant;
  options.block_tokens = topology.kv_cache.block_size;
  options.max_model_len = topology.model.max_model_len;
  if (topology.kv_cache.dtype == DtypeOption::kFloat32) options.kv_dtype = DType::kF32;
  if (topology.kv_cache.dtype == DtypeOption::kFloat16) options.kv_dtype = DType::kF16;
  if (topology.kv_cache.dtype == DtypeOption::kBfloat16) options.kv_dtype = DType::kBF16;
  const std::uint32_t cores = std::max(std::thread::hardware_concurrency(), 1u);
  options.threads = worker_threads(topology, topology.pools[slot.pool], cores);
  if (topology.pools[slot.pool].pin_threads && has_all_cores(cores)) options.first_cpu = first_core(topology, slot, cores);
  if (weights_file >= 0) options.shared_weights = weights_file;
  options.on_laid_out = [&progress](std::size_t done, std::size_t all) {
    progress.say({LoadPhase::kLayOut, all == 0 ? 100 : static_cast<int>(done * 100 / all)});
  };
  auto engine = make_cpu_engine(options);
  if (!engine) return tl::unexpected(engine.error());
  parts.cpu = std::move(*engine);
  parts.info = parts.cpu->info();
  return {};
}

Result<void> make_plane(const Topology& topology, const PoolSection& pool, const PeerKey& self, std::uint64_t bytes, DataPlaneSink sink, WorkerParts& parts) {
  ThreadedPlaneOptions options;
  options.interface_name = interface_of(topology, pool);
  options.node_name = node_of(topology, pool).name;
  options.transports.clear();
  const std::optional<std::string> no_shm = why_no_shared_memory(topology, shm_size());
  if (no_shm) log_warn("worker", "KV goes over tcp", {{"why", *no_shm}});
  for (const TransportOption transport : topology.transport.order)
    if ((transport == TransportOption::kShm && !no_shm) || transport == TransportOption::kTcp) options.transports.emplace_back(to_string(transport));
  if (options.transports.empty() && no_shm) return fail(ErrorCode::kResourceExhausted, *no_shm + ", or add tcp to transport.order");
  options.self = self;
  options.pool_bytes = bytes;
  options.sink = std::move(sink);
  options.digest = [geometry = parts.info.geometry](std::span<const std::byte> moved, std::uint64_t tag) {
    return block_digest(geometry, moved, digest_tag_position(tag), digest_tag_tokens(tag));
  };
  auto plane = ThreadedDataPlane::create(std::move(options));
  if (!plane) return tl::unexpected(plane.error());
  parts.pool = (*plane)->pool();
  parts.plane = std::move(*plane);
  return {};
}

// Nobody to exchange KV with: neither UCX nor shared memory is needed.
Result<void> make_lone_plane(std::uint64_t bytes, DataPlaneSink sink, WorkerParts& parts) {
  auto plane = NoDataPlane::create(bytes, std::move(sink));
  if (!plane) return tl::unexpected(plane.error());
  parts.pool = (*plane)->pool();
  parts.plane = std::move(*plane);
  return {};
}

Result<void> make_pool(const Topology& topology, const PoolSection& pool, const PeerKey& self, DataPlaneSink sink, WorkerParts& parts) {
  if (parts.device) {
    constexpr std::uint64_t kNothing = 4096;  // a plane has a pool, and nobody reads this one: KV does not leave the device
    parts.blocks = parts.device->pool_blocks();
    return make_lone_plane(kNothing, std::move(sink), parts);
  }
  const KvGeometry geometry = parts.info.geometry;
  const std::uint64_t fit = topology.kv_cache.memory / geometry.block_bytes();
  parts.blocks = static_cast<std::uint32_t>(std::min<std::uint64_t>(fit, 1u << 24));
  if (parts.blocks == 0)
    return fail(ErrorCode::kInvalidArgument, "kv_cache.memory of " + std::to_string(topology.kv_cache.memory) + " bytes holds no block: one needs " +
                                                 std::to_string(geometry.block_bytes()) + " bytes");
  // Shared memory is nobody's until it is touched: a pool that does not fit would not fail, it would starve the neighbours.
  const std::uint64_t wanted = parts.blocks * geometry.block_bytes();
  if (const std::uint64_t room = available_memory(); room != 0 && wanted > room)
    return fail(ErrorCode::kResourceExhausted, "kv_cache.memory wants " + format_bytes(wanted) + ", this machine has " + format_bytes(room) +
                                                   " to give: lower it, or stop something");
  // Further workers of the only pool, should it be scaled up, are of role both, too, and need none of the others' KV.
  if (worker_slots(topology).size() == 1 && topology.pools.size() == 1) RETURN_IF_ERROR(make_lone_plane(wanted, std::move(sink), parts));
  else RETURN_IF_ERROR(make_plane(topology, pool, self, wanted, std::move(sink), parts));
  if (parts.cpu) return parts.cpu->attach_pool(parts.pool);
  parts.oracle = make_oracle_engine(oracle_options(topology), parts.pool);
  return {};
}

WorkerOptions worker_options(const Topology& topology, const WorkerSlot& slot, const WorkerParts& parts, const std::string& address) {
  const PoolSection& pool = topology.pools[slot.pool];
  WorkerOptions options;
  options.name = slot.name;
  options.pool = pool.name;
  options.role = role_of(pool.role);
  options.pid = static_cast<std::uint32_t>(getpid());
  options.control_address = address;
  options.coordinator_address = topology.coordinator.control;
  options.coordinator_node = node_id("coordinator");
  options.blocks_total = parts.blocks;
  options.limits = {pool.limits.max_num_seqs, pool.limits.max_num_batched_tokens, pool.limits.long_prefill_token_threshold};
  options.prefix_caching = topology.kv_cache.prefix_caching;
  options.grant_time_limit = topology.scheduling.request_timeout;
  return options;
}

}  // namespace

int run_coordinator(const Topology& topology) {
  set_logging(topology);
  const auto model = load_edge_model(topology);
  if (!model) return failed("coordinator", model.error());

  auto journal_file = FileJournal::open(journal_path(topology.coordinator.state));
  if (!journal_file) return failed("coordinator", journal_file.error());
  const JournalRecords records = (*journal_file)->take_records();
  std::optional<Coordinator> coordinator;
  LoopExit exit("coordinator");
  RealLoop* signalled = nullptr;
  Drain drain("coordinator", topology.lifecycle.drain_timeout, [&] { coordinator->drain(real_now()); }, [&] { return coordinator->jobs() == 0; });
  RealLoopOptions control;
  control.node = node_id("coordinator");
  control.bind_address = topology.coordinator.control;
  control.on_signal = [&](int) { drain.signalled(*signalled); };
  const auto control_loop = RealLoop::open(control);
  if (!control_loop) return failed("coordinator", control_loop.error());
  signalled = control_loop->get();
  exit.attach(**control_loop);
  std::optional<JournalThread> journal;
  journal.emplace(std::move(*journal_file), (*control_loop)->executor(), 0, [](const std::string& why) {
    if (why.empty()) log_info("coordinator", "the journal can be written again");
    else log_error("coordinator", "the journal cannot be written: jobs would not outlive this process", {{"why", why}});
  });
  coordinator.emplace(coordinator_options(topology), &*journal);
  coordinator->recover(records, real_now());
  coordinator->start(real_now());
  ActorCell<Coordinator> coordinator_cell(*coordinator);
  (*control_loop)->add(0, coordinator_cell);

  RealLoopOptions jobs;
  jobs.node = node_id("edge/jobs");
  jobs.bind_address = topology.coordinator.jobs;
  const auto jobs_loop = RealLoop::open(jobs);
  if (!jobs_loop) return failed("coordinator", jobs_loop.error());
  EdgeOptions edge_options;
  edge_options.name = "jobs";
  edge_options.control_address = (*jobs_loop)->bound_address();
  edge_options.coordinator_address = (*control_loop)->bound_address();
  edge_options.coordinator_node = control.node;
  edge_options.max_model_len = model->max_model_len;
  edge_options.resumable = true;
  Edge edge(std::move(edge_options), *model->tokenizer, exit);
  ActorCell<Edge> edge_cell(edge);
  (*jobs_loop)->add(0, edge_cell);
  (*jobs_loop)->executor().post(0, [&edge](Outbox& out) { edge.start(out); });

  log_info("coordinator", "up", {{"jobs", (*jobs_loop)->bound_address()}, {"control", (*control_loop)->bound_address()}});
  std::thread edge_thread([&] {
    name_this_thread("baton-edge");
    (*jobs_loop)->run();
  });
  name_this_thread("baton-loop");
  (*control_loop)->run();
  drain.finish();
  (*jobs_loop)->stop();
  edge_thread.join();
  (*control_loop)->remove(0);
  // A good end: nobody is to find these prompts. After any other one the next life goes on with the jobs.
  const bool nothing_left = exit.code() == 0 && coordinator->jobs() == 0;
  journal.reset();
  if (nothing_left) remove_journal(topology.coordinator.state);
  return exit.code();
}

int run_worker(const Topology& topology, const std::string& worker_name, int weights_file) {
  set_logging(topology);
  const auto slot = find_worker(topology, worker_name);
  if (!slot) return failed("worker", {ErrorCode::kInvalidArgument, "the topology has no worker '" + worker_name + "'"});

  LoadProgress progress(topology.coordinator.state, worker_name);
  progress.say({LoadPhase::kRead, 0});
  WorkerParts loading;
  if (const auto loaded = load_engine(topology, *slot, weights_file, progress, loading); !loaded) return failed("worker", loaded.error());

  std::unique_ptr<Worker> worker;
  LoopExit exit("worker");
  RealLoop* signalled = nullptr;
  const auto leave = [&] { signalled->executor().post(0, [&worker](Outbox& out) { worker->leave(out); }); };  // signals come when the loop runs
  Drain drain("worker", topology.lifecycle.drain_timeout, leave, [&] { return worker->may_end(real_now()); });
  RealLoopOptions options;
  options.node = node_id("worker/" + worker_name);
  options.incarnation = random_incarnation();
  options.bind_address = "tcp://" + node_of(topology, topology.pools[slot->pool]).address + ":0";
  options.on_signal = [&](int) { drain.signalled(*signalled); };
  const auto loop = RealLoop::open(options);
  if (!loop) return failed("worker", loop.error());
  signalled = loop->get();
  exit.attach(**loop);

  WorkerParts parts = std::move(loading);  // behind the loop, to end before it: the data thread posts there as long as it lives
  progress.say({LoadPhase::kReserve, 0});
  Executor& home = (*loop)->executor();
  const auto sink = [&home, &worker](DataPlaneEvent event) {
    home.post(0, [&worker, event = std::move(event)](Outbox& out) { worker->on_data_plane(event, out); });
  };
  if (const auto made = make_pool(topology, topology.pools[slot->pool], {options.node, options.incarnation}, sink, parts); !made) return failed("worker", made.error());

  EngineThread engine(parts.engine(), home, 0);
  worker = std::make_unique<Worker>(worker_options(topology, *slot, parts, (*loop)->bound_address()), parts.info, engine, *parts.plane, exit);
  ActorCell<Worker> cell(*worker);
  (*loop)->add(0, cell);
  home.post(0, [&worker](Outbox& out) { worker->start(out); });
  progress.say({LoadPhase::kJoin, 0});
  log_info("worker", "up", {{"name", worker_name}, {"blocks", parts.blocks}, {"address", (*loop)->bound_address()}});
  name_this_thread("baton-loop");
  (*loop)->run();
  drain.finish();
  (*loop)->remove(0);
  return exit.code();
}

}  // namespace baton
