// SPDX-License-Identifier: Apache-2.0
#include <immintrin.h>

#include "benchmarks/limit_loops.h"

namespace baton::limit_loops {
namespace {

std::uint64_t sum_of(__m512i lanes) {
  alignas(64) std::uint64_t words[8];
  _mm512_store_si512(words, lanes);
  std::uint64_t sum = 0;
  for (const std::uint64_t each : words) sum += each;
  return sum;
}

template <bool kAhead>
std::uint64_t read_lines(const std::byte* memory, std::size_t bytes) {
  constexpr std::size_t kChains = 8;
  __m512i sums[kChains];
  for (__m512i& sum : sums) sum = _mm512_setzero_si512();
  for (std::size_t at = 0; at < bytes; at += sizeof sums)
    for (std::size_t chain = 0; chain < kChains; ++chain) {
      if constexpr (kAhead) _mm_prefetch(reinterpret_cast<const char*>(memory) + at + chain * 64 + 8192, _MM_HINT_T1);
      sums[chain] = _mm512_add_epi64(sums[chain], _mm512_load_si512(memory + at + chain * 64));
    }
  std::uint64_t sum = 0;
  for (const __m512i& each : sums) sum += sum_of(each);
  return sum;
}

}  // namespace

std::uint64_t read_avx512(const std::byte* memory, std::size_t bytes) { return read_lines<false>(memory, bytes); }
std::uint64_t read_avx512_ahead(const std::byte* memory, std::size_t bytes) { return read_lines<true>(memory, bytes); }

std::uint64_t dots_avx512(std::uint64_t turns, std::int32_t& sink) {
  constexpr int kChains = 12;  // more than latency times throughput of vpdpbusd on any CPU that has it
  __m512i sums[kChains];
  for (int chain = 0; chain < kChains; ++chain) sums[chain] = _mm512_set1_epi32(chain + sink);
  const __m512i left = _mm512_set1_epi8(3), right = _mm512_set1_epi8(static_cast<char>(sink));
  for (std::uint64_t turn = 0; turn < turns; ++turn)
    for (__m512i& sum : sums) sum = _mm512_dpbusd_epi32(sum, left, right);
  __m512i all = sums[0];
  for (int chain = 1; chain < kChains; ++chain) all = _mm512_xor_si512(all, sums[chain]);
  sink = static_cast<std::int32_t>(sum_of(all));
  return turns * kChains * 64 * 2;
}

std::uint64_t multiply_add_avx512(std::uint64_t turns, float& sink) {
  constexpr int kChains = 12;
  __m512 sums[kChains];
  for (int chain = 0; chain < kChains; ++chain) sums[chain] = _mm512_set1_ps(sink + static_cast<float>(chain));
  const __m512 left = _mm512_set1_ps(0.5F), right = _mm512_set1_ps(0.25F);  // converges: no overflow, nothing subnormal
  for (std::uint64_t turn = 0; turn < turns; ++turn)
    for (__m512& sum : sums) sum = _mm512_fmadd_ps(sum, left, right);
  alignas(64) float all[16] = {};
  for (const __m512& each : sums) _mm512_store_ps(all, _mm512_add_ps(_mm512_load_ps(all), each));
  sink = all[0];
  return turns * kChains * 16 * 2;
}

}  // namespace baton::limit_loops
