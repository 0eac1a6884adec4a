// SPDX-License-Identifier: Apache-2.0
// What `baton bench kernels` and `baton bench engine` measure on a CUDA device: single ops, and the engine's tokens per
// second, at the shape of Llama-3.1-8B with weights made in place (uniform within +-1e-3), beside what the device gives at most in the
// same run: bytes per second of a plain read and of a copy, and cuBLASLt's 8192^3 product. Caller's thread. Takes about 60 GB of the
// device. A program without CUDA has these functions, too; they say so.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "benchmarks/measure.h"
#include "kernels/numerics.h"
#include "runtime/base/result.h"

namespace baton {

struct DeviceBenchOptions {
  std::uint32_t device = 0;
  std::uint32_t rounds = 7;
  std::vector<Numerics> numerics = {Numerics::kInvariant, Numerics::kFast};  // of the engine
};

struct DeviceBenchRow {
  std::string what, detail;
  Spread seconds;              // of one launch, or one step
  Spread rate;                 // in `unit` per second
  std::string unit;            // "bytes", "FLOP" or "tokens"
  double limit = 0;            // likewise; 0: none is known
  std::optional<Spread> peer;  // cuBLASLt's rate on the same operands
};

struct DeviceBenchReport {
  std::string device;
  Spread copy, read;  // bytes per second; a copy counts what is read and what is written
  Spread matmul;      // FLOP per second
  std::vector<DeviceBenchRow> rows;
};

// `progress` gets a line for people now and then.
Result<DeviceBenchReport> bench_device_kernels(const DeviceBenchOptions& options, const std::function<void(std::string_view)>& progress);
Result<DeviceBenchReport> bench_device_engine(const DeviceBenchOptions& options, const std::function<void(std::string_view)>& progress);

}  // namespace baton
