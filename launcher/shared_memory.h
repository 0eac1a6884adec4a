// SPDX-License-Identifier: Apache-2.0
// Whether KV can go over shared memory on this machine. UCX ends with a segmentation fault where /dev/shm is full, so what
// will not fit is not tried. Any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "config/topology.h"

namespace baton {

// What the pools of all workers and the connections between them want of shared memory.
std::uint64_t shared_memory_wanted(const Topology& topology);

// Why KV should go over TCP although the topology lists shm, and what to do about it; nothing if shm is fine or not listed.
// The size counts and not what is free, so that all workers of a cluster come to the same answer.
std::optional<std::string> why_no_shared_memory(const Topology& topology, std::uint64_t shm_bytes);

// Size of /dev/shm; 0 if there is none.
std::uint64_t shm_size();

}  // namespace baton
