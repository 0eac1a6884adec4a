// SPDX-License-Identifier: Apache-2.0
// Attention of prompt chunks over all that is stored of their sequences, the chunk itself included: flash attention on the
// tensor cores, after FlashAttention-3 (Shah et al. 2024). A block of two warpgroups has a tile of 128 rows, which are neighbouring tokens with all
// query heads of one KV head, and walks K and V in tiles of 128 tokens, which cp.async gathers from the blocks of the pool. The
// scores of the next tile and the values of this one are multiplied while the softmax of the next is computed.
#include "kernels/cuda/launch.cuh"
#include "kernels/cuda/wgmma.cuh"
#include "runtime/base/check.h"

namespace baton::cuda {
namespace {

constexpr std::uint32_t kThreads = 256;
constexpr std::uint32_t kRows = 128;
constexpr std::uint32_t kTokens = 128;
constexpr float kLog2E = 1.4426950408889634F;

struct Place {
  PromptTile tile;
  std::uint32_t kv_head, group, end;  // end: tokens of K and V that this tile may see
};

__device__ __forceinline__ float power_of_two(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

template <int kDim>
__device__ __forceinline__ void copy_queries(const PromptAttention& op, const Place& place, std::uint32_t to) {
  constexpr std::uint32_t kPieces = kDim / 8;
#pragma unroll
  for (std::uint32_t i = threadIdx.x; i < kRows * kPieces; i += kThreads) {
    const std::uint32_t row = i / kPieces, piece = i % kPieces;
    const bool valid = row < place.tile.tokens * place.group;
    const std::size_t at = valid ? std::size_t{place.tile.first_row + row / place.group} * op.qkv_stride + (place.kv_head * place.group + row % place.group) * kDim + piece * 8 : 0;
    copy_async(to + swizzled(kRows, row, piece), op.qkv + at, valid);
  }
}

// K (or V, `plane` bytes on) of tokens [first, first + 128); zeros past the end.
template <int kDim>
__device__ __forceinline__ void copy_tokens(const PromptAttention& op, const Place& place, std::uint32_t first, std::size_t plane, std::uint32_t to) {
  constexpr std::uint32_t kPieces = kDim / 8, kRowsAtOnce = kThreads / kPieces;
  const KvGeometry& geometry = op.paged.geometry;
  const std::uint32_t* table = op.paged.tables + std::size_t{place.tile.sequence} * op.paged.table_stride;
  const std::size_t offset = geometry.row_offset(place.kv_head, op.layer, false, 0) + plane, block_bytes = geometry.block_bytes();
  const std::uint32_t piece = threadIdx.x % kPieces, shift = 31 - __clz(geometry.block_tokens);
#pragma unroll
  for (std::uint32_t row = threadIdx.x / kPieces; row < kTokens; row += kRowsAtOnce) {
    const std::uint32_t token = first + row;
    const bool valid = token < place.end;
    const std::byte* from = op.paged.pool;
    if (valid) from += table[token >> shift] * block_bytes + offset + (token & (geometry.block_tokens - 1)) * (kDim * 2) + piece * 16;
    copy_async(to + swizzled(kTokens, row, piece), from, valid);
  }
}

// A warp's 16 rows: in lane (g, t) rows g and g + 8, columns 2t and 2t + 1 of each eight.
template <int kDim>
struct Running {
  float values[kDim / 2] = {};
  float largest[2] = {-1e30F, -1e30F};
  float sum[2] = {};
};

template <int kDim>
__device__ __forceinline__ void start_scores(float (&scores)[kTokens / 2], std::uint32_t queries, std::uint32_t keys) {
#pragma unroll
  for (int k = 0; k < kDim / 16; ++k) {
    const std::uint32_t panel = k / 4, at = k % 4 * 32;
    multiply_shared(scores, along_rows(queries + panel * kRows * 128 + at), along_rows(keys + panel * kTokens * 128 + at), k != 0);
  }
  commit_multiply();
}

// `position`: of rows g and g + 8. Scores become weights; returns what older sums shrink by.
template <int kDim>
__device__ __forceinline__ float2 weigh(Running<kDim>& run, float (&scores)[kTokens / 2], std::uint32_t first, const std::uint32_t (&position)[2], bool masked, float scale) {
  const std::uint32_t t = threadIdx.x % 4;
  float shrink[2];
#pragma unroll
  for (int h = 0; h < 2; ++h) {
    float largest = -INFINITY;
#pragma unroll
    for (int n = 0; n < kTokens / 8; ++n)
#pragma unroll
      for (int c = 0; c < 2; ++c) {
        float& x = scores[4 * n + 2 * h + c];
        if (masked && first + n * 8 + 2 * t + c > position[h]) x = -INFINITY;
        largest = fmaxf(largest, x);
      }
    largest = fmaxf(largest, __shfl_xor_sync(0xffffffffu, largest, 1));
    largest = fmaxf(largest, __shfl_xor_sync(0xffffffffu, largest, 2));
    largest = fmaxf(run.largest[h], largest * scale);
    shrink[h] = power_of_two(run.largest[h] - largest);
    run.largest[h] = largest;
    float sum = 0;
#pragma unroll
    for (int n = 0; n < kTokens / 8; ++n)
#pragma unroll
      for (int c = 0; c < 2; ++c) {
        float& x = scores[4 * n + 2 * h + c];
        x = power_of_two(fmaf(x, scale, -largest));
        sum += x;
      }
    run.sum[h] = run.sum[h] * shrink[h] + sum;
  }
  return make_float2(shrink[0], shrink[1]);
}

__device__ __forceinline__ void pack_weights(std::uint32_t (&weights)[kTokens / 16][4], const float (&scores)[kTokens / 2]) {
#pragma unroll
  for (int k = 0; k < kTokens / 16; ++k)
#pragma unroll
    for (int c = 0; c < 4; ++c) weights[k][c] = pack(scores[8 * k + 2 * c], scores[8 * k + 2 * c + 1]);
}

template <int kDim>
__device__ __forceinline__ void start_values(Running<kDim>& run, const std::uint32_t (&weights)[kTokens / 16][4], std::uint32_t values) {
#pragma unroll
  for (int k = 0; k < kTokens / 16; ++k) multiply_registers(run.values, weights[k], down_columns(values + k * 16 * 128, kTokens));
  commit_multiply();
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
      *reinterpret_cast<std::uint32_t*>(out + n * 8 + 2 * t) = pack(run.values[4 * n + 2 * h] * scale, run.values[4 * n + 2 * h + 1] * scale);
  }
}

template <int kDim>
__global__ void __launch_bounds__(kThreads, 1) attend_prompt(PromptAttention op) {
  extern __shared__ __align__(1024) unsigned char shared[];
  constexpr std::uint32_t kBytes = kTokens * kDim * 2;  // of a tile of Q, K or V
  wait_for_previous();
  let_next_begin();
  Place place;
  place.tile = op.tiles[blockIdx.x];
  place.kv_head = blockIdx.y;
  place.group = op.heads / op.paged.geometry.kv_heads;
  place.end = place.tile.first_position + place.tile.tokens;
  const std::uint32_t row = threadIdx.x / 32 * 16 + threadIdx.x % 32 / 4, group = threadIdx.x / 128;
  const std::uint32_t queries = shared_address(shared), keys = queries + kBytes, values = keys + 2 * kBytes;  // two stages of each
  const std::uint32_t mine = queries + group * 64 * 128;
  const std::size_t plane = op.paged.geometry.plane_bytes();
  const std::uint32_t position[2] = {place.tile.first_position + row / place.group, place.tile.first_position + (row + 8) / place.group};
  const std::uint32_t tiles = (place.end + kTokens - 1) / kTokens;
  const float scale = kLog2E / sqrtf(static_cast<float>(kDim));
  copy_queries<kDim>(op, place, queries);
  copy_tokens<kDim>(op, place, 0, 0, keys);
  commit_copies();
  copy_tokens<kDim>(op, place, kTokens, 0, keys + kBytes);
  copy_tokens<kDim>(op, place, 0, plane, values);
  commit_copies();
  wait_copies<1>();
  show_to_async();
  __syncthreads();

  Running<kDim> run;
  float scores[kTokens / 2];
  std::uint32_t weights[kTokens / 16][4];
  const auto weigh_tile = [&](std::uint32_t i) { return weigh<kDim>(run, scores, i * kTokens, position, (i + 1) * kTokens > place.tile.first_position + 1, scale); };
  begin_multiply();
  start_scores<kDim>(scores, mine, keys);
  wait_multiply<0>();
  weigh_tile(0);
  pack_weights(weights, scores);
  for (std::uint32_t i = 0; i + 1 < tiles; ++i) {
    wait_copies<0>();
    show_to_async();
    __syncthreads();  // the next K and this V are here; nobody reads this K nor the last V any more
    copy_tokens<kDim>(op, place, (i + 2) * kTokens, 0, keys + i % 2 * kBytes);
    copy_tokens<kDim>(op, place, (i + 1) * kTokens, plane, values + (i + 1) % 2 * kBytes);
    commit_copies();
    begin_multiply();
    start_scores<kDim>(scores, mine, keys + (i + 1) % 2 * kBytes);
    start_values<kDim>(run, weights, values + i % 2 * kBytes);
    wait_multiply<1>();
    const float2 shrink = weigh_tile(i + 1);
    wait_multiply<0>();
#pragma unroll
    for (int n = 0; n < kDim / 8; ++n) run.values[4 * n] *= shrink.x, run.values[4 * n + 1] *= shrink.x, run.values[4 * n + 2] *= shrink.y, run.values[4 * n + 3] *= shrink.y;
    pack_weights(weights, scores);
  }
  wait_copies<0>();
  show_to_async();
  __syncthreads();
  begin_multiply();
  start_values<kDim>(run, weights, values + (tiles - 1) % 2 * kBytes);
  wait_multiply<0>();
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
  CHECK(group >= 1 && group <= 16 && (geometry.head_dim == 64 || geometry.head_dim == 128) && (geometry.block_tokens & (geometry.block_tokens - 1)) == 0);
  if (op.tile_count == 0) return;
  if (geometry.head_dim == 128) launch_prompt<128>(stream, op);
  else launch_prompt<64>(stream, op);
}

}  // namespace baton::cuda
