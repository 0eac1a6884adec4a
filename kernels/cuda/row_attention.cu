// SPDX-License-Identifier: Apache-2.0
// Attention of rows that stand alone (decoding): bound by the bytes of K and V. A block of four warps has a piece of one row's
// sequence and one KV head with all query heads that share it. Scores are K q: 16 tokens are the tensor cores' rows, 8 query heads their
// columns; values are V^T p likewise. K and V go from global memory into the registers the tensor cores read, without
// shared memory: the order of elements inside a dot product is free, so a lane takes 16 bytes of a K row at once; of V a lane takes 16 bytes
// of four tokens and pairs them up by byte permutations. K of the next tokens is asked for as soon as the scores of these
// are there, V likewise. Pieces of a row are merged by the block that comes last, in the pieces' order.
#include "kernels/cuda/launch.cuh"

#include <algorithm>

#include "runtime/base/check.h"

namespace baton::cuda {
namespace {

constexpr std::uint32_t kWarps = 4;
constexpr std::uint32_t kThreads = kWarps * 32;
constexpr std::uint32_t kTokens = 16;      // of a warp's turn
constexpr std::uint32_t kLeastPiece = 4;   // tiles of 16 tokens: one for each warp
constexpr float kLog2E = 1.4426950408889634F;

// Of a multiprocessor: what the registers allow.
__host__ __device__ constexpr std::uint32_t blocks_at_once(std::uint32_t head_dim, std::uint32_t eights) { return eights == 2 ? 2 : head_dim == 128 ? 3 : 4; }

// The plan's memory.
struct PlanView {
  std::uint32_t* count;         // of pieces
  std::uint32_t* arrived;       // [rows][kv_heads] blocks that have written their piece; 0 between launches
  std::uint32_t* first;         // [rows] first piece
  std::uint32_t* number;        // [rows] of pieces
  std::uint32_t* tiles;         // [rows] of a piece
  std::uint32_t* piece_row;     // [pieces]
};
__host__ __device__ inline PlanView view(const AttentionPlan& plan, std::uint32_t kv_heads) {
  PlanView v;
  v.count = plan.memory;
  v.arrived = v.count + 4;
  v.first = v.arrived + plan.rows_most * kv_heads;
  v.number = v.first + plan.rows_most;
  v.tiles = v.number + plan.rows_most;
  v.piece_row = v.tiles + plan.rows_most;
  return v;
}

__device__ std::uint32_t block_sum(std::uint32_t value, std::uint32_t* scratch) {
  const std::uint32_t sum = __reduce_add_sync(0xffffffffu, value);
  __syncthreads();
  if (threadIdx.x % 32 == 0) scratch[threadIdx.x / 32] = sum;
  __syncthreads();
  std::uint32_t all = 0;
  for (std::uint32_t warp = 0; warp < blockDim.x / 32; ++warp) all += scratch[warp];
  return all;
}

// One block. Pieces of a row are equally long but for the last. Lets nobody begin early: whoever comes later in the stream may read the plan
// without waiting.
__global__ void make_plan(AttentionPlan plan, const std::uint32_t* positions, std::uint32_t rows, std::uint32_t kv_heads, std::uint32_t slots, bool fixed) {
  __shared__ std::uint32_t scratch[32];
  wait_for_previous();
  const PlanView v = view(plan, kv_heads);
  const auto tiles_of = [&](std::uint32_t row) {
    return row >= rows || positions[row] == kNoPosition ? 0u : (positions[row] + kTokens) / kTokens;
  };
  std::uint32_t mine = 0;
  for (std::uint32_t row = threadIdx.x; row < rows; row += blockDim.x) mine += tiles_of(row);
  const std::uint32_t all = block_sum(mine, scratch);
  const std::uint32_t wanted = fixed ? kInvariantPieceTokens / kTokens : max(kLeastPiece, (all * kv_heads + slots - 1) / slots);
  std::uint32_t done = 0;
  for (std::uint32_t begin = 0; begin < rows; begin += blockDim.x) {
    const std::uint32_t row = begin + threadIdx.x, tiles = tiles_of(row);
    // Not fixed: rather a piece up to half as long again than one more round of blocks.
    std::uint32_t number = fixed ? (tiles + wanted - 1) / wanted : tiles == 0 ? 0 : max(1u, (tiles + wanted / 2) / wanted);
    const std::uint32_t each = fixed ? wanted : number == 0 ? 0 : (tiles + number - 1) / number;
    if (!fixed && number != 0) number = (tiles + each - 1) / each;
    std::uint32_t before = number;  // inclusive sum inside the warp, then over warps
    for (int lane = 1; lane < 32; lane *= 2) {
      const std::uint32_t other = __shfl_up_sync(0xffffffffu, before, lane);
      if (threadIdx.x % 32 >= static_cast<std::uint32_t>(lane)) before += other;
    }
    __syncthreads();
    if (threadIdx.x % 32 == 31) scratch[threadIdx.x / 32] = before;
    __syncthreads();
    std::uint32_t first = done + before - number;
    for (std::uint32_t warp = 0; warp < blockDim.x / 32; ++warp) {
      if (warp < threadIdx.x / 32) first += scratch[warp];
      done += scratch[warp];
    }
    if (first + number > plan.pieces_most) __trap();
    if (row < rows) v.first[row] = first, v.number[row] = number, v.tiles[row] = each;
    for (std::uint32_t i = 0; i < number; ++i) v.piece_row[first + i] = row;
  }
  if (threadIdx.x == 0) *v.count = done;
}

struct Piece {
  std::uint32_t index, row, kv_head, length;
  std::uint32_t begin, end;  // tiles
};

__device__ __forceinline__ Piece find_piece(const RowAttention& op, const PlanView& plan, std::uint32_t unit) {
  Piece piece;
  piece.index = unit / op.paged.geometry.kv_heads;
  piece.kv_head = unit % op.paged.geometry.kv_heads;
  piece.row = plan.piece_row[piece.index];
  piece.length = op.paged.positions[piece.row] + 1;
  const std::uint32_t each = plan.tiles[piece.row];
  piece.begin = (piece.index - plan.first[piece.row]) * each;
  piece.end = min(piece.begin + each, (piece.length + kTokens - 1) / kTokens);
  return piece;
}

template <int kDim>
struct KeyTile {
  uint4 piece[kDim / 32][2];  // of tokens g and g + 8: elements 32 i + 8 t ..
};
template <int kDim>
struct ValueTile {
  uint4 piece[kDim / 64][4];  // of tokens 2t, 2t + 1, 2t + 8, 2t + 9: elements 64 i + 8 g ..
};

template <int kDim>
__device__ __forceinline__ void load_keys(KeyTile<kDim>& k, const std::byte* rows) {
  const std::uint32_t g = threadIdx.x % 32 / 4, t = threadIdx.x % 4;
#pragma unroll
  for (int token = 0; token < 2; ++token)
#pragma unroll
    for (int i = 0; i < kDim / 32; ++i) k.piece[i][token] = load_streaming(rows + (g + token * 8) * kDim * 2 + i * 64 + t * 16);
}

// What lies behind the sequence's end is not this sequence's, and may be anything, also no number.
template <int kDim>
__device__ __forceinline__ void load_values(ValueTile<kDim>& v, const std::byte* rows, std::uint32_t tokens) {
  const std::uint32_t g = threadIdx.x % 32 / 4, t = threadIdx.x % 4;
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    const std::uint32_t token = 2 * t + i % 2 + i / 2 * 8;
#pragma unroll
    for (int half = 0; half < kDim / 64; ++half)
      v.piece[half][i] = token < tokens ? load_streaming(rows + token * kDim * 2 + half * 128 + g * 16) : make_uint4(0, 0, 0, 0);
  }
}

__device__ __forceinline__ std::uint32_t transpose(std::uint32_t pair) {
  std::uint32_t other;
  asm("movmatrix.sync.aligned.m8n8.trans.b16 %0, %1;" : "=r"(other) : "r"(pair));
  return other;
}
__device__ __forceinline__ float max_of_tokens(float x) {
#pragma unroll
  for (int lane = 4; lane < 32; lane *= 2) x = fmaxf(x, __shfl_xor_sync(0xffffffffu, x, lane));
  return x;
}

// Running softmax of a warp: per lane the two query heads 2t and 2t + 1 of each eight.
template <int kDim, int kEights>
struct Running {
  float values[kDim / 64][4][kEights][4] = {};  // dims 64 i + 8 g + 2 p (first two) and one on (last two), heads 2t and 2t + 1
  float largest[kEights][2];
  float sum[kEights][2] = {};
};

template <int kDim, int kEights>
__device__ __forceinline__ void score(float (&scores)[kEights][4], const KeyTile<kDim>& k, const unsigned char* queries) {
  constexpr std::uint32_t kQueryBytes = kDim * 2 + 64;
  const std::uint32_t g = threadIdx.x % 32 / 4, t = threadIdx.x % 4;
#pragma unroll
  for (int i = 0; i < kDim / 32; ++i)
#pragma unroll
    for (int j = 0; j < kEights; ++j) {
      const uint4 q = *reinterpret_cast<const uint4*>(queries + (j * 8 + g) * kQueryBytes + i * 64 + t * 16);
      const uint4 &low = k.piece[i][0], &high = k.piece[i][1];
      mma(scores[j], low.x, high.x, low.y, high.y, q.x, q.y);
      mma(scores[j], low.z, high.z, low.w, high.w, q.z, q.w);
    }
}

// Scores to weights; what was summed before shrinks where the maximum has grown.
template <int kDim, int kEights>
__device__ __forceinline__ void weigh(Running<kDim, kEights>& run, float (&scores)[kEights][4], std::uint32_t (&weights)[kEights][2], float scale, std::uint32_t tokens) {
  const std::uint32_t g = threadIdx.x % 32 / 4;
#pragma unroll
  for (int j = 0; j < kEights; ++j) {
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      float& near = scores[j][h];
      float& far = scores[j][h + 2];
      near = g < tokens ? near * scale : -INFINITY;
      far = g + 8 < tokens ? far * scale : -INFINITY;
      const float largest = fmaxf(run.largest[j][h], max_of_tokens(fmaxf(near, far)));
      const float shrink = exp2f(run.largest[j][h] - largest);
      run.largest[j][h] = largest;
      near = exp2f(near - largest);
      far = exp2f(far - largest);
      run.sum[j][h] = run.sum[j][h] * shrink + (near + far);
#pragma unroll
      for (int i = 0; i < kDim / 64; ++i)
#pragma unroll
        for (int p = 0; p < 4; ++p) run.values[i][p][j][h] *= shrink, run.values[i][p][j][h + 2] *= shrink;
    }
    weights[j][0] = transpose(pack(scores[j][0], scores[j][1]));
    weights[j][1] = transpose(pack(scores[j][2], scores[j][3]));
  }
}

