// SPDX-License-Identifier: Apache-2.0
// Attention of prompt chunks over all that is stored of their sequences, the chunk itself included: flash attention on
// tensor cores. A block of four warps has a tile of 64 rows, which are neighbouring tokens with all query heads of one KV head, and walks K and
// V in tiles of 64 tokens, which cp.async gathers from the blocks of the pool while the tile before is computed.
#include "kernels/cuda/launch.cuh"

#include "runtime/base/check.h"

namespace baton::cuda {
namespace {

constexpr std::uint32_t kThreads = 128;
constexpr std::uint32_t kRows = 64;
constexpr std::uint32_t kTokens = 64;
constexpr float kLog2E = 1.4426950408889634F;

// Row r of a tile in shared memory: its 16-byte pieces are exchanged by the low bits of r, so that 8 rows' same piece lie in 8 bank groups.
template <int kDim>
__device__ __forceinline__ std::uint32_t offset_of(std::uint32_t row, std::uint32_t piece) {
  return row * kDim * 2 + ((piece ^ (row & 7)) * 16);
}
__device__ __forceinline__ void load_matrices(std::uint32_t (&r)[4], std::uint32_t address) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];" : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(address) : "memory");
}
__device__ __forceinline__ void load_transposed(std::uint32_t (&r)[4], std::uint32_t address) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];" : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(address) : "memory");
}

struct Place {
  PromptTile tile;
  std::uint32_t kv_head, group, end;  // end: tokens of K and V that this tile may see
};

template <int kDim>
__device__ __forceinline__ void copy_queries(const PromptAttention& op, const Place& place, std::uint32_t to) {
  constexpr std::uint32_t kPieces = kDim / 8;
  for (std::uint32_t i = threadIdx.x; i < kRows * kPieces; i += kThreads) {
    const std::uint32_t row = i / kPieces, piece = i % kPieces;
    const bool valid = row < place.tile.tokens * place.group;
    const std::size_t at = valid ? std::size_t{place.tile.first_row + row / place.group} * op.qkv_stride + (place.kv_head * place.group + row % place.group) * kDim + piece * 8 : 0;
    copy_async(to + offset_of<kDim>(row, piece), op.qkv + at, valid);
  }
}

// K and V of tokens [first, first + 64); zeros past the end.
template <int kDim>
__device__ __forceinline__ void copy_tokens(const PromptAttention& op, const Place& place, const std::uint32_t* table, std::uint32_t first, std::uint32_t keys, std::uint32_t values) {
  constexpr std::uint32_t kPieces = kDim / 8;
  const KvGeometry& geometry = op.paged.geometry;
  const std::size_t offset = geometry.row_offset(place.kv_head, op.layer, false, 0), block_bytes = geometry.block_bytes(), plane = geometry.plane_bytes();
#pragma unroll 4
  for (std::uint32_t i = threadIdx.x; i < kTokens * kPieces; i += kThreads) {
    const std::uint32_t row = i / kPieces, piece = i % kPieces, token = first + row;
    const bool valid = token < place.end;
    const std::byte* from = op.paged.pool;
    if (valid) from += table[token / geometry.block_tokens] * block_bytes + offset + token % geometry.block_tokens * (kDim * 2) + piece * 16;
    copy_async(keys + offset_of<kDim>(row, piece), from, valid);
    copy_async(values + offset_of<kDim>(row, piece), from + (valid ? plane : 0), valid);
  }
}

// A warp's 16 rows: in lane (g, t) rows g and g + 8, columns 2t and 2t + 1 of each eight.
template <int kDim>
struct Running {
  float values[kDim / 8][4] = {};
  float largest[2] = {-1e30F, -1e30F};
  float sum[2] = {};
};

