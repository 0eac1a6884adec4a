// SPDX-License-Identifier: Apache-2.0
// Matrix products for few rows: bound by the weights' bytes. The weights are the tensor cores' 64-row operand, the
// activations' rows the 8 to 64 columns. A block has 128 weight rows and a range of the sum: one warp has the tensor memory
// accelerator fetch steps of 64 columns of both, some ahead; two warpgroups multiply. Weights do not depend on the kernel before, so their
// first steps are asked for while that one still runs. Blocks of a cluster have neighbouring ranges of the sum and add them up through
// their shared memory, in order.
#include <algorithm>

#include "kernels/cuda/launch.cuh"
#include "kernels/cuda/tensor_map.cuh"
#include "kernels/cuda/wgmma.cuh"
#include "runtime/base/check.h"

namespace baton::cuda {
namespace {

constexpr std::uint32_t kGroup = 128;               // threads of a warpgroup
constexpr std::uint32_t kThreads = 2 * kGroup + 32; // the last warp fetches
constexpr std::uint32_t kTile = 128;                // weight rows of a block
constexpr std::uint32_t kStep = 64;                 // columns of a fetch
constexpr std::uint32_t kWeightBytes = kTile * kStep * 2;
constexpr std::uint32_t kSumStride = kTile + 4;     // floats
constexpr std::uint32_t kMostRows = 64;
constexpr std::uint32_t kMostSplits = 8;            // a portable cluster

template <int kEights>
constexpr std::uint32_t kStageBytes = kWeightBytes + kEights * 8 * kStep * 2;
// Three blocks fit on a multiprocessor, of which two are of one launch: the next one's can fetch while they end. Measured best of
// two (deeper stages), three and four.
constexpr std::uint32_t kBlocks = 3;
template <int kEights>
constexpr std::uint32_t kStages = 73 * 1024 / kStageBytes<kEights>;

__device__ __forceinline__ void meet_cluster() {
  asm volatile("barrier.cluster.arrive.release.aligned;\nbarrier.cluster.wait.acquire.aligned;" ::: "memory");
}
__device__ __forceinline__ float4 load_of_rank(std::uint32_t address, std::uint32_t rank) {
  std::uint32_t there;
  asm volatile("mapa.shared::cluster.u32 %0, %1, %2;" : "=r"(there) : "r"(address), "r"(rank));
  float4 value;
  asm volatile("ld.shared::cluster.v4.f32 {%0,%1,%2,%3}, [%4];" : "=f"(value.x), "=f"(value.y), "=f"(value.z), "=f"(value.w) : "r"(there));
  return value;
}
__device__ __forceinline__ void add(float4& sum, float4 more) {
  sum.x += more.x, sum.y += more.y, sum.z += more.z, sum.w += more.w;
}
__device__ __forceinline__ float silu(float x) { return x / (1.0F + __expf(-x)); }

template <int kEights>
struct Barriers {
  std::uint64_t full[kStages<kEights>], empty[kStages<kEights>];
};

struct Work {
  std::uint32_t first_row, begin, steps;        // rows of x; of the sum, in steps
  std::uint32_t first_weights, second_weights;  // weight rows of the two warpgroups
};

// One lane.
template <int kEights>
__device__ __forceinline__ void fetch(const CUtensorMap& weights, const CUtensorMap& x, const Work& work, Barriers<kEights>& barriers, std::uint32_t stages) {
  constexpr std::uint32_t kCount = kStages<kEights>;
  const auto fetch_weights = [&](std::uint32_t step) {
    const std::uint32_t stage = step % kCount, to = stages + stage * kStageBytes<kEights>, column = (work.begin + step) * kStep;
    arrive_and_expect(&barriers.full[stage], kStageBytes<kEights>);
    fetch_box(weights, to, column, work.first_weights, &barriers.full[stage]);
    fetch_box(weights, to + kWeightBytes / 2, column, work.second_weights, &barriers.full[stage]);
  };
  const auto fetch_rows = [&](std::uint32_t step) {
    const std::uint32_t stage = step % kCount;
    fetch_box(x, stages + stage * kStageBytes<kEights> + kWeightBytes, (work.begin + step) * kStep, work.first_row, &barriers.full[stage]);
  };
  const std::uint32_t ahead = min(work.steps, kCount);
  for (std::uint32_t step = 0; step < ahead; ++step) fetch_weights(step);
  wait_for_previous();
  for (std::uint32_t step = 0; step < ahead; ++step) fetch_rows(step);
  for (std::uint32_t step = ahead; step < work.steps; ++step) {
    wait(&barriers.empty[step % kCount], (step / kCount - 1) & 1);
    fetch_weights(step);
    fetch_rows(step);
  }
}

// A warpgroup's 64 weight rows with all rows of x.
template <int kEights>
__device__ __forceinline__ void multiply(float (&sums)[kEights * 4], const Work& work, Barriers<kEights>& barriers, std::uint32_t stages) {
  constexpr std::uint32_t kCount = kStages<kEights>;
  const std::uint32_t group = threadIdx.x / kGroup;
  const bool speaks = threadIdx.x % kGroup == 0;
  for (std::uint32_t step = 0; step < work.steps; ++step) {
    const std::uint32_t stage = step % kCount, at = stages + stage * kStageBytes<kEights>;
    wait(&barriers.full[stage], (step / kCount) & 1);
    begin_multiply();
#pragma unroll
    for (int k = 0; k < 4; ++k) multiply_shared(sums, along_rows(at + group * (kWeightBytes / 2) + k * 32), along_rows(at + kWeightBytes + k * 32), 1);
    commit_multiply();
    wait_multiply<1>();
    if (speaks && step != 0) arrive(&barriers.empty[(step - 1) % kCount]);
  }
  wait_multiply<0>();
}

template <int kEights>
__device__ __forceinline__ void store_sums(const float (&sums)[kEights * 4], float* shared) {
  const std::uint32_t lane = threadIdx.x % 32, column = threadIdx.x / 32 * 16 + lane / 4, t = lane % 4;
#pragma unroll
  for (int j = 0; j < kEights; ++j) {
    float* to = shared + (j * 8 + 2 * t) * kSumStride + column;
    to[0] = sums[4 * j];
    to[kSumStride] = sums[4 * j + 1];
    to[8] = sums[4 * j + 2];
    to[kSumStride + 8] = sums[4 * j + 3];
  }
}

__device__ __forceinline__ void write_out(const RowMatmul& op, std::size_t index, float4 sum, float4 up) {
  switch (op.kind) {
    case MatmulOut::kGated:
      sum = make_float4(silu(sum.x) * up.x, silu(sum.y) * up.y, silu(sum.z) * up.z, silu(sum.w) * up.w);
      [[fallthrough]];
    case MatmulOut::kBf16: *reinterpret_cast<uint2*>(static_cast<Bf16*>(op.out) + index) = make_uint2(pack(sum.x, sum.y), pack(sum.z, sum.w)); break;
    case MatmulOut::kAddFloat: add(sum, *reinterpret_cast<const float4*>(static_cast<float*>(op.out) + index)); [[fallthrough]];
    case MatmulOut::kFloat: *reinterpret_cast<float4*>(static_cast<float*>(op.out) + index) = sum; break;
  }
}

// Every block of the cluster adds up its share of the tile's outputs over all of them.
template <int kEights, bool kGated>
__device__ __forceinline__ void add_up(const RowMatmul& op, std::uint32_t first_row, const float* shared) {
  constexpr std::uint32_t kOutputs = kGated ? kTile / 2 : kTile, kQuads = kOutputs / 4;
  const std::uint32_t begin = kQuads * blockIdx.x / op.splits, quads = kQuads * (blockIdx.x + 1) / op.splits - begin;
  for (std::uint32_t index = threadIdx.x; index < kEights * 8 * quads; index += kThreads) {
    const std::uint32_t row = index / quads, column = (begin + index % quads) * 4;
    const std::uint32_t output = blockIdx.y * kOutputs + column;
    if (first_row + row >= op.rows || output >= op.outputs) continue;
    const std::uint32_t address = shared_address(shared + row * kSumStride + column);
    float4 sum = make_float4(0, 0, 0, 0), up = sum;
    for (std::uint32_t rank = 0; rank < op.splits; ++rank) {
      add(sum, load_of_rank(address, rank));
      if constexpr (kGated) add(up, load_of_rank(address + 64 * sizeof(float), rank));
    }
    write_out(op, std::size_t{first_row + row} * op.outputs + output, sum, up);
  }
}

template <int kEights, bool kGated>
__global__ void __launch_bounds__(kThreads, kBlocks) multiply_rows(const __grid_constant__ CUtensorMap weights, const __grid_constant__ CUtensorMap x, RowMatmul op) {
  extern __shared__ __align__(1024) unsigned char shared[];
  __shared__ Barriers<kEights> barriers;
  if (threadIdx.x == 0) {
    for (std::uint32_t stage = 0; stage < kStages<kEights>; ++stage) prepare(&barriers.full[stage], 1), prepare(&barriers.empty[stage], 2);
    show_barriers();
  }
  __syncthreads();
  let_next_begin();
  const std::uint32_t steps = op.columns / kStep, begin = steps * blockIdx.x / op.splits;
  const std::uint32_t tile = blockIdx.y * (kGated ? kTile / 2 : kTile);
  const Work work{blockIdx.z * kMostRows, begin, steps * (blockIdx.x + 1) / op.splits - begin, tile, kGated ? op.outputs + tile : tile + kTile / 2};
  const std::uint32_t stages = shared_address(shared);
  auto* added = reinterpret_cast<float*>(shared);
  float sums[kEights * 4] = {};
  if (threadIdx.x >= 2 * kGroup) {
    if (threadIdx.x == 2 * kGroup) fetch<kEights>(weights, x, work, barriers, stages);
  } else {
    multiply<kEights>(sums, work, barriers, stages);
  }
  wait_for_previous();  // what add_up() reads and writes is of kernels before
  __syncthreads();      // the stages are no longer read
  if (threadIdx.x < 2 * kGroup) store_sums<kEights>(sums, added);
  meet_cluster();
  add_up<kEights, kGated>(op, work.first_row, added);
  if (op.splits > 1) meet_cluster();  // nobody leaves while others read its memory
}

template <int kEights, bool kGated>
void launch_rows(Stream stream, const RowMatmul& op) {
  constexpr std::size_t kShared = kStages<kEights> * kStageBytes<kEights>;
  static_assert(kShared >= kEights * 8 * kSumStride * sizeof(float));
  static const bool allowed = (allow_shared_memory(multiply_rows<kEights, kGated>, kShared), true);
  (void)allowed;
  const std::uint32_t tile = kGated ? kTile / 2 : kTile;
  const dim3 grid(op.splits, (op.outputs + tile - 1) / tile, (op.rows + kMostRows - 1) / kMostRows);
  const CUtensorMap weights = map_matrix(op.weights, std::size_t{op.outputs} * (kGated ? 2 : 1), op.columns, kTile / 2), x = map_matrix(op.x, op.rows, op.columns, kEights * 8);
  launch("row_matmul", multiply_rows<kEights, kGated>, grid, dim3(kThreads), kShared, stream, op.splits, weights, x, op);
}

template <bool kGated>
void launch_kind(Stream stream, const RowMatmul& op) {
  if (op.rows <= 8) launch_rows<1, kGated>(stream, op);
  else if (op.rows <= 16) launch_rows<2, kGated>(stream, op);
  else if (op.rows <= 32) launch_rows<4, kGated>(stream, op);
  else launch_rows<8, kGated>(stream, op);
}

}  // namespace

void row_matmul(Stream stream, const RowMatmul& op) {
  const bool gated = op.kind == MatmulOut::kGated;
  CHECK(op.columns % kStep == 0 && op.outputs % (gated ? 64 : 16) == 0, "a matrix whose shape these kernels do not take");
  CHECK(op.splits >= 1 && op.splits <= kMostSplits && op.splits <= op.columns / kStep);
  if (op.rows == 0) return;
  if (gated) launch_kind<true>(stream, op);
  else launch_kind<false>(stream, op);
}

// So that the blocks that run at once all have the same share; a number of the H100 and H200, and no fact of the machine.
std::uint32_t row_matmul_splits(std::uint32_t outputs, std::uint32_t columns, MatmulOut kind) {
  constexpr std::uint32_t kBlocksAtOnce = 264, kLeastSteps = 8;
  const std::uint32_t tile = kind == MatmulOut::kGated ? kTile / 2 : kTile;
  const std::uint32_t tiles = (outputs + tile - 1) / tile, steps = columns / kStep;
  std::uint32_t best = 1, least = ~0u;
  for (std::uint32_t splits = 1; splits <= std::min(kMostSplits, std::max(1u, steps / kLeastSteps)); ++splits) {
    const std::uint32_t rounds = (tiles * splits + kBlocksAtOnce - 1) / kBlocksAtOnce, cost = rounds * ((steps + splits - 1) / splits);
    if (cost < least) best = splits, least = cost;
  }
  return best;
}

}  // namespace baton::cuda