template <int kDim, int kEights>
__device__ __forceinline__ void add_values(Running<kDim, kEights>& run, const ValueTile<kDim>& v, const std::uint32_t (&weights)[kEights][2]) {
  const auto word = [](const uint4& four, int p) { return p == 0 ? four.x : p == 1 ? four.y : p == 2 ? four.z : four.w; };
#pragma unroll
  for (int i = 0; i < kDim / 64; ++i)
#pragma unroll
    for (int p = 0; p < 4; ++p) {
      const std::uint32_t a = word(v.piece[i][0], p), b = word(v.piece[i][1], p), c = word(v.piece[i][2], p), d = word(v.piece[i][3], p);
      const std::uint32_t a0 = __byte_perm(a, b, 0x5410), a1 = __byte_perm(a, b, 0x7632), a2 = __byte_perm(c, d, 0x5410), a3 = __byte_perm(c, d, 0x7632);
#pragma unroll
      for (int j = 0; j < kEights; ++j) mma(run.values[i][p][j], a0, a1, a2, a3, weights[j][0], weights[j][1]);
    }
}

template <int kDim, int kEights>
__device__ __forceinline__ void walk(const RowAttention& op, const Piece& piece, const unsigned char* queries, Running<kDim, kEights>& run) {
  const KvGeometry& geometry = op.paged.geometry;
  const float scale = kLog2E / sqrtf(static_cast<float>(kDim));
  const std::uint32_t* table = op.paged.tables + std::size_t{op.paged.sequences[piece.row]} * op.paged.table_stride;
  const std::size_t keys = geometry.row_offset(piece.kv_head, op.layer, false, 0), block_bytes = geometry.block_bytes();
  const std::uint32_t plane = geometry.block_tokens * kDim * 2;
  const std::uint32_t tiles_of_block = geometry.block_tokens / kTokens;
  const auto rows_of = [&](std::uint32_t tile) {
    return op.paged.pool + table[tile / tiles_of_block] * block_bytes + keys + tile % tiles_of_block * (kTokens * kDim * 2);
  };
  std::uint32_t tile = piece.begin + threadIdx.x / 32;
  if (tile >= piece.end) return;
  KeyTile<kDim> k;
  ValueTile<kDim> v;
  const std::byte* rows = rows_of(tile);
  load_keys<kDim>(k, rows);
  load_values<kDim>(v, rows + plane, piece.length - tile * kTokens);
  while (true) {
    const std::uint32_t next = tile + kWarps;
    if (next < piece.end) rows = rows_of(next);
    float scores[kEights][4] = {};
    score<kDim, kEights>(scores, k, queries);
    if (next < piece.end) load_keys<kDim>(k, rows);
    std::uint32_t weights[kEights][2];
    weigh<kDim, kEights>(run, scores, weights, scale, piece.length - tile * kTokens);
    add_values<kDim, kEights>(run, v, weights);
    if (next >= piece.end) return;
    load_values<kDim>(v, rows + plane, piece.length - next * kTokens);
    tile = next;
  }
}

