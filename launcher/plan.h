// SPDX-License-Identifier: Apache-2.0
// Plan: what a topology would take and give before anything is started: which process runs where, the memory of each by item,
// tokens of KV, jobs at once, and how long KV travels. Needs no device and no running cluster; of the model only the header is
// read. Pure but for that. Figures of this machine come in as MachineFacts.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "config/topology.h"
#include "kernels/kv_geometry.h"
#include "runtime/base/result.h"

namespace baton {

struct MachineFacts {
  std::uint32_t cores = 1;
  std::uint64_t memory = 0;     // bytes; 0: not known
  std::uint64_t shm_bytes = 0;  // of /dev/shm
};

// GB/s of one stream of blocks as measured on two cores of a virtual machine (benchmarks/results/2026-11-23-first-light.md,
// 368,640 byte pieces): what an estimate can start from. `baton bench transport` measures this machine.
inline constexpr double kShmGigabytesPerSecond = 16.75;
inline constexpr double kTcpGigabytesPerSecond = 5.26;

struct PlannedProcess {
  std::string name;  // "coordinator", "decode-0"
  std::string node;
  std::string role;                         // "-" for the coordinator
  std::string device;                       // "cpu", "cuda 0"; "-"
  std::uint32_t threads = 0;                // of kernels
  std::optional<std::uint32_t> first_core;  // set if its threads have cores of their own
  std::uint64_t kv_bytes = 0;
  std::uint64_t workspace_bytes = 0;  // an estimate
};

struct PlannedTransfer {
  std::string from, to;  // pools
  std::string transport;
  double gigabytes_per_second = 0;
  double seconds_per_1k_tokens = 0;
};

struct Plan {
  std::vector<PlannedProcess> processes;  // the coordinator first
  KvGeometry geometry;
  std::uint64_t weight_bytes = 0;   // once for all workers of the machine
  std::uint64_t total_bytes = 0;    // weights, KV and workspace of all processes
  std::uint64_t machine_bytes = 0;  // 0: not known
  std::uint32_t context = 0;        // tokens of prompt and answer together
  std::uint32_t blocks_per_worker = 0;
  struct Pool {
    std::string name, role;
    std::uint64_t kv_tokens = 0;                             // of all its workers
    std::uint64_t jobs_at_full_context = 0, jobs_at_1k = 0;  // bounded by max_num_seqs as well
  };
  std::vector<Pool> pools;
  std::vector<PlannedTransfer> transfers;
  bool fits() const { return machine_bytes == 0 || total_bytes <= machine_bytes; }
};

// The error says what is wrong with the model, or that KV memory holds no block.
Result<Plan> make_plan(const Topology& topology, const MachineFacts& machine);

std::string plan_text(const Topology& topology, const Plan& plan);
std::string plan_json(const Topology& topology, const Plan& plan);

// Of the machine this runs on.
MachineFacts machine_facts();

}  // namespace baton
