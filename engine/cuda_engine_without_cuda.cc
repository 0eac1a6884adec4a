// SPDX-License-Identifier: Apache-2.0
// The engine of programs that were built where nvcc was not.
#include "engine/cuda_engine.h"

namespace baton {

Result<std::unique_ptr<CudaEngine>> make_cuda_engine(const CudaEngineOptions&) {
  return fail(ErrorCode::kUnavailable, "this program was built without CUDA: configure it where CUDA 13's nvcc is, with -DBATON_CUDA=ON, or give CPUs instead (nodes[].devices: cpu:1)");
}

}  // namespace baton
