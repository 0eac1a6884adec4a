// SPDX-License-Identifier: Apache-2.0
#include "benchmarks/device_bench.h"

namespace baton {
namespace {

tl::unexpected<Error> no_cuda() { return fail(ErrorCode::kUnavailable, "this program was built without CUDA: configure it where CUDA 13's nvcc is, with -DBATON_CUDA=ON"); }

}  // namespace

Result<DeviceBenchReport> bench_device_kernels(const DeviceBenchOptions&, const std::function<void(std::string_view)>&) { return no_cuda(); }
Result<DeviceBenchReport> bench_device_engine(const DeviceBenchOptions&, const std::function<void(std::string_view)>&) { return no_cuda(); }

}  // namespace baton