template <int kDim>
__device__ __forceinline__ void score(float (&scores)[8][4], const std::uint32_t (&queries)[kDim / 16][4], std::uint32_t keys) {
  const std::uint32_t lane = threadIdx.x % 32;
#pragma unroll
  for (int k = 0; k < kDim / 16; ++k)
#pragma unroll
    for (int pair = 0; pair < 4; ++pair) {
      std::uint32_t b[4];
      load_matrices(b, keys + offset_of<kDim>(pair * 16 + lane / 16 * 8 + lane % 8, k * 2 + lane / 8 % 2));
      mma(scores[2 * pair], queries[k][0], queries[k][1], queries[k][2], queries[k][3], b[0], b[1]);
      mma(scores[2 * pair + 1], queries[k][0], queries[k][1], queries[k][2], queries[k][3], b[2], b[3]);
    }
}

// `position`: of rows g and g + 8. Scores become weights.
template <int kDim>
__device__ __forceinline__ void weigh(Running<kDim>& run, float (&scores)[8][4], std::uint32_t first, const std::uint32_t (&position)[2], bool masked, float scale) {
  const std::uint32_t t = threadIdx.x % 4;
#pragma unroll
  for (int h = 0; h < 2; ++h) {
    float largest = run.largest[h];
#pragma unroll
    for (int n = 0; n < 8; ++n)
#pragma unroll
      for (int c = 0; c < 2; ++c) {
        float& x = scores[n][2 * h + c];
        x = masked && first + n * 8 + 2 * t + c > position[h] ? -INFINITY : x * scale;
        largest = fmaxf(largest, x);
      }
    largest = fmaxf(largest, __shfl_xor_sync(0xffffffffu, largest, 1));
    largest = fmaxf(largest, __shfl_xor_sync(0xffffffffu, largest, 2));
    const float shrink = exp2f(run.largest[h] - largest);
    run.largest[h] = largest;
    float sum = 0;
#pragma unroll
    for (int n = 0; n < 8; ++n)
#pragma unroll
      for (int c = 0; c < 2; ++c) sum += scores[n][2 * h + c] = exp2f(scores[n][2 * h + c] - largest);
    run.sum[h] = run.sum[h] * shrink + sum;
#pragma unroll
    for (int n = 0; n < kDim / 8; ++n) run.values[n][2 * h] *= shrink, run.values[n][2 * h + 1] *= shrink;
  }
}

template <int kDim>
__device__ __forceinline__ void add_values(Running<kDim>& run, const float (&weights)[8][4], std::uint32_t values) {
  const std::uint32_t lane = threadIdx.x % 32;
#pragma unroll
  for (int k = 0; k < kTokens / 16; ++k) {
    const std::uint32_t a0 = pack(weights[2 * k][0], weights[2 * k][1]), a1 = pack(weights[2 * k][2], weights[2 * k][3]);
    const std::uint32_t a2 = pack(weights[2 * k + 1][0], weights[2 * k + 1][1]), a3 = pack(weights[2 * k + 1][2], weights[2 * k + 1][3]);
#pragma unroll
    for (int pair = 0; pair < kDim / 16; ++pair) {
      std::uint32_t b[4];
      load_transposed(b, values + offset_of<kDim>(k * 16 + lane % 16, pair * 2 + lane / 16));
      mma(run.values[2 * pair], a0, a1, a2, a3, b[0], b[1]);
      mma(run.values[2 * pair + 1], a0, a1, a2, a3, b[2], b[3]);
    }
  }
}

template <int kDim>
__device__ __forceinline__ void write_rows(const PromptAttention& op, const Place& place, Running<kDim>& run) {
  const std::uint32_t warp = threadIdx.x / 32, g = threadIdx.x % 32 / 4, t = threadIdx.x % 4;
#pragma unroll
  for (int h = 0; h < 2; ++h) {
    float sum = run.sum[h];
    sum += __shfl_xor_sync(0xffffffffu, sum, 1);
    sum += __shfl_xor_sync(0xffffffffu, sum, 2);
    const std::uint32_t row = warp * 16 + g + h * 8;
    if (row >= place.tile.tokens * place.group) continue;
    const float scale = 1.0F / sum;
    Bf16* out = op.out + (std::size_t{place.tile.first_row + row / place.group} * op.heads + place.kv_head * place.group + row % place.group) * kDim;
#pragma unroll
    for (int n = 0; n < kDim / 8; ++n)
      *reinterpret_cast<std::uint32_t*>(out + n * 8 + 2 * t) = pack(run.values[n][2 * h] * scale, run.values[n][2 * h + 1] * scale);
  }
}

