// SPDX-License-Identifier: Apache-2.0
// The content digest of KV blocks where they lie: kvstore/digest.h's sum of kernels/cpu/row_hash.h's hashes. Eight lanes a row, 16
// bytes each at a time; rows fit into one round of the hash's keys, so that its order does not matter.
#include "kernels/cuda/launch.cuh"

#include "kernels/cpu/row_hash.h"
#include "runtime/base/check.h"
#include "runtime/base/hash.h"

namespace baton::cuda {
namespace {

using Word = std::uint64_t;

constexpr std::uint32_t kThreads = 128;
constexpr std::uint32_t kLanes = 8;  // of a row

__device__ __forceinline__ Word fold(Word word, Word key) {
  const Word keyed = word ^ key;
  return (keyed & 0xffffffffu) * (keyed >> 32) + ((word << 32) | (word >> 32));
}

__global__ void clear_digests(Word* digests, std::uint32_t count) {
  wait_for_previous();
  const std::uint32_t i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < count) digests[i] = 0;
}

// A block of threads has a share of one block's rows.
template <int kRowBytes>
__global__ void __launch_bounds__(kThreads) add_digests(KvGeometry geometry, const std::byte* pool, const DigestBlock* blocks, Word* digests) {
  constexpr int kPieces = kRowBytes / (16 * kLanes);  // of a lane
  static_assert(kRowBytes / sizeof(Word) <= cpu::kRowHashWords);
  wait_for_previous();
  const DigestBlock block = blocks[blockIdx.y];
  const std::uint32_t lane = threadIdx.x % kLanes, step = gridDim.x * kThreads / kLanes;
  const std::uint32_t rows = geometry.kv_heads * geometry.layers * 2 * geometry.block_tokens;
  const std::byte* base = pool + block.block * geometry.block_bytes();
  Word keys[kPieces][2];
#pragma unroll
  for (int i = 0; i < kPieces; ++i) keys[i][0] = mix64(2 * (i * kLanes + lane) + 1), keys[i][1] = mix64(2 * (i * kLanes + lane) + 2);
  Word sum = 0;
  // Whole warps go round together: rows past the end count nothing.
  for (std::uint32_t first = blockIdx.x * (kThreads / kLanes); first < rows; first += step) {
    const std::uint32_t row = first + threadIdx.x / kLanes;
    const std::uint32_t slot = row % geometry.block_tokens, plane = row / geometry.block_tokens;
    const bool valid = row < rows && slot < block.tokens;
    Word folded = 0;
#pragma unroll
    for (int i = 0; i < kPieces; ++i) {
      if (!valid) continue;
      const auto* words = reinterpret_cast<const ulonglong2*>(base + std::size_t{row} * kRowBytes) + i * kLanes + lane;
      folded += fold(words->x, keys[i][0]) + fold(words->y, keys[i][1]);
    }
#pragma unroll
    for (int other = kLanes / 2; other > 0; other >>= 1) folded += __shfl_xor_sync(0xffffffffu, folded, other);
    if (!valid || lane != 0) continue;
    const Word head = plane / (2 * geometry.layers), layer = plane / 2 % geometry.layers;
    const Word key = (head << 40) | (layer << 8) | (plane & 1);
    sum += mix64(folded ^ (mix64(key + 1) + (block.first_position + slot) * cpu::kRowTagStep));
  }
#pragma unroll
  for (int other = 16; other > 0; other >>= 1) sum += __shfl_xor_sync(0xffffffffu, sum, other);
  if (threadIdx.x % 32 == 0) atomicAdd(reinterpret_cast<unsigned long long*>(digests + blockIdx.y), sum);
}

template <int kRowBytes>
void launch_digests(Stream stream, const KvGeometry& geometry, const std::byte* pool, const DigestBlock* blocks, std::uint32_t count, Word* digests) {
  const std::uint32_t rows = geometry.kv_heads * geometry.layers * 2 * geometry.block_tokens;
  launch("block_digests", add_digests<kRowBytes>, dim3(min((rows + 15) / 16, 64u), count), dim3(kThreads), 0, stream, 1, geometry, pool, blocks, digests);
}

}  // namespace

void block_digests(Stream stream, const KvGeometry& geometry, const std::byte* pool, const DigestBlock* blocks, std::uint32_t count, std::uint64_t* digests) {
  if (count == 0) return;
  CHECK(geometry.row_bytes() == 128 || geometry.row_bytes() == 256, "rows of a length that has no digest here");
  launch("block_digests", clear_digests, dim3((count + 127) / 128), dim3(128), 0, stream, 1, digests, count);
  if (geometry.row_bytes() == 128) launch_digests<128>(stream, geometry, pool, blocks, count, digests);
  else launch_digests<256>(stream, geometry, pool, blocks, count, digests);
}

}  // namespace baton::cuda
