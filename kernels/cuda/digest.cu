// SPDX-License-Identifier: Apache-2.0
// The content digest of KV blocks where they lie: kvstore/digest.h's sum of XXH3 hashes, one thread a row. XXH3 (Yann Collet,
// https://github.com/Cyan4973/xxHash, doc/xxhash_spec.md) for the two lengths of rows there are: 128 bytes (16-bit heads of 64)
// and 256. tests/gpu/ops holds it against the library.
#include "kernels/cuda/launch.cuh"

#include "runtime/base/check.h"
#include "runtime/base/hash.h"

namespace baton::cuda {
namespace {

using Word = std::uint64_t;

constexpr Word kPrime32[3] = {0x9E3779B1u, 0x85EBCA77u, 0xC2B2AE3Du};
constexpr Word kPrime64[5] = {0x9E3779B185EBCA87u, 0xC2B2AE3D27D4EB4Fu, 0x165667B19E3779F9u, 0x85EBCA77C2B2AE63u, 0x27D4EB2F165667C5u};

// XXH3's default secret as little-endian words.
__constant__ Word kSecret[24] = {
    0xbe4ba423396cfeb8u, 0x1cad21f72c81017cu, 0xdb979083e96dd4deu, 0x1f67b3b7a4a44072u, 0x78e5c0cc4ee679cbu, 0x2172ffcc7dd05a82u, 0x8e2443f7744608b8u, 0x4c263a81e69035e0u,
    0xcb00c391bb52283cu, 0xa32e531b8b65d088u, 0x4ef90da297486471u, 0xd8acdea946ef1938u, 0x3f349ce33f76faa8u, 0x1d4f0bc7c7bbdcf9u, 0x3159b4cd4be0518au, 0x647378d9c97e9fc8u,
    0xc3ebd33483acc5eau, 0xeb6313faffa081c5u, 0x49daf0b751dd0d17u, 0x9e68d429265516d3u, 0xfca1477d58be162bu, 0xce31d07ad1b8f88fu, 0x280416958f3acb45u, 0x7e404bbbcafbd7afu};

__device__ __forceinline__ Word fold(Word a, Word b) { return (a * b) ^ __umul64hi(a, b); }
__device__ __forceinline__ Word avalanche(Word h) {
  h ^= h >> 37;
  h *= 0x165667919E3779F9u;
  return h ^ (h >> 32);
}

// 128 bytes as 16 words: eight pairs, each with 16 bytes of the secret, from the outside inwards.
__device__ Word hash_128(const Word* row, Word seed) {
  Word sum = 128 * kPrime64[0];
#pragma unroll
  for (int i = 0; i < 8; ++i) {
    const int pair = i % 2 == 0 ? i / 2 : 7 - i / 2;
    sum += fold(row[2 * pair] ^ (kSecret[2 * i] + seed), row[2 * pair + 1] ^ (kSecret[2 * i + 1] - seed));
  }
  return avalanche(sum);
}

struct SeededSecret {
  Word word[24];
  __device__ explicit SeededSecret(Word seed) {
#pragma unroll
    for (int i = 0; i < 24; ++i) word[i] = i % 2 == 0 ? kSecret[i] + seed : kSecret[i] - seed;
  }
  __device__ __forceinline__ Word at(int byte) const {
    const int shift = byte % 8 * 8;
    return shift == 0 ? word[byte / 8] : (word[byte / 8] >> shift) | (word[byte / 8 + 1] << (64 - shift));
  }
};

__device__ __forceinline__ void accumulate(Word (&sums)[8], const Word* stripe, const SeededSecret& secret, int offset) {
#pragma unroll
  for (int i = 0; i < 8; ++i) {
    const Word value = stripe[i], key = value ^ secret.at(offset + 8 * i);
    sums[i ^ 1] += value;
    sums[i] += (key & 0xffffffffu) * (key >> 32);
  }
}

// kStripes: of 64 bytes, all in the one block of XXH3's that the secret spans.
template <int kStripes>
__device__ Word hash_long(const Word* row, Word seed) {
  const SeededSecret secret(seed);
  Word sums[8] = {kPrime32[2], kPrime64[0], kPrime64[1], kPrime64[2], kPrime64[3], kPrime32[1], kPrime64[4], kPrime32[0]};
#pragma unroll
  for (int i = 0; i < kStripes - 1; ++i) accumulate(sums, row + 8 * i, secret, 8 * i);
  accumulate(sums, row + 8 * (kStripes - 1), secret, 192 - 64 - 7);
  Word result = kStripes * 64 * kPrime64[0];
#pragma unroll
  for (int i = 0; i < 4; ++i) result += fold(sums[2 * i] ^ secret.at(11 + 16 * i), sums[2 * i + 1] ^ secret.at(19 + 16 * i));
  return avalanche(result);
}

template <int kRowBytes>
__device__ __forceinline__ Word hash_row(const Word* row, Word seed) {
  if constexpr (kRowBytes == 128) return hash_128(row, seed);
  else return hash_long<kRowBytes / 64>(row, seed);
}

__global__ void clear_digests(Word* digests, std::uint32_t count) {
  wait_for_previous();
  const std::uint32_t i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < count) digests[i] = 0;
}

// A block of threads has a share of one block's rows.
template <int kRowBytes>
__global__ void __launch_bounds__(128) add_digests(KvGeometry geometry, const std::byte* pool, const DigestBlock* blocks, Word* digests) {
  wait_for_previous();
  const DigestBlock block = blocks[blockIdx.y];
  const std::uint32_t rows = geometry.kv_heads * geometry.layers * 2 * geometry.block_tokens;
  const std::byte* base = pool + block.block * geometry.block_bytes();
  Word sum = 0;
  for (std::uint32_t row = blockIdx.x * blockDim.x + threadIdx.x; row < rows; row += gridDim.x * blockDim.x) {
    const std::uint32_t slot = row % geometry.block_tokens, plane = row / geometry.block_tokens;
    if (slot >= block.tokens) continue;
    const Word head = plane / (2 * geometry.layers), layer = plane / 2 % geometry.layers;
    const Word key = (head << 40) | (layer << 8) | (plane & 1);
    sum += hash_row<kRowBytes>(reinterpret_cast<const Word*>(base + std::size_t{row} * kRowBytes), mix64(key, block.first_position + slot));
  }
  for (int lane = 16; lane > 0; lane >>= 1) sum += __shfl_xor_sync(0xffffffffu, sum, lane);
  if (threadIdx.x % 32 == 0) atomicAdd(reinterpret_cast<unsigned long long*>(digests + blockIdx.y), sum);
}

template <int kRowBytes>
void launch_digests(Stream stream, const KvGeometry& geometry, const std::byte* pool, const DigestBlock* blocks, std::uint32_t count, Word* digests) {
  const std::uint32_t rows = geometry.kv_heads * geometry.layers * 2 * geometry.block_tokens;
  launch("block_digests", add_digests<kRowBytes>, dim3(min((rows + 127) / 128, 64u), count), dim3(128), 0, stream, 1, geometry, pool, blocks, digests);
}

}  // namespace

void block_digests(Stream stream, const KvGeometry& geometry, const std::byte* pool, const DigestBlock* blocks, std::uint32_t count, std::uint64_t* digests) {
  if (count == 0) return;
  launch("block_digests", clear_digests, dim3((count + 127) / 128), dim3(128), 0, stream, 1, digests, count);
  CHECK(geometry.row_bytes() == 128 || geometry.row_bytes() == 256, "rows of a length that has no digest here");
  if (geometry.row_bytes() == 128) launch_digests<128>(stream, geometry, pool, blocks, count, digests);
  else launch_digests<256>(stream, geometry, pool, blocks, count, digests);
}

}  // namespace baton::cuda