template <int kDim>
__global__ void __launch_bounds__(kThreads, 2) attend_prompt(PromptAttention op) {
  extern __shared__ __align__(1024) unsigned char shared[];
  constexpr std::uint32_t kBytes = kTokens * kDim * 2;  // of a tile of Q, K or V
  wait_for_previous();
  let_next_begin();
  Place place;
  place.tile = op.tiles[blockIdx.x];
  place.kv_head = blockIdx.y;
  place.group = op.heads / op.paged.geometry.kv_heads;
  place.end = place.tile.first_position + place.tile.tokens;
  const std::uint32_t lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  const std::uint32_t* table = op.paged.tables + std::size_t{place.tile.sequence} * op.paged.table_stride;
  const std::uint32_t base = shared_address(shared), stages = base + kBytes;
  copy_queries<kDim>(op, place, base);
  copy_tokens<kDim>(op, place, table, 0, stages, stages + kBytes);
  commit_copies();
  const float scale = kLog2E / sqrtf(static_cast<float>(kDim));
  const std::uint32_t position[2] = {place.tile.first_position + (warp * 16 + lane / 4) / place.group, place.tile.first_position + (warp * 16 + lane / 4 + 8) / place.group};
  Running<kDim> run;
  std::uint32_t queries[kDim / 16][4];
  const std::uint32_t tiles = (place.end + kTokens - 1) / kTokens;
  for (std::uint32_t i = 0; i < tiles; ++i) {
    const std::uint32_t here = stages + i % 2 * 2 * kBytes, next = stages + (i + 1) % 2 * 2 * kBytes;
    if (i + 1 < tiles) copy_tokens<kDim>(op, place, table, (i + 1) * kTokens, next, next + kBytes);
    commit_copies();
    wait_copies<1>();
    __syncthreads();
    if (i == 0) {
#pragma unroll
      for (int k = 0; k < kDim / 16; ++k) load_matrices(queries[k], base + offset_of<kDim>(warp * 16 + lane % 16, k * 2 + lane / 16));
    }
    float scores[8][4] = {};
    score<kDim>(scores, queries, here);
    weigh<kDim>(run, scores, i * kTokens, position, (i + 1) * kTokens > place.tile.first_position, scale);
    add_values<kDim>(run, scores, here + kBytes);
    __syncthreads();
  }
  write_rows<kDim>(op, place, run);
}

template <int kDim>
void launch_prompt(Stream stream, const PromptAttention& op) {
  constexpr std::size_t kShared = 5 * kTokens * kDim * 2;
  static const bool allowed = (allow_shared_memory(attend_prompt<kDim>, kShared), true);
  (void)allowed;
  launch("prompt_attention", attend_prompt<kDim>, dim3(op.tile_count, op.paged.geometry.kv_heads), dim3(kThreads), kShared, stream, 1, op);
}

}  // namespace

void prompt_attention(Stream stream, const PromptAttention& op) {
  const KvGeometry& geometry = op.paged.geometry;
  const std::uint32_t group = op.heads / geometry.kv_heads;
  CHECK(group >= 1 && group <= 16 && (geometry.head_dim == 64 || geometry.head_dim == 128));
  if (op.tile_count == 0) return;
  if (geometry.head_dim == 128) launch_prompt<128>(stream, op);
  else launch_prompt<64>(stream, op);
}

}  // namespace baton::cuda
