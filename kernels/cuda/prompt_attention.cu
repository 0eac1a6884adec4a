// SPDX-License-Identifier: Apache-2.0
// Attention of prompt chunks over all that is stored of their sequences, the chunk itself included: flash attention on the
// tensor cores, after FlashAttention-3 (Shah et al. 2024). A block has a tile of 128 rows, which are neighbouring tokens with all
// query heads of one KV head. One warp has the tensor memory accelerator gather tiles of 128 tokens of K and V from the blocks of the pool, two
// stages of each; two warpgroups have 64 rows each and compute, each at its own pace, so that one's softmax runs beside the other's
// products. Inside a warpgroup the values of a tile are multiplied beside the softmax of the next.
#include "kernels/cuda/launch.cuh"
#include "kernels/cuda/tensor_map.cuh"
#include "kernels/cuda/wgmma.cuh"
#include "runtime/base/check.h"

namespace baton::cuda {
namespace {

constexpr std::uint32_t kGroup = 128;          // threads of a warpgroup
constexpr std::uint32_t kThreads = 3 * kGroup;  // a warp of the first gathers
constexpr std::uint32_t kBoxRows = 16;          // of K or V in one gathering: blocks hold a multiple of it
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

// Barriers in shared memory: of each stage, whether it is full (all its bytes have arrived) and whether it is empty (both
// computing groups are done with it).
struct Barriers {
  std::uint64_t keys_full[2], keys_empty[2], values_full[2], values_empty[2];
};
// A computing warpgroup's 64 rows of queries.
template <int kDim>
__device__ __forceinline__ void copy_queries(const PromptAttention& op, const Place& place, std::uint32_t to) {
  constexpr std::uint32_t kPieces = kDim / 8;
  const std::uint32_t first = threadIdx.x / kGroup == 1 ? 0 : 64;
#pragma unroll 4
  for (std::uint32_t i = threadIdx.x % kGroup; i < 64 * kPieces; i += kGroup) {
    const std::uint32_t row = first + i / kPieces, piece = i % kPieces;
    const bool valid = row < place.tile.tokens * place.group;
    const std::size_t at = valid ? std::size_t{place.tile.first_row + row / place.group} * op.qkv_stride + (place.kv_head * place.group + row % place.group) * kDim + piece * 8 : 0;
    copy_async(to + swizzled(kRows, row, piece), op.qkv + at, valid);
  }
  commit_copies();
  wait_copies<0>();
}

// A barrier of one computing warpgroup.
__device__ __forceinline__ void meet_group() { asm volatile("bar.sync %0, 128;" ::"r"(threadIdx.x / kGroup) : "memory"); }

// What lies behind the sequence's end is not this sequence's, and may be anything, also no number. Both groups write the same zeros.
template <int kDim>
__device__ __forceinline__ void clear_values(std::uint32_t values, std::uint32_t tokens) {
  constexpr std::uint32_t kPieces = kDim / 8;
  for (std::uint32_t i = tokens * kPieces + threadIdx.x % kGroup; i < kTokens * kPieces; i += kGroup)
    asm volatile("st.shared.v4.u32 [%0], {%1, %1, %1, %1};" ::"r"(values + swizzled(kTokens, i / kPieces, i % kPieces)), "r"(0) : "memory");
  show_to_async();
  meet_group();
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
  const std::uint32_t warp = threadIdx.x / 32 - kGroup / 32, g = threadIdx.x % 32 / 4, t = threadIdx.x % 4;
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

// The gathering warp: the first K, then in turn the next K and this V, in the order of their use. A lane has one box of 16 tokens and 64
// columns; blocks that are past the end are left out.
template <int kDim>
__device__ __forceinline__ void gather(const CUtensorMap& map, const PromptAttention& op, const Place& place, Barriers& barriers, std::uint32_t keys, std::uint32_t values, std::uint32_t tiles) {
  constexpr std::uint32_t kBytes = kTokens * kDim * 2, kPanels = kDim / 64;
  const KvGeometry& geometry = op.paged.geometry;
  const std::uint32_t* table = op.paged.tables + std::size_t{place.tile.sequence} * op.paged.table_stride;
  const std::uint32_t lane = threadIdx.x, box = lane / kPanels, panel = lane % kPanels;
  const std::uint32_t rows_of_block = geometry.kv_heads * geometry.layers * 2 * geometry.block_tokens;
  const std::uint32_t first_row = (place.kv_head * geometry.layers + op.layer) * 2 * geometry.block_tokens;
  const auto start = [&](std::uint32_t i, std::uint32_t to, std::uint32_t plane, std::uint64_t* full) {
    const std::uint32_t token = i * kTokens + box * kBoxRows, boxes = min(kTokens / kBoxRows, (place.end - i * kTokens + kBoxRows - 1) / kBoxRows);
    if (lane == 0) arrive_and_expect(full, boxes * kBoxRows * kDim * 2);
    __syncwarp();
    if (box >= boxes) return;
    const std::uint32_t row = table[token / geometry.block_tokens] * rows_of_block + first_row + plane * geometry.block_tokens + token % geometry.block_tokens;
    fetch_box(map, to + panel * kTokens * 128 + box * kBoxRows * 128, panel * 64, row, full);
  };
  for (std::uint32_t i = 0; i <= tiles; ++i) {
    const std::uint32_t stage = i % 2, before = (i + 1) % 2;
    if (i < tiles) {
      if (i >= 2) wait(&barriers.keys_empty[stage], (i / 2 - 1) & 1);
      start(i, keys + stage * kBytes, 0, &barriers.keys_full[stage]);
    }
    if (i == 0) continue;
    if (i >= 3) wait(&barriers.values_empty[before], ((i - 1) / 2 - 1) & 1);
    start(i - 1, values + before * kBytes, 1, &barriers.values_full[before]);
  }
}

template <int kDim>
__device__ __forceinline__ void compute(const PromptAttention& op, const Place& place, Barriers& barriers, std::uint32_t queries, std::uint32_t keys, std::uint32_t values, std::uint32_t tiles) {
  constexpr std::uint32_t kBytes = kTokens * kDim * 2;
  const std::uint32_t thread = threadIdx.x - kGroup, row = thread / 32 * 16 + thread % 32 / 4;
  const std::uint32_t mine = queries + thread / kGroup * 64 * 128;
  const std::uint32_t position[2] = {place.tile.first_position + row / place.group, place.tile.first_position + (row + 8) / place.group};
  const float scale = kLog2E / sqrtf(static_cast<float>(kDim));
  const bool speaks = thread % kGroup == 0;
  Running<kDim> run;
  float scores[kTokens / 2];
  std::uint32_t weights[kTokens / 16][4];
  const auto weigh_tile = [&](std::uint32_t i) { return weigh<kDim>(run, scores, i * kTokens, position, (i + 1) * kTokens > place.tile.first_position + 1, scale); };
  copy_queries<kDim>(op, place, queries);
  show_to_async();
  meet_group();
  wait(&barriers.keys_full[0], 0);
  begin_multiply();
  start_scores<kDim>(scores, mine, keys);
  wait_multiply<0>();
  if (speaks) arrive(&barriers.keys_empty[0]);
  weigh_tile(0);
  pack_weights(weights, scores);
  for (std::uint32_t i = 0; i + 1 < tiles; ++i) {
    const std::uint32_t stage = i % 2, next = (i + 1) % 2;
    wait(&barriers.keys_full[next], (i + 1) / 2 & 1);
    begin_multiply();
    start_scores<kDim>(scores, mine, keys + next * kBytes);
    wait(&barriers.values_full[stage], i / 2 & 1);
    begin_multiply();
    start_values<kDim>(run, weights, values + stage * kBytes);
    wait_multiply<1>();
    if (speaks) arrive(&barriers.keys_empty[next]);
    const float2 shrink = weigh_tile(i + 1);
    wait_multiply<0>();
    if (speaks) arrive(&barriers.values_empty[stage]);
#pragma unroll
    for (int n = 0; n < kDim / 8; ++n) run.values[4 * n] *= shrink.x, run.values[4 * n + 1] *= shrink.x, run.values[4 * n + 2] *= shrink.y, run.values[4 * n + 3] *= shrink.y;
    pack_weights(weights, scores);
  }
  const std::uint32_t last = (tiles - 1) % 2;
  wait(&barriers.values_full[last], (tiles - 1) / 2 & 1);
  clear_values<kDim>(values + last * kBytes, place.end - (tiles - 1) * kTokens);
  begin_multiply();
  start_values<kDim>(run, weights, values + last * kBytes);
  wait_multiply<0>();
  write_rows<kDim>(op, place, run);
}

template <int kDim>
__global__ void __launch_bounds__(kThreads, 1) attend_prompt(const __grid_constant__ CUtensorMap map, PromptAttention op) {
  extern __shared__ __align__(1024) unsigned char shared[];
  __shared__ Barriers barriers;
  constexpr std::uint32_t kBytes = kTokens * kDim * 2;  // of a tile of Q, K or V
  if (threadIdx.x == 0) {
    for (int stage = 0; stage < 2; ++stage) {
      prepare(&barriers.keys_full[stage], 1), prepare(&barriers.values_full[stage], 1);
      prepare(&barriers.keys_empty[stage], 2), prepare(&barriers.values_empty[stage], 2);
    }
    show_barriers();
  }
  wait_for_previous();
  let_next_begin();
  __syncthreads();
  Place place;
  place.tile = op.tiles[blockIdx.x];
  place.kv_head = blockIdx.y;
  place.group = op.heads / op.paged.geometry.kv_heads;
  place.end = place.tile.first_position + place.tile.tokens;
  const std::uint32_t queries = shared_address(shared), keys = queries + kBytes, values = keys + 2 * kBytes;  // two stages of each
  const std::uint32_t tiles = (place.end + kTokens - 1) / kTokens;
  if (threadIdx.x < kGroup) {
    asm volatile("setmaxnreg.dec.sync.aligned.u32 24;");
    if (threadIdx.x < 32) gather<kDim>(map, op, place, barriers, keys, values, tiles);
  } else {
    asm volatile("setmaxnreg.inc.sync.aligned.u32 240;");
    compute<kDim>(op, place, barriers, queries, keys, values, tiles);
  }
}

template <int kDim>
void launch_prompt(Stream stream, const PromptAttention& op) {
  constexpr std::size_t kShared = 5 * kTokens * kDim * 2;
  static const bool allowed = (allow_shared_memory(attend_prompt<kDim>, kShared), true);
  (void)allowed;
  // The pool is one matrix whose rows are a head's of one token.
  const std::size_t rows = std::size_t{op.paged.pool_blocks} * op.paged.geometry.block_bytes() / op.paged.geometry.row_bytes();
  const CUtensorMap map = map_matrix(op.paged.pool, rows, kDim, kBoxRows);
  launch("prompt_attention", attend_prompt<kDim>, dim3(op.tile_count, op.paged.geometry.kv_heads), dim3(kThreads), kShared, stream, 1, map, op);
}

}  // namespace

void prompt_attention(Stream stream, const PromptAttention& op) {
  const KvGeometry& geometry = op.paged.geometry;
  const std::uint32_t group = op.heads / geometry.kv_heads;
  CHECK(group >= 1 && group <= 16 && (geometry.head_dim == 64 || geometry.head_dim == 128) && geometry.block_tokens % kBoxRows == 0);
  if (op.tile_count == 0) return;
  if (geometry.head_dim == 128) launch_prompt<128>(stream, op);
  else launch_prompt<64>(stream, op);
}

}  // namespace baton::cuda
