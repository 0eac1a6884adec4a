// SPDX-License-Identifier: Apache-2.0
// What `baton bench kernels` measures: single ops of the CPU engine at the shapes of a model, beside what the machine allows
// in the same round, and matmuls beside ggml's: the peak of its multiplications in registers, and the read bandwidth of memory as large as what the op
// touches (all of it cold, or in the cache it fits into). Runs on the caller's thread and kernel threads of its own.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "benchmarks/kernel_cases.h"
#include "benchmarks/measure.h"
#include "runtime/base/result.h"
#include "runtime/base/time.h"

namespace baton {

struct KernelsBenchOptions {
  std::string model_path = {};           // its shapes; empty: `shapes` alone
  std::string peer_folder = {};          // holds ggml-matmul (tools/get_llama_cpp.sh); empty: no peer
  std::vector<MatrixShape> shapes = {};
  Numerics numerics = Numerics::kInvariant;
  std::uint32_t threads = 1;
  std::uint32_t rounds = 5;
  std::size_t cold_bytes = kColdBytes;   // weights are cold when copies of them fill so much
  Duration sample = std::chrono::milliseconds(20);  // runs are repeated for so long, at least
};

struct KernelsBenchRow {
  std::string op, shape, weights;
  std::uint32_t tokens = 1;
  Spread seconds;               // of one run
  bool counts_bytes = false;    // rate and limit are bytes/s, else operations/s
  Spread rate;
  Spread limit;
  Spread of_limit;
  std::string limited_by;
  std::optional<Spread> peer;   // ggml's rate; of matmuls
  std::optional<Spread> ratio;  // ours to the peer's, round by round
};

// "4096x1024" or "4096x1024:Q8_0".
Result<MatrixShape> parse_shape(std::string_view text);

Result<std::vector<KernelsBenchRow>> bench_kernels(const KernelsBenchOptions& options, const std::function<void(std::string_view)>& progress);

}  // namespace baton
