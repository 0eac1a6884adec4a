// SPDX-License-Identifier: Apache-2.0
// What `baton bench engine` measures: tokens per second of the CPU engine, of llama.cpp on the same file with the same
// threads, batch and context, and what the machine allows at most, all in the same rounds: in each round limit, ours and the
// peer follow one another, and ratios are taken pair by pair. Runs on the caller's thread and kernel threads of its own.
// The limit of a row is the lower of two: the read bandwidth of the same threads over memory as large as the weights, with
// the KV read on top, and the integer peak with the operations that a token needs (`invariant` multiplies each weight twice).
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "benchmarks/measure.h"
#include "kernels/numerics.h"
#include "runtime/base/result.h"

namespace baton {

struct EngineBenchOptions {
  std::string model_path = {};
  std::vector<Numerics> numerics = {Numerics::kInvariant};
  std::vector<std::uint32_t> threads = {1, 2};
  std::uint32_t rounds = 5;
  std::string peer_folder = {};  // of llama.cpp's programs; empty: no peer
  bool neighbour = false;   // each row again beside a busy process
};

// One kind of work, one number of threads, one numerics. Rates in tokens per second of all sequences together.
struct EngineBenchRow {
  std::string what;
  std::uint32_t threads = 1;
  std::string numerics;
  std::vector<double> ours, peer;                      // of each round
  std::vector<double> ours_disturbed, peer_disturbed;  // the same beside a busy neighbour
  std::vector<double> limit;
  Spread ours_per_cpu_second;
  std::string limited_by;                              // "read bandwidth", "integer peak" or ""

  Spread ratio() const { return spread_of(ratios(ours, peer)); }
  Spread of_limit() const { return spread_of(ratios(ours, limit)); }
  Spread peer_of_limit() const { return spread_of(ratios(peer, limit)); }
  Spread loss() const { return spread_of(ratios(ours, ours_disturbed)); }  // 2: half as fast beside the neighbour
  Spread peer_loss() const { return spread_of(ratios(peer, peer_disturbed)); }
};

// Of one number of threads.
struct EngineBenchLimits {
  std::uint32_t threads = 1;
  Spread read_bytes_per_second;
  Spread integer_ops_per_second;
  std::string peer_switches;  // that were best here
};

struct EngineBenchReport {
  std::string model;
  std::string cpu;
  std::string kernels;       // "avx2", …
  std::string peak_instruction;
  std::string peer;          // with its version; "" without one
  double load_before = 0;    // load average of one minute: of others, mostly
  std::uint64_t weight_bytes = 0;
  std::uint64_t weights = 0;
  std::vector<EngineBenchLimits> limits;
  std::vector<EngineBenchRow> rows;
};

// `progress` gets a line for people now and then.
Result<EngineBenchReport> bench_engine(const EngineBenchOptions& options, const std::function<void(std::string_view)>& progress);

}  // namespace baton
