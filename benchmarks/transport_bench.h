// SPDX-License-Identifier: Apache-2.0
// What `baton bench transport` runs: the rate at which the data plane moves scattered pieces between two pools of this
// process, over shared memory and over TCP, beside memcpy of the same pieces, UCX over TCP, and one stream of iperf3 over the
// same interface, all in turn within one run. Two data threads a path and the caller's; bounded by `pool_bytes`.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "benchmarks/measure.h"
#include "runtime/base/result.h"

namespace baton {

// One block of 16 tokens: SmolLM2-135M in float16 (30 layers, 3 KV heads of 64), and an 8B Llama in 16 bits (32, 8 of 128).
inline constexpr std::uint64_t kSmallModelBlock = 368'640;
inline constexpr std::uint64_t kLargeModelBlock = 2 << 20;

struct TransportBenchOptions {
  std::string interface_name = "lo";
  std::vector<std::uint64_t> piece_bytes = {4 << 10,          16 << 10, 64 << 10,         256 << 10,
                                            kSmallModelBlock, 1 << 20,  kLargeModelBlock, 4 << 20};
  std::uint64_t pool_bytes = 256 << 20;  // each side; every second piece of it is moved
  std::uint32_t rounds = 5;              // and one before them that does not count
  std::string iperf3;                    // the program; empty: no such column
};

struct TransportBenchRow {
  std::uint64_t piece_bytes = 0;
  std::uint64_t pieces = 0;
  // GB/s
  Spread copy;
  Spread shm;
  Spread tcp;
  Spread ucx_tcp;
  Spread iperf3;
  // Round by round
  Spread shm_of_copy;
  Spread tcp_of_iperf3;
};

struct TransportBenchReport {
  std::string congestion_control;  // of a new TCP socket here
  std::string shm_by;              // what carried the bytes, as the data planes tell
  std::string tcp_by;
  std::vector<TransportBenchRow> rows;
};

Result<TransportBenchReport> bench_transport(const TransportBenchOptions& options,
                                             const std::function<void(std::string_view)>& watch);

}  // namespace baton
