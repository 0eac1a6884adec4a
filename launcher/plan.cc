// SPDX-License-Identifier: Apache-2.0
#include "launcher/plan.h"

#include <algorithm>
#include <cstdio>
#include <thread>

#include "config/units.h"
#include "engine/oracle_engine.h"
#include "launcher/check_model.h"
#include "launcher/commands.h"
#include "launcher/environment.h"
#include "launcher/exit_code.h"
#include "launcher/find_cluster.h"
#include "launcher/inspect_model.h"
#include "launcher/json_writer.h"
#include "launcher/shared_memory.h"
#include "launcher/table.h"
#include "models/registry.h"

namespace baton {
namespace {

constexpr std::uint32_t kThousandTokens = 1024;
constexpr std::uint32_t kMaxBlocks = 1u << 24;  // as a worker takes them

struct ModelNeeds {
  KvGeometry geometry;
  std::uint32_t context = 0;
  std::uint64_t weight_bytes = 0;
  ModelFacts facts;  // empty for the test model
};

Result<ModelNeeds> needs_of_model(const Topology& topology) {
  ModelNeeds needs;
  const std::uint32_t block = topology.kv_cache.block_size, wanted = topology.model.max_model_len;
  if (topology.model.oracle) {
    const OracleSection& oracle = *topology.model.oracle;
    needs.geometry = {0, oracle.layers, oracle.kv_heads, oracle.head_dim, block, DType::kU64};
    needs.context = wanted != 0 ? wanted : OracleOptions{}.max_model_len;
    return needs;
  }
  const auto file = open_model(topology);
  if (!file) return tl::unexpected<Error>(file.error());
  const auto info = examine_model(**file);
  if (!info) return tl::unexpected<Error>(info.error());
  const bool wide = topology.kv_cache.dtype == DtypeOption::kFloat32 ||
                    (topology.kv_cache.dtype == DtypeOption::kAuto && topology.numerics == NumericsOption::kReference);
  needs.geometry = {0, info->layers, info->kv_heads, info->head_dim, block, uses_cuda(topology) ? DType::kBF16 : wide ? DType::kF32 : DType::kF16};
  needs.context = wanted != 0 ? wanted : info->context_length;
  needs.facts = inspect_model(**file);
  needs.weight_bytes = needs.facts.weight_bytes;
  return needs;
}

// What one step of the CPU engine holds beside KV: the stream and queries of every row, the logits of every job that samples,
// and each thread's rows between two stages. All float32.
std::uint64_t workspace_of(const PoolSection& pool, const ModelFacts& facts, std::uint32_t threads) {
  constexpr std::uint64_t kRowsOfAThread = 64, kFloat = 4;
  const std::uint64_t queries = facts.heads * facts.head_dim;
  const std::uint64_t step = pool.limits.max_num_batched_tokens * (facts.width + queries) * kFloat;
  const std::uint64_t logits = pool.limits.max_num_seqs * facts.vocabulary * kFloat;
  const std::uint64_t thread =
      kRowsOfAThread * (facts.width + 2 * queries + 2 * facts.kv_heads * facts.head_dim + facts.feed_forward) * kFloat;
  return step + logits + threads * thread;
}

void plan_processes(const Topology& topology, const MachineFacts& machine, const ModelNeeds& needs, Plan& plan) {
  const std::string node = topology.nodes.empty() ? "here" : topology.nodes.front().name;
  plan.processes.push_back(
      {"coordinator", topology.coordinator.node.empty() ? node : topology.coordinator.node, "-", "-", 0, std::nullopt, 0, 0});
  for (const WorkerSlot& slot : worker_slots(topology)) {
    const PoolSection& pool = topology.pools[slot.pool];
    const std::vector<std::uint32_t> devices = cuda_devices(node_of(topology, pool));
    const std::string device = devices.empty() ? "cpu" : "cuda " + std::to_string(devices[std::min<std::size_t>(slot.replica, devices.size() - 1)]);
    PlannedProcess process{
        slot.name, node, std::string(to_string(pool.role)), device, worker_threads(topology, pool, machine.cores), std::nullopt,
        0,         0};
    if (pool.pin_threads) process.first_core = first_core(topology, slot, machine.cores);
    process.kv_bytes = std::uint64_t{plan.blocks_per_worker} * plan.geometry.block_bytes();
    process.workspace_bytes = workspace_of(pool, needs.facts, process.threads);
    if (devices.empty()) plan.total_bytes += process.kv_bytes + process.workspace_bytes;  // of this machine's own memory
    plan.processes.push_back(std::move(process));
  }
}

void plan_pools(const Topology& topology, Plan& plan) {
  for (const PoolSection& pool : topology.pools) {
    const auto jobs = [&](std::uint64_t tokens) {
      const std::uint64_t fit = plan.blocks_per_worker / std::max(plan.geometry.blocks_for(tokens), 1u);
      return std::min<std::uint64_t>(fit, pool.limits.max_num_seqs) * pool.replicas;
    };
    plan.pools.push_back({pool.name, std::string(to_string(pool.role)),
                          std::uint64_t{plan.blocks_per_worker} * plan.geometry.block_tokens * pool.replicas,
                          jobs(plan.context), jobs(std::min(kThousandTokens, plan.context))});
  }
}

// KV goes from workers that prefill to workers that decode; a worker that does both keeps it.
void plan_transfers(const Topology& topology, const MachineFacts& machine, Plan& plan) {
  const bool shm = !why_no_shared_memory(topology, machine.shm_bytes);
  const double bytes =
      static_cast<double>(plan.geometry.blocks_for(kThousandTokens)) * static_cast<double>(plan.geometry.block_bytes());
  for (const PoolSection& from : topology.pools) {
    for (const PoolSection& to : topology.pools) {
      if (from.role != PoolRole::kPrefill || to.role == PoolRole::kPrefill) continue;
      for (const TransportOption each : topology.transport.order) {
        if (each != TransportOption::kTcp && !(each == TransportOption::kShm && shm)) continue;
        const double rate = each == TransportOption::kShm ? kShmGigabytesPerSecond : kTcpGigabytesPerSecond;
        plan.transfers.push_back({from.name, to.name, std::string(to_string(each)), rate, bytes / (rate * 1e9)});
      }
    }
  }
}

std::string time_text(double seconds) {
  char text[32];
  if (seconds >= 1) std::snprintf(text, sizeof text, "%.2f s", seconds);
  else if (seconds >= 1e-3) std::snprintf(text, sizeof text, "%.2f ms", seconds * 1e3);
  else std::snprintf(text, sizeof text, "%.1f us", seconds * 1e6);
  return text;
}

std::string number_text(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.4g", value);
  return text;
}

}  // namespace

Result<Plan> make_plan(const Topology& topology, const MachineFacts& machine) {
  const auto needs = needs_of_model(topology);
  if (!needs) return tl::unexpected<Error>(needs.error());
  Plan plan;
  plan.geometry = needs->geometry;
  plan.context = needs->context;
  plan.weight_bytes = needs->weight_bytes;
  plan.total_bytes = needs->weight_bytes;
  plan.machine_bytes = machine.memory;
  plan.blocks_per_worker =
      static_cast<std::uint32_t>(std::min<std::uint64_t>(topology.kv_cache.memory / plan.geometry.block_bytes(), kMaxBlocks));
  if (plan.blocks_per_worker == 0)
    return fail(ErrorCode::kInvalidArgument, "kv_cache.memory of " + format_bytes(topology.kv_cache.memory) +
                                                 " holds no block: one needs " + format_bytes(plan.geometry.block_bytes()) +
                                                 "; raise it, or lower kv_cache.block_size");
  plan_processes(topology, machine, *needs, plan);
  plan_pools(topology, plan);
  plan_transfers(topology, machine, plan);
  return plan;
}

std::string plan_text(const Topology& topology, const Plan& plan) {
  std::string text = topology.name + ": " + std::to_string(plan.processes.size()) + " processes, jobs at " +
                     topology.coordinator.jobs + ", state in " + topology.coordinator.state + "\n\n";
  std::vector<std::vector<std::string>> rows = {{"PROCESS", "NODE", "ROLE", "DEVICE", "THREADS", "CORES", "KV", "WORKSPACE"}};
  for (const PlannedProcess& each : plan.processes) {
    const bool worker = each.threads != 0;
    const std::string cores =
        each.first_core ? std::to_string(*each.first_core) + ".." + std::to_string(*each.first_core + each.threads - 1)
        : worker        ? "any"
                        : "-";
    rows.push_back({each.name, each.node, each.role, each.device, worker ? std::to_string(each.threads) : "-", cores,
                    worker ? format_bytes(each.kv_bytes) : "-", worker ? format_bytes(each.workspace_bytes) : "-"});
  }
  text += render_table(rows);
  const std::string has = plan.machine_bytes == 0 ? "not known" : format_bytes(plan.machine_bytes);
  text += "\nweights " + format_bytes(plan.weight_bytes) +
          " (one copy for all workers of this machine); with KV and workspace " + format_bytes(plan.total_bytes) +
          ", this machine has " + has + (plan.fits() ? "\n" : ": it does not fit\n");
  const KvGeometry& kv = plan.geometry;
  text += "KV: " + format_bytes(kv.block_bytes() / kv.block_tokens) + " per token (" + std::to_string(kv.layers) + " layers, " +
          std::to_string(kv.kv_heads) + " heads of " + std::to_string(kv.head_dim) + ", " + std::string(to_string(kv.dtype)) +
          "), " + std::to_string(plan.blocks_per_worker) + " blocks of " + std::to_string(kv.block_tokens) +
          " tokens per worker; full context is " + std::to_string(plan.context) + " tokens\n\n";
  if (topology.kv_cache.gpu_memory_utilization != 0)
    text += "counted with kv_cache.memory; gpu_memory_utilization gives KV what the device has left, which the worker's log tells\n\n";
  rows = {{"POOL", "ROLE", "KV TOKENS", "JOBS OF FULL CONTEXT", "JOBS OF 1K TOKENS"}};
  for (const Plan::Pool& each : plan.pools)
    rows.push_back({each.name, each.role, std::to_string(each.kv_tokens), std::to_string(each.jobs_at_full_context),
                    std::to_string(each.jobs_at_1k)});
  text += render_table(rows);
  if (plan.transfers.empty()) return text + "\nno KV moves: every worker keeps what it computes\n";
  rows = {{"FROM", "TO", "TRANSPORT", "GB/S", "KV OF 1K TOKENS TAKES"}};
  for (const PlannedTransfer& each : plan.transfers)
    rows.push_back(
        {each.from, each.to, each.transport, number_text(each.gigabytes_per_second), time_text(each.seconds_per_1k_tokens)});
  return text + '\n' + render_table(rows) +
         "an estimate: bytes of KV over a bandwidth measured on two cores of a virtual machine; `baton bench transport` "
         "measures this one\n";
}

std::string plan_json(const Topology& topology, const Plan& plan) {
  JsonWriter json;
  json.begin_object()
      .member("name", topology.name)
      .member("jobs", topology.coordinator.jobs)
      .member("state", topology.coordinator.state);
  json.key("processes").begin_array();
  for (const PlannedProcess& each : plan.processes) {
    json.begin_object()
        .member("name", each.name)
        .member("node", each.node)
        .member("role", each.role)
        .member("device", each.device);
    json.member("threads", each.threads).key("first_core");
    if (each.first_core) json.value(*each.first_core);
    else json.null();
    json.member("kv_bytes", each.kv_bytes).member("workspace_bytes", each.workspace_bytes).end_object();
  }
  json.end_array()
      .member("weight_bytes", plan.weight_bytes)
      .member("total_bytes", plan.total_bytes)
      .member("machine_bytes", plan.machine_bytes);
  json.member("fits", plan.fits()).member("context", plan.context).member("blocks_per_worker", plan.blocks_per_worker);
  json.member("block_tokens", plan.geometry.block_tokens)
      .member("block_bytes", plan.geometry.block_bytes())
      .key("pools")
      .begin_array();
  for (const Plan::Pool& each : plan.pools) {
    json.begin_object().member("name", each.name).member("role", each.role).member("kv_tokens", each.kv_tokens);
    json.member("jobs_at_full_context", each.jobs_at_full_context).member("jobs_at_1k", each.jobs_at_1k).end_object();
  }
  json.end_array().key("transfers").begin_array();
  for (const PlannedTransfer& each : plan.transfers) {
    json.begin_object().member("from", each.from).member("to", each.to).member("transport", each.transport);
    json.member("estimated_from_gigabytes_per_second", each.gigabytes_per_second)
        .member("seconds_per_1k_tokens", each.seconds_per_1k_tokens)
        .end_object();
  }
  json.end_array().end_object();
  return json.take();
}

MachineFacts machine_facts() {
  MachineFacts facts;
  facts.cores = std::max(std::thread::hardware_concurrency(), 1u);  // as workers count them
  facts.memory = load_options({}).memory;
  facts.shm_bytes = shm_size();
  return facts;
}

int run_plan(const PlanOptions& options) {
  const auto loaded = load_or_explain(options.topology, load_options(options.set));
  if (!loaded) return kBadConfiguration;
  const auto plan = make_plan(loaded->topology, machine_facts());
  if (!plan) {
    complain("plan", plan.error());
    return kBadConfiguration;
  }
  const std::string text = options.json ? plan_json(loaded->topology, *plan) + '\n' : plan_text(loaded->topology, *plan);
  std::fwrite(text.data(), 1, text.size(), stdout);
  return kDone;
}

}  // namespace baton
