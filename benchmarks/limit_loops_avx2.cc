// SPDX-License-Identifier: Apache-2.0
#include <immintrin.h>

#include "benchmarks/limit_loops.h"

namespace baton::limit_loops {
namespace {

std::uint64_t sum_of(__m256i lanes) {
  alignas(32) std::uint64_t words[4];
  _mm256_store_si256(reinterpret_cast<__m256i*>(words), lanes);
  return words[0] + words[1] + words[2] + words[3];
}

}  // namespace

std::uint64_t read_avx2(const std::byte* memory, std::size_t bytes) {
  constexpr std::size_t kChains = 8;
  __m256i sums[kChains];
  for (__m256i& sum : sums) sum = _mm256_setzero_si256();
  for (std::size_t at = 0; at < bytes; at += sizeof sums)
    for (std::size_t chain = 0; chain < kChains; ++chain)
      sums[chain] = _mm256_add_epi64(sums[chain], _mm256_load_si256(reinterpret_cast<const __m256i*>(memory + at) + chain));
  std::uint64_t sum = 0;
  for (const __m256i& each : sums) sum += sum_of(each);
  return sum;
}

std::uint64_t dots_avx2(std::uint64_t turns, std::int32_t& sink) {
  constexpr int kChains = 8;
  __m256i sums[kChains];
  for (int chain = 0; chain < kChains; ++chain) sums[chain] = _mm256_set1_epi32(chain + sink);
  __m256i left = _mm256_set1_epi8(3), right = _mm256_set1_epi8(static_cast<char>(sink));
  const __m256i ones = _mm256_set1_epi16(1);
  for (std::uint64_t turn = 0; turn < turns; ++turn) {
    asm volatile("" : "+x"(left), "+x"(right));  // else the product is taken out of the loop
    for (__m256i& sum : sums) {
      __m256i own = left;
      asm volatile("" : "+x"(own));
      sum = _mm256_add_epi32(sum, _mm256_madd_epi16(_mm256_maddubs_epi16(own, right), ones));
    }
  }
  __m256i all = sums[0];
  for (int chain = 1; chain < kChains; ++chain) all = _mm256_xor_si256(all, sums[chain]);
  sink = static_cast<std::int32_t>(sum_of(all));
  return turns * kChains * 32 * 2;
}

std::uint64_t multiply_add_avx2(std::uint64_t turns, float& sink) {
  constexpr int kChains = 12;
  __m256 sums[kChains];
  for (int chain = 0; chain < kChains; ++chain) sums[chain] = _mm256_set1_ps(sink + static_cast<float>(chain));
  const __m256 left = _mm256_set1_ps(0.5F), right = _mm256_set1_ps(0.25F);  // converges: no overflow, nothing subnormal
  for (std::uint64_t turn = 0; turn < turns; ++turn)
    for (__m256& sum : sums) sum = _mm256_fmadd_ps(sum, left, right);
  alignas(64) float all[8] = {};
  for (const __m256& each : sums) _mm256_store_ps(all, _mm256_add_ps(_mm256_load_ps(all), each));
  sink = all[0];
  return turns * kChains * 8 * 2;
}

}  // namespace baton::limit_loops
