// SPDX-License-Identifier: Apache-2.0
// The CUDA device's side of `baton bench kernels` and `baton bench engine`.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>

#include "benchmarks/device_bench.h"

namespace baton {

// 0 of "cuda:0"; nothing of any other text.
std::optional<std::uint32_t> cuda_device_of(std::string_view text);

using DeviceBench = Result<DeviceBenchReport> (*)(const DeviceBenchOptions& options, const std::function<void(std::string_view)>& progress);
int run_device_bench(const char* command, DeviceBench bench, const DeviceBenchOptions& options, bool as_json);

}  // namespace baton
