// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/quantize_row.h"

#include <immintrin.h>

#include "kernels/cpu/op_functions.h"

namespace baton::cpu::avx2 {
namespace {

inline std::uint32_t largest_magnitude(const __m256 (&x)[4]) {
  const __m256i mask = _mm256_set1_epi32(0x7fffffff);
  __m256i best = _mm256_and_si256(_mm256_castps_si256(x[0]), mask);
  for (int part = 1; part < 4; ++part) best = _mm256_max_epi32(best, _mm256_and_si256(_mm256_castps_si256(x[part]), mask));
  __m128i four = _mm_max_epi32(_mm256_castsi256_si128(best), _mm256_extracti128_si256(best, 1));
  four = _mm_max_epi32(four, _mm_shuffle_epi32(four, 0x4e));
  four = _mm_max_epi32(four, _mm_shuffle_epi32(four, 0xb1));
  return static_cast<std::uint32_t>(_mm_cvtsi128_si32(four));
}

inline std::int32_t sum_lanes(__m256i lanes) {
  __m128i four = _mm_add_epi32(_mm256_castsi256_si128(lanes), _mm256_extracti128_si256(lanes, 1));
  four = _mm_add_epi32(four, _mm_shuffle_epi32(four, 0x4e));
  four = _mm_add_epi32(four, _mm_shuffle_epi32(four, 0xb1));
  return _mm_cvtsi128_si32(four);
}

}  // namespace

void quantize_row(const float* x, std::uint32_t n, std::uint32_t tokens, std::int16_t* values, float* scales, float* sums) {
  for (std::uint32_t begin = 0; begin < n; begin += kQuantBlock) {
    const __m256 parts[4] = {_mm256_loadu_ps(x + begin), _mm256_loadu_ps(x + begin + 8), _mm256_loadu_ps(x + begin + 16),
                             _mm256_loadu_ps(x + begin + 24)};
    const BlockScale scale = block_scale(largest_magnitude(parts));
    const __m256 inverse = _mm256_set1_ps(scale.inverse);
    __m256i integers[4];
    for (int part = 0; part < 4; ++part) {
      const __m256 product = _mm256_mul_ps(parts[part], inverse);
      const __m256 number = _mm256_and_ps(product, _mm256_cmp_ps(product, product, _CMP_ORD_Q));  // NaN becomes 0
      integers[part] = _mm256_cvtps_epi32(number);
    }
    // packs works inside 128-bit halves; the permutation puts the quarters back in order.
    const __m256i low = _mm256_permute4x64_epi64(_mm256_packs_epi32(integers[0], integers[1]), 0xd8);
    const __m256i high = _mm256_permute4x64_epi64(_mm256_packs_epi32(integers[2], integers[3]), 0xd8);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(values), low);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(values + 16), high);
    const __m256i sum =
        _mm256_add_epi32(_mm256_add_epi32(integers[0], integers[1]), _mm256_add_epi32(integers[2], integers[3]));
    *scales = scale.scale;
    *sums = scale.scale * static_cast<float>(sum_lanes(sum));
    values += std::size_t{tokens} * kQuantBlock;
    scales += tokens;
    sums += tokens;
  }
}

}  // namespace baton::cpu::avx2