// What warps hand over: unscaled sums of values with their maximum and their sum of weights.
template <int kDim, int kEights>
struct Shared {
  float values[kWarps][kEights * 8][kDim + 4];
  float largest[kWarps][kEights * 8];
  float sum[kWarps][kEights * 8];
  alignas(16) unsigned char queries[kEights * 8 * (kDim * 2 + 64)];
  bool last;
};

template <int kDim, int kEights>
__device__ __forceinline__ void hand_over(Shared<kDim, kEights>& shared, const Running<kDim, kEights>& run) {
  const std::uint32_t warp = threadIdx.x / 32, g = threadIdx.x % 32 / 4, t = threadIdx.x % 4;
#pragma unroll
  for (int j = 0; j < kEights; ++j)
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      const std::uint32_t head = j * 8 + 2 * t + h;
      float sum = run.sum[j][h];
#pragma unroll
      for (int lane = 4; lane < 32; lane *= 2) sum += __shfl_xor_sync(0xffffffffu, sum, lane);
      if (g == 0) shared.largest[warp][head] = run.largest[j][h], shared.sum[warp][head] = sum;
#pragma unroll
      for (int i = 0; i < kDim / 64; ++i)
#pragma unroll
        for (int p = 0; p < 4; ++p)
          *reinterpret_cast<float2*>(&shared.values[warp][head][64 * i + 8 * g + 2 * p]) = make_float2(run.values[i][p][j][h], run.values[i][p][j][h + 2]);
    }
}

