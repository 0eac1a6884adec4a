// SPDX-License-Identifier: Apache-2.0
#include "config/topology.h"

#include <algorithm>

namespace baton {

std::string_view to_string(PoolRole role) {
  switch (role) {
    case PoolRole::kPrefill: return "prefill";
    case PoolRole::kDecode: return "decode";
    case PoolRole::kBoth: return "both";
  }
  return "?";
}

std::string_view to_string(NumericsOption numerics) {
  switch (numerics) {
    case NumericsOption::kAuto: return "auto";
    case NumericsOption::kInvariant: return "invariant";
    case NumericsOption::kFast: return "fast";
    case NumericsOption::kReference: return "reference";
  }
  return "?";
}

std::string_view to_string(TransportOption transport) {
  switch (transport) {
    case TransportOption::kCudaIpc: return "cuda_ipc";
    case TransportOption::kRdma: return "rdma";
    case TransportOption::kShm: return "shm";
    case TransportOption::kTcp: return "tcp";
  }
  return "?";
}

namespace {

const NodeSection& named_node(const Topology& topology, const std::string& name) {
  const auto found = std::find_if(topology.nodes.begin(), topology.nodes.end(), [&](const NodeSection& each) { return each.name == name; });
  return found == topology.nodes.end() ? topology.nodes.front() : *found;
}

}  // namespace

const NodeSection& coordinator_node(const Topology& topology) { return named_node(topology, topology.coordinator.node); }

std::vector<std::uint32_t> cuda_devices(const NodeSection& node) {
  std::vector<std::uint32_t> devices;
  if (!node.devices.starts_with('[')) return devices;
  bool inside = false;
  for (const char each : node.devices) {
    const bool digit = each >= '0' && each <= '9';
    if (digit && !inside) devices.push_back(0);
    if (digit) devices.back() = devices.back() * 10 + static_cast<std::uint32_t>(each - '0');
    inside = digit;
  }
  return devices;
}

bool uses_cuda(const Topology& topology) {
  return std::any_of(topology.pools.begin(), topology.pools.end(), [&](const PoolSection& pool) { return !cuda_devices(node_of(topology, pool)).empty(); });
}

const NodeSection& node_of(const Topology& topology, const PoolSection& pool) {
  return pool.node.empty() ? coordinator_node(topology) : named_node(topology, pool.node);
}

const std::string& interface_of(const Topology& topology, const PoolSection& pool) {
  const NodeSection& node = node_of(topology, pool);
  return node.interface.empty() ? topology.transport.interface : node.interface;
}

std::vector<WorkerSlot> worker_slots(const Topology& topology) {
  std::vector<WorkerSlot> slots;
  for (std::size_t pool = 0; pool < topology.pools.size(); ++pool)
    for (std::uint32_t replica = 0; replica < topology.pools[pool].replicas; ++replica)
      slots.push_back({topology.pools[pool].name + '-' + std::to_string(replica), pool, replica});
  return slots;
}

std::optional<WorkerSlot> find_worker(const Topology& topology, std::string_view name) {
  for (WorkerSlot& slot : worker_slots(topology))
    if (slot.name == name) return std::move(slot);
  return std::nullopt;
}

namespace {

// The larger of two sums over the pools of a node: of those whose workers prefill, and of those whose workers decode.
template <class Amount>
std::uint64_t larger_phase(const Topology& topology, const NodeSection& node, const Amount& amount) {
  std::uint64_t prefill = 0;
  std::uint64_t decode = 0;
  for (const PoolSection& pool : topology.pools) {
    if (&node_of(topology, pool) != &node) continue;
    if (pool.role != PoolRole::kDecode) prefill += amount(pool);
    if (pool.role != PoolRole::kPrefill) decode += amount(pool);
  }
  return std::max(prefill, decode);
}

}  // namespace

std::uint32_t worker_threads(const Topology& topology, const PoolSection& pool, std::uint32_t cores) {
  if (pool.threads != 0) return pool.threads;
  const std::uint64_t workers = larger_phase(topology, node_of(topology, pool), [](const PoolSection& each) { return std::uint64_t{each.replicas}; });
  return static_cast<std::uint32_t>(std::max<std::uint64_t>(1, cores / std::max<std::uint64_t>(1, workers)));
}

std::uint64_t threads_at_once(const Topology& topology, std::uint32_t cores) {
  return larger_phase(topology, coordinator_node(topology), [&](const PoolSection& each) { return std::uint64_t{each.replicas} * worker_threads(topology, each, cores); });
}

std::optional<std::uint32_t> first_core(const Topology& topology, const WorkerSlot& worker, std::uint32_t cores) {
  std::uint64_t before = 0;
  std::uint64_t all = 0;
  for (std::size_t i = 0; i < topology.pools.size(); ++i) {
    const PoolSection& pool = topology.pools[i];
    if (&node_of(topology, pool) != &node_of(topology, topology.pools[worker.pool])) continue;
    const std::uint64_t threads = worker_threads(topology, pool, cores);
    if (i < worker.pool) before += pool.replicas * threads;
    if (i == worker.pool) before += worker.replica * threads;
    all += pool.replicas * threads;
  }
  if (all > cores) return std::nullopt;
  return static_cast<std::uint32_t>(before);
}

}  // namespace baton
