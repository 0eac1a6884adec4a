// SPDX-License-Identifier: Apache-2.0
// Hopper's tensor memory accelerator: maps of bfloat16 matrices in global memory, from which it fetches boxes of 64 columns into shared memory
// as wgmma.cuh's panels, and the barriers that count their bytes. For .cu files alone; internal linkage.
#pragma once

#include <cuda.h>

#include "kernels/cuda/launch.cuh"
#include "runtime/base/check.h"

namespace baton::cuda {
namespace {

// Boxes of `box_rows` rows (at most 256); rows past the end read as zeros.
inline CUtensorMap map_matrix(const void* data, std::size_t rows, std::uint32_t columns, std::uint32_t box_rows) {
  using Encode = decltype(&cuTensorMapEncodeTiled);
  static const Encode encode = [] {
    void* function = nullptr;
    cudaDriverEntryPointQueryResult found = cudaDriverEntryPointSymbolNotFound;
    require_success(cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &function, 12000, cudaEnableDefault, &found), "cuTensorMapEncodeTiled");
    CHECK(found == cudaDriverEntryPointSuccess, "the driver does not know tensor maps: install one of CUDA 13");
    return reinterpret_cast<Encode>(function);
  }();
  CUtensorMap map;
  const cuuint64_t size[2] = {columns, rows}, stride[1] = {std::size_t{columns} * 2};
  const cuuint32_t box[2] = {64, box_rows}, step[2] = {1, 1};
  const CUresult result = encode(&map, CU_TENSOR_MAP_DATA_TYPE_BFLOAT16, 2, const_cast<void*>(data), size, stride, box, step, CU_TENSOR_MAP_INTERLEAVE_NONE,
                                 CU_TENSOR_MAP_SWIZZLE_128B, CU_TENSOR_MAP_L2_PROMOTION_L2_256B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
  CHECK(result == CUDA_SUCCESS, "a matrix that no tensor map describes");
  return map;
}

// One box into a panel; its bytes are counted by the barrier.
__device__ __forceinline__ void fetch_box(const CUtensorMap& map, std::uint32_t to, std::uint32_t column, std::uint32_t row, std::uint64_t* barrier) {
  asm volatile("cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1, {%2, %3}], [%4];" ::"r"(to), "l"(&map), "r"(column), "r"(row),
               "r"(shared_address(barrier))
               : "memory");
}

// Barriers in shared memory.
__device__ __forceinline__ void prepare(std::uint64_t* barrier, std::uint32_t arrivals) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(shared_address(barrier)), "r"(arrivals) : "memory");
}
// Behind the last prepare(): the accelerator and other threads see them after the next barrier.
__device__ __forceinline__ void show_barriers() { asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory"); }
__device__ __forceinline__ void arrive(std::uint64_t* barrier) {
  asm volatile("{.reg .b64 state; mbarrier.arrive.shared::cta.b64 state, [%0];}" ::"r"(shared_address(barrier)) : "memory");
}
__device__ __forceinline__ void arrive_and_expect(std::uint64_t* barrier, std::uint32_t bytes) {
  asm volatile("{.reg .b64 state; mbarrier.arrive.expect_tx.shared::cta.b64 state, [%0], %1;}" ::"r"(shared_address(barrier)), "r"(bytes) : "memory");
}
// Waits for the end of the barrier's phase of that parity.
__device__ __forceinline__ void wait(std::uint64_t* barrier, std::uint32_t parity) {
  asm volatile(
      "{.reg .pred done;\n"
      "again_%=: mbarrier.try_wait.parity.shared::cta.b64 done, [%0], %1;\n"
      "@done bra.uni out_%=;\n"
      "bra.uni again_%=;\n"
      "out_%=: }" ::"r"(shared_address(barrier)),
      "r"(parity)
      : "memory");
}

}  // namespace
}  // namespace baton::cuda
