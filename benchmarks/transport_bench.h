// SPDX-License-Identifier: Apache-2.0
// What `baton bench transport` runs: the rate at which the UCX data plane moves scattered pieces between two pools of this
// process, over shared memory and over TCP, beside memcpy in the same run. Prints one plain table with the conditions that
// decide the result (interface, TCP congestion control, cores). Two data threads and the caller's; bounded by `pool_bytes`.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace baton {

struct TransportBenchOptions {
  std::string interface_name = "lo";
  std::vector<std::uint64_t> piece_bytes = {64 << 10, 368'640, 2 << 20};
  std::uint64_t pool_bytes = 256 << 20;  // each side; every second piece of it is moved
  std::uint32_t repeats = 5;             // the median is printed
};

// The process's exit code.
int bench_transport(const TransportBenchOptions& options = {});

}  // namespace baton