// One element of one head over all warps of the block, or over all pieces of the row: in order.
struct Merged {
  float value = 0, sum = 0, largest = -INFINITY;
};
template <class Largest, class Sum, class Value>
__device__ __forceinline__ Merged merge(std::uint32_t parts, const Largest& largest, const Sum& sum, const Value& value) {
  Merged all;
  for (std::uint32_t i = 0; i < parts; ++i) all.largest = fmaxf(all.largest, largest(i));
  for (std::uint32_t i = 0; i < parts; ++i) {
    const float weight = exp2f(largest(i) - all.largest);
    all.sum += weight * sum(i);
    all.value += weight * value(i);
  }
  return all;
}

template <int kDim, int kEights>
__device__ __forceinline__ void finish(const RowAttention& op, const PlanView& plan, const Piece& piece, std::uint32_t group, Shared<kDim, kEights>& shared) {
  const std::uint32_t number = plan.number[piece.row], kv_heads = op.paged.geometry.kv_heads;
  constexpr std::uint32_t kRecord = kDim + 2;
  const auto record = [&](std::uint32_t index, std::uint32_t head) {
    return op.plan.partial + (std::size_t{index} * op.heads + piece.kv_head * group + head) * kRecord;
  };
  const auto out = [&](std::uint32_t head, std::uint32_t element, float value) {
    const float bits = value;
    op.out[std::size_t{piece.row} * op.heads * kDim + (piece.kv_head * group + head) * kDim + element].bits = static_cast<std::uint16_t>(pack(bits, 0));
  };
  for (std::uint32_t i = threadIdx.x; i < group * kDim; i += kThreads) {
    const std::uint32_t head = i / kDim, element = i % kDim;
    const Merged all = merge(kWarps, [&](std::uint32_t w) { return shared.largest[w][head]; }, [&](std::uint32_t w) { return shared.sum[w][head]; },
                             [&](std::uint32_t w) { return shared.values[w][head][element]; });
    if (number == 1) {
      out(head, element, all.value / all.sum);
      continue;
    }
    float* to = record(piece.index, head);
    to[element] = all.value;
    if (element == 0) to[kDim] = all.largest, to[kDim + 1] = all.sum;
  }
  if (number == 1) return;
  __threadfence();
  __syncthreads();
  std::uint32_t* arrived = plan.arrived + piece.row * kv_heads + piece.kv_head;
  if (threadIdx.x == 0) shared.last = atomicAdd(arrived, 1) + 1 == number;
  __syncthreads();
  if (!shared.last) return;
  __threadfence();
  const std::uint32_t first = plan.first[piece.row];
  for (std::uint32_t i = threadIdx.x; i < group * kDim; i += kThreads) {
    const std::uint32_t head = i / kDim, element = i % kDim;
    const Merged all = merge(number, [&](std::uint32_t p) { return __ldcg(record(first + p, head) + kDim); }, [&](std::uint32_t p) { return __ldcg(record(first + p, head) + kDim + 1); },
                             [&](std::uint32_t p) { return __ldcg(record(first + p, head) + element); });
    out(head, element, all.value / all.sum);
  }
  if (threadIdx.x == 0) *arrived = 0;
}

