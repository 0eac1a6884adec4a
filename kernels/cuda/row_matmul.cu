// SPDX-License-Identifier: Apache-2.0
// Matrix products for few rows: bound by the weights' bytes. The weights are the tensor cores' 16-row operand, the
// activations' rows the 8-column one, so that 8 rows cost one instruction. A warp has 32 outputs and its block's range of the
// sum. Weights go from global memory into the very registers the tensor cores read, 256 bytes of each thread under way: within 32 columns the sum
// may run in any order that both operands share, so lane t of a quad takes columns 8t..8t+7 of a weight row in one load. Activations
// come through shared memory in chunks of 256 columns. Blocks of a cluster have neighbouring ranges of the sum and add
// them up through their shared memory, in order.
#include "kernels/cuda/launch.cuh"

#include "runtime/base/check.h"

namespace baton::cuda {
namespace {

constexpr std::uint32_t kThreads = 128;
constexpr std::uint32_t kTile = 128;       // weight rows of a block
constexpr std::uint32_t kStep = 64;        // columns of a weight load
constexpr std::uint32_t kChunkSteps = 4;   // of a chunk of activations
constexpr std::uint32_t kRowBytes = kChunkSteps * kStep * 2 + 64;  // so that 8 lanes' 16-byte reads meet in no bank
constexpr std::uint32_t kSumStride = kTile + 4;                    // floats
constexpr std::uint32_t kMostRows = 64;

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

// Four 16-byte pieces of two pairs of weight rows, and the same again 32 columns on.
struct WeightStep {
  uint4 piece[4][2];
};

template <int kEights>
struct Position {
  std::uint32_t first_row, begin, end;  // rows of x; steps of the sum
};

template <int kEights>
__device__ __forceinline__ void copy_chunk(const RowMatmul& op, const Position<kEights>& at, std::uint32_t chunk, unsigned char* to) {
  constexpr std::uint32_t kPieces = kChunkSteps * kStep / 8;
  const std::uint32_t first_column = (at.begin + chunk * kChunkSteps) * kStep;
#pragma unroll
  for (std::uint32_t i = 0; i < kEights * 8 * kPieces / kThreads; ++i) {
    const std::uint32_t index = threadIdx.x + i * kThreads;
    const std::uint32_t row = at.first_row + index / kPieces, column = first_column + index % kPieces * 8;
    const bool valid = row < op.rows && column < at.end * kStep;
    const Bf16* from = valid ? op.x + std::size_t{row} * op.columns + column : op.x;
    copy_async(shared_address(to + index / kPieces * kRowBytes + index % kPieces * 16), from, valid);
  }
}

template <int kEights>
__device__ __forceinline__ void multiply_step(float (&sums)[2][kEights][4], const WeightStep& w, const unsigned char* x) {
#pragma unroll
  for (int half = 0; half < 2; ++half) {
#pragma unroll
    for (int j = 0; j < kEights; ++j) {
      const uint4 b = *reinterpret_cast<const uint4*>(x + j * 8 * kRowBytes + half * 64);
#pragma unroll
      for (int tile = 0; tile < 2; ++tile) {
        const uint4 &low = w.piece[2 * tile][half], &high = w.piece[2 * tile + 1][half];
        mma(sums[tile][j], low.x, high.x, low.y, high.y, b.x, b.y);
        mma(sums[tile][j], low.z, high.z, low.w, high.w, b.z, b.w);
      }
    }
  }
}

template <int kEights>
__device__ __forceinline__ void store_sums(const float (&sums)[2][kEights][4], float* shared, bool gated) {
  const std::uint32_t lane = threadIdx.x % 32, warp = threadIdx.x / 32, g = lane / 4, t = lane % 4;
#pragma unroll
  for (int tile = 0; tile < 2; ++tile) {
    const std::uint32_t column = (gated ? tile * 64 + warp * 16 : warp * 32 + tile * 16) + g;
#pragma unroll
    for (int j = 0; j < kEights; ++j) {
      float* to = shared + (j * 8 + 2 * t) * kSumStride + column;
      to[0] = sums[tile][j][0];
      to[kSumStride] = sums[tile][j][1];
      to[8] = sums[tile][j][2];
      to[kSumStride + 8] = sums[tile][j][3];
    }
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
  constexpr std::uint32_t kOutputs = kGated ? kTile / 2 : kTile;
  const std::uint32_t quads = kOutputs / op.splits / 4;
  for (std::uint32_t index = threadIdx.x; index < kEights * 8 * quads; index += kThreads) {
    const std::uint32_t row = index / quads, column = blockIdx.x * quads * 4 + index % quads * 4;
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
__global__ void __launch_bounds__(kThreads, 3) multiply_rows(RowMatmul op) {
  extern __shared__ __align__(128) unsigned char shared[];
  constexpr std::uint32_t kChunkBytes = kEights * 8 * kRowBytes;
  const std::uint32_t lane = threadIdx.x % 32, warp = threadIdx.x / 32, g = lane / 4, t = lane % 4;
  const std::uint32_t steps = op.columns / kStep;
  const Position<kEights> at{blockIdx.z * kMostRows, steps * blockIdx.x / op.splits, steps * (blockIdx.x + 1) / op.splits};
  const unsigned char* rows[4];
#pragma unroll
  for (std::uint32_t i = 0; i < 4; ++i) {
    const std::uint32_t output = kGated ? blockIdx.y * 64 + warp * 16 + i % 2 * 8 + g : blockIdx.y * kTile + warp * 32 + i * 8 + g;
    const std::size_t row = (kGated ? i / 2 * op.outputs : 0) + min(output, op.outputs - 1);
    rows[i] = reinterpret_cast<const unsigned char*>(op.weights + row * op.columns) + t * 16;
  }
  const auto load = [&](WeightStep& w, std::uint32_t step) {
    if (step >= at.end) {
      w = {};
      return;
    }
#pragma unroll
    for (int i = 0; i < 4; ++i)
#pragma unroll
      for (int half = 0; half < 2; ++half) w.piece[i][half] = load_streaming(rows[i] + std::size_t{step} * kStep * 2 + half * 64);
  };
  let_next_begin();
  WeightStep even, odd;
  load(even, at.begin);
  load(odd, at.begin + 1);
  wait_for_previous();

  float sums[2][kEights][4] = {};
  const std::uint32_t chunks = (at.end - at.begin + kChunkSteps - 1) / kChunkSteps;
  copy_chunk<kEights>(op, at, 0, shared);
  commit_copies();
  for (std::uint32_t chunk = 0; chunk < chunks; ++chunk) {
    if (chunk + 1 < chunks) copy_chunk<kEights>(op, at, chunk + 1, shared + (chunk + 1) % 2 * kChunkBytes);
    commit_copies();
    wait_copies<1>();
    __syncthreads();
    const unsigned char* x = shared + chunk % 2 * kChunkBytes + g * kRowBytes + t * 16;
    const std::uint32_t step = at.begin + chunk * kChunkSteps;
#pragma unroll
    for (std::uint32_t pair = 0; pair < kChunkSteps; pair += 2) {
      multiply_step<kEights>(sums, even, x + pair * kStep * 2);
      load(even, step + pair + 2);
      multiply_step<kEights>(sums, odd, x + (pair + 1) * kStep * 2);
      load(odd, step + pair + 3);
    }
    __syncthreads();
  }
  auto* added = reinterpret_cast<float*>(shared);
  store_sums<kEights>(sums, added, kGated);
  meet_cluster();
  add_up<kEights, kGated>(op, at.first_row, added);
  if (op.splits > 1) meet_cluster();  // nobody leaves while others read its memory
}

template <int kEights, bool kGated>
void launch_rows(Stream stream, const RowMatmul& op) {
  constexpr std::size_t kShared = 2 * kEights * 8 * kRowBytes;
  static_assert(kShared >= kEights * 8 * kSumStride * sizeof(float));
  static const bool allowed = (allow_shared_memory(multiply_rows<kEights, kGated>, kShared), true);
  (void)allowed;
  const std::uint32_t tile = kGated ? kTile / 2 : kTile;
  const dim3 grid(op.splits, (op.outputs + tile - 1) / tile, (op.rows + kMostRows - 1) / kMostRows);
  launch("row_matmul", multiply_rows<kEights, kGated>, grid, dim3(kThreads), kShared, stream, op.splits, op);
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
  CHECK(op.columns % kStep == 0 && op.outputs % 16 == 0, "a matrix whose shape these kernels do not take");
  CHECK(op.splits == 1 || op.splits == 2 || op.splits == 4 || op.splits == 8);
  if (op.rows == 0) return;
  if (op.kind == MatmulOut::kGated) launch_kind<true>(stream, op);
  else launch_kind<false>(stream, op);
}

// Enough blocks to keep every multiprocessor reading, each with at least one chunk of the sum.
std::uint32_t row_matmul_splits(std::uint32_t outputs, std::uint32_t columns, MatmulOut kind) {
  constexpr std::uint32_t kEnoughBlocks = 200;
  const std::uint32_t tile = kind == MatmulOut::kGated ? kTile / 2 : kTile;
  const std::uint32_t tiles = (outputs + tile - 1) / tile;
  std::uint32_t splits = 1;
  while (splits < 8 && tiles * splits < kEnoughBlocks && columns / kStep >= 2 * splits * kChunkSteps) splits *= 2;
  return splits;
}

}  // namespace baton::cuda
