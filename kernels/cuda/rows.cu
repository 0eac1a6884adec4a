// SPDX-License-Identifier: Apache-2.0
// Ops over single rows: each is bound by memory, so each reads and writes in pieces of 8 or 16 bytes and touches nothing twice.
#include "kernels/cuda/launch.cuh"

namespace baton::cuda {
namespace {

constexpr std::uint32_t kThreads = 256;

__global__ void embed_rows(Embed op) {
  wait_for_previous();
  let_next_begin();
  const auto token = static_cast<std::size_t>(op.tokens[blockIdx.x]);
  const auto* from = reinterpret_cast<const uint2*>(op.table + token * op.width);
  auto* to = reinterpret_cast<float4*>(op.x + std::size_t{blockIdx.x} * op.width);
  for (std::uint32_t i = threadIdx.x; i < op.width / 4; i += blockDim.x) {
    const uint2 four = from[i];
    to[i] = make_float4(low_float(four.x), high_float(four.x), low_float(four.y), high_float(four.y));
  }
}

// One block a row; the row stays in registers between its two uses where it is short enough (16 floats a thread).
__global__ void __launch_bounds__(kThreads) normalize_rows(RmsNorm op) {
  constexpr int kKept = 4;
  __shared__ float sums[kThreads / 32];
  wait_for_previous();
  let_next_begin();
  const std::uint32_t row = op.picked != nullptr ? op.picked[blockIdx.x] : blockIdx.x;
  const auto* x = reinterpret_cast<const float4*>(op.x + std::size_t{row} * op.width);
  const std::uint32_t quads = op.width / 4;
  float4 kept[kKept];
  float sum = 0;
#pragma unroll
  for (int i = 0; i < kKept; ++i) {
    const std::uint32_t at = threadIdx.x + i * kThreads;
    kept[i] = at < quads ? x[at] : make_float4(0, 0, 0, 0);
    sum += kept[i].x * kept[i].x + kept[i].y * kept[i].y + kept[i].z * kept[i].z + kept[i].w * kept[i].w;
  }
  for (std::uint32_t at = threadIdx.x + kKept * kThreads; at < quads; at += kThreads) {
    const float4 v = x[at];
    sum += v.x * v.x + v.y * v.y + v.z * v.z + v.w * v.w;
  }
  sum = warp_sum(sum);
  if (threadIdx.x % 32 == 0) sums[threadIdx.x / 32] = sum;
  __syncthreads();
  float all = 0;
#pragma unroll
  for (int warp = 0; warp < kThreads / 32; ++warp) all += sums[warp];
  const float scale = 1.0F / sqrtf(all / static_cast<float>(op.width) + op.epsilon);
  const auto* gain = reinterpret_cast<const float4*>(op.gain);
  auto* y = reinterpret_cast<uint2*>(op.y + std::size_t{blockIdx.x} * op.width);
  const auto store = [&](std::uint32_t at, float4 v) {
    const float4 w = gain[at];
    y[at] = make_uint2(pack(v.x * scale * w.x, v.y * scale * w.y), pack(v.z * scale * w.z, v.w * scale * w.w));
  };
#pragma unroll
  for (int i = 0; i < kKept; ++i)
    if (threadIdx.x + i * kThreads < quads) store(threadIdx.x + i * kThreads, kept[i]);
  for (std::uint32_t at = threadIdx.x + kKept * kThreads; at < quads; at += kThreads) store(at, x[at]);
}

__global__ void fill_rotary(const double* frequencies, std::uint32_t pairs, std::uint32_t positions, float2* out) {
  const std::uint32_t at = blockIdx.x * blockDim.x + threadIdx.x;
  if (at >= pairs * positions) return;
  double sine, cosine;
  sincos(static_cast<double>(at / pairs) * frequencies[at % pairs], &sine, &cosine);
  out[at] = make_float2(static_cast<float>(cosine), static_cast<float>(sine));
}

// Two neighbouring elements, with the bias, turned if there is an angle for them.
__device__ __forceinline__ std::uint32_t turned(std::uint32_t both, const float2* bias, const float2* turn) {
  float a = low_float(both), b = high_float(both);
  if (bias != nullptr) a += bias->x, b += bias->y;
  if (turn == nullptr) return bias == nullptr ? both : pack(a, b);
  const float2 cs = *turn;
  return pack(a * cs.x - b * cs.y, b * cs.x + a * cs.y);
}

// One block a row, eight neighbouring elements a thread and turn: queries, then keys, then values. Both head_dims are powers of two.
__global__ void rotate_and_store(RopeAndStore op) {
  wait_for_previous();
  let_next_begin();
  const std::uint32_t row = blockIdx.x;
  const std::uint32_t position = op.paged.positions[row];
  if (position == kNoPosition) return;
  const KvGeometry& geometry = op.paged.geometry;
  const std::uint32_t eights = geometry.head_dim / 8, shift = 31 - __clz(eights);
  const std::uint32_t heads = op.heads + 2 * geometry.kv_heads;
  auto* qkv = reinterpret_cast<uint4*>(op.qkv) + std::size_t{row} * heads * eights;
  const auto* table = reinterpret_cast<const float2*>(op.rotary) + std::size_t{position} * op.pairs;
  const std::uint32_t block = op.paged.tables[std::size_t{op.paged.sequences[row]} * op.paged.table_stride + position / geometry.block_tokens];
  std::byte* slots = op.paged.pool + block * geometry.block_bytes() + position % geometry.block_tokens * geometry.row_bytes();
  for (std::uint32_t at = threadIdx.x; at < heads * eights; at += blockDim.x) {
    const std::uint32_t head = at >> shift, first_pair = (at & (eights - 1)) * 4;
    const auto* bias = op.bias == nullptr ? nullptr : reinterpret_cast<const float2*>(op.bias) + at * 4;
    const auto* turn = head < op.heads + geometry.kv_heads && first_pair < op.pairs ? table + first_pair : nullptr;
    const auto part = [&](std::uint32_t both, int i) { return turned(both, bias == nullptr ? nullptr : bias + i, turn == nullptr ? nullptr : turn + i); };
    uint4 eight = qkv[at];
    eight = make_uint4(part(eight.x, 0), part(eight.y, 1), part(eight.z, 2), part(eight.w, 3));
    if (head < op.heads) {
      qkv[at] = eight;
    } else {
      const bool value = head >= op.heads + geometry.kv_heads;
      const std::uint32_t kv_head = head - op.heads - (value ? geometry.kv_heads : 0);
      reinterpret_cast<uint4*>(slots + geometry.row_offset(kv_head, op.layer, value, 0))[at & (eights - 1)] = eight;
    }
  }
}

__device__ __forceinline__ float silu(float x) { return x / (1.0F + __expf(-x)); }

__global__ void __launch_bounds__(kThreads) multiply_gated(SiluMultiply op) {
  wait_for_previous();
  let_next_begin();
  const std::uint32_t at = blockIdx.x * kThreads + threadIdx.x;
  if (at >= op.width / 8) return;
  const auto* gate = reinterpret_cast<const uint4*>(op.gate_up + std::size_t{blockIdx.y} * 2 * op.width) + at;
  const uint4 g = *gate, u = gate[op.width / 8];
  const auto both = [](std::uint32_t a, std::uint32_t b) { return pack(silu(low_float(a)) * low_float(b), silu(high_float(a)) * high_float(b)); };
  reinterpret_cast<uint4*>(op.out + std::size_t{blockIdx.y} * op.width)[at] = make_uint4(both(g.x, u.x), both(g.y, u.y), both(g.z, u.z), both(g.w, u.w));
}

__global__ void fill_uniform(Bf16* out, std::size_t count, std::uint64_t seed, float magnitude) {
  for (std::size_t i = std::size_t{blockIdx.x} * blockDim.x + threadIdx.x; i < count; i += std::size_t{gridDim.x} * blockDim.x) {
    std::uint64_t x = seed + i * 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    const float unit = static_cast<float>((x >> 40) & 0xffffffu) * 0x1p-23F - 1.0F;
    out[i].bits = static_cast<std::uint16_t>(pack(unit * magnitude, 0) & 0xffffu);
  }
}

}  // namespace

void embed(Stream stream, const Embed& op) {
  if (op.rows != 0) launch("embed", embed_rows, dim3(op.rows), dim3(128), 0, stream, 1, op);
}

void rms_norm(Stream stream, const RmsNorm& op) {
  if (op.rows != 0) launch("rms_norm", normalize_rows, dim3(op.rows), dim3(kThreads), 0, stream, 1, op);
}

void rotary_table(Stream stream, const double* frequencies, std::uint32_t pairs, std::uint32_t positions, float* out) {
  fill_rotary<<<(pairs * positions + kThreads - 1) / kThreads, kThreads, 0, stream>>>(frequencies, pairs, positions, reinterpret_cast<float2*>(out));
  require_launched("rotary_table");
}

void rope_and_store(Stream stream, const RopeAndStore& op) {
  if (op.rows != 0) launch("rope_and_store", rotate_and_store, dim3(op.rows), dim3(kThreads), 0, stream, 1, op);
}

void silu_multiply(Stream stream, const SiluMultiply& op) {
  const dim3 grid((op.width / 8 + kThreads - 1) / kThreads, op.rows);
  if (op.rows != 0) launch("silu_multiply", multiply_gated, grid, dim3(kThreads), 0, stream, 1, op);
}

void fill_random(Stream stream, Bf16* out, std::size_t count, std::uint64_t seed, float magnitude) {
  fill_uniform<<<1024, kThreads, 0, stream>>>(out, count, seed, magnitude);
  require_launched("fill_random");
}

}  // namespace baton::cuda
