// SPDX-License-Identifier: Apache-2.0
#include "launcher/shared_memory.h"

#include <sys/statvfs.h>

#include <algorithm>

#include "config/units.h"

namespace baton {
namespace {

constexpr std::uint64_t kConnectionEnd = std::uint64_t{16} << 20;  // measured: UCX takes 13 MiB at each end

}  // namespace

std::uint64_t shared_memory_wanted(const Topology& topology) {
  std::uint64_t workers = 0, prefill = 0, decode = 0;
  for (const PoolSection& pool : topology.pools) {
    workers += pool.replicas;
    if (pool.role != PoolRole::kDecode) prefill += pool.replicas;
    if (pool.role != PoolRole::kPrefill) decode += pool.replicas;
  }
  return workers * topology.kv_cache.memory + 2 * prefill * decode * kConnectionEnd;
}

std::optional<std::string> why_no_shared_memory(const Topology& topology, std::uint64_t shm_bytes) {
  const auto& order = topology.transport.order;
  if (std::find(order.begin(), order.end(), TransportOption::kShm) == order.end()) return std::nullopt;
  const std::uint64_t wanted = shared_memory_wanted(topology);
  if (wanted <= shm_bytes) return std::nullopt;
  return "/dev/shm has " + format_bytes(shm_bytes) + ", shared memory would want " + format_bytes(wanted) +
         ": enlarge it (docker run --shm-size), or lower kv_cache.memory";
}

std::uint64_t shm_size() {
  struct statvfs facts {};
  return statvfs("/dev/shm", &facts) == 0 ? std::uint64_t{facts.f_blocks} * facts.f_frsize : 0;
}

}  // namespace baton