template <int kDim, int kEights>
__global__ void __launch_bounds__(kThreads, blocks_at_once(kDim, kEights)) attend_rows(RowAttention op) {
  extern __shared__ __align__(128) unsigned char memory[];
  auto& shared = *reinterpret_cast<Shared<kDim, kEights>*>(memory);
  constexpr std::uint32_t kQueryBytes = kDim * 2 + 64;
  let_next_begin();
  const std::uint32_t kv_heads = op.paged.geometry.kv_heads, group = op.heads / kv_heads;
  const PlanView plan = view(op.plan, kv_heads);
  const std::uint32_t units = *plan.count * kv_heads;
  // The plan and the positions are older than the kernel before: the way to the first piece is gone while that one ends.
  Piece piece = blockIdx.x < units ? find_piece(op, plan, blockIdx.x) : Piece{};
  wait_for_previous();
  for (std::uint32_t unit = blockIdx.x; unit < units; unit += gridDim.x) {
    if (unit != blockIdx.x) piece = find_piece(op, plan, unit);
    __syncthreads();  // the last unit's queries and sums are no longer read
    for (std::uint32_t i = threadIdx.x; i < kEights * 8 * kDim / 8; i += kThreads) {
      const std::uint32_t head = i / (kDim / 8), at = i % (kDim / 8);
      const auto* from = reinterpret_cast<const uint4*>(op.qkv + std::size_t{piece.row} * op.qkv_stride + (piece.kv_head * group + head) * kDim);
      *reinterpret_cast<uint4*>(shared.queries + head * kQueryBytes + at * 16) = head < group ? from[at] : make_uint4(0, 0, 0, 0);
    }
    __syncthreads();
    Running<kDim, kEights> run;
#pragma unroll
    for (int j = 0; j < kEights; ++j) run.largest[j][0] = run.largest[j][1] = -1e30F;
    walk<kDim, kEights>(op, piece, shared.queries, run);
    hand_over<kDim, kEights>(shared, run);
    __syncthreads();
    finish<kDim, kEights>(op, plan, piece, group, shared);
  }
}

template <int kDim, int kEights>
void launch_rows(Stream stream, const RowAttention& op) {
  constexpr std::size_t kShared = sizeof(Shared<kDim, kEights>);
  static const bool allowed = (allow_shared_memory(attend_rows<kDim, kEights>, kShared), true);
  (void)allowed;
  launch("row_attention", attend_rows<kDim, kEights>, dim3(multiprocessors() * blocks_at_once(kDim, kEights)), dim3(kThreads), kShared, stream, 1, op);
}

}  // namespace

std::size_t attention_plan_words(std::uint32_t rows_most, std::uint32_t pieces_most, std::uint32_t kv_heads) {
  return 4 + std::size_t{rows_most} * (kv_heads + 3) + pieces_most;
}
std::size_t attention_partial_floats(std::uint32_t pieces_most, std::uint32_t heads, std::uint32_t head_dim) {
  return std::size_t{pieces_most} * heads * (head_dim + 2);
}

void plan_attention(Stream stream, const AttentionPlan& plan, const std::uint32_t* positions, std::uint32_t rows, std::uint32_t heads, const KvGeometry& geometry,
                    bool fixed_pieces) {
  CHECK(rows <= plan.rows_most);
  const std::uint32_t slots = multiprocessors() * blocks_at_once(geometry.head_dim, heads / geometry.kv_heads <= 8 ? 1 : 2);
  launch("plan_attention", make_plan, dim3(1), dim3(1024), 0, stream, 1, plan, positions, rows, geometry.kv_heads, slots, fixed_pieces);
}

void row_attention(Stream stream, const RowAttention& op) {
  const KvGeometry& geometry = op.paged.geometry;
  const std::uint32_t group = op.heads / geometry.kv_heads;
  CHECK(geometry.block_tokens % kTokens == 0 && group >= 1 && group <= 16 && (geometry.head_dim == 64 || geometry.head_dim == 128));
  if (geometry.head_dim == 128 && group <= 8) launch_rows<128, 1>(stream, op);
  else if (geometry.head_dim == 128) launch_rows<128, 2>(stream, op);
  else if (group <= 8) launch_rows<64, 1>(stream, op);
  else launch_rows<64, 2>(stream, op);
}

}  // namespace baton::cuda
