// SPDX-License-Identifier: Apache-2.0
// The CPU engine's speed in tokens per second beside the machine's limit: prefill of 512 tokens, decode at batch 1 and 8,
// and the read bandwidth of the same number of threads measured in the same run (decode reads every weight once a step).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kernels/numerics.h"

namespace baton {

struct EngineBenchOptions {
  std::string model_path;
  Numerics numerics = Numerics::kInvariant;
  std::vector<std::uint32_t> threads = {1, 2};
  std::uint32_t prefill_tokens = 512;
  std::uint32_t decode_steps = 32;
  bool scalar_kernels = false;
};

// Prints one line per measurement to standard output. 0, or 1 with the reason on standard error.
int bench_engine(const EngineBenchOptions& options);

}  // namespace baton
