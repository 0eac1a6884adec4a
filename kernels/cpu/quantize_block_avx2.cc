// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/quantize_block.h"

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

// packs works inside 128-bit halves; the permutation puts the quarters back in order.
inline __m256i pack_words(__m256i a, __m256i b) { return _mm256_permute4x64_epi64(_mm256_packs_epi32(a, b), 0xd8); }
inline void store_bytes(__m256i a, __m256i b, std::int8_t* to) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), _mm256_permute4x64_epi64(_mm256_packs_epi16(a, b), 0xd8));
}

}  // namespace

void quantize_block(const QuantizeBlock& a) {
  const float limit = largest_unit(a.terms);
  for (std::uint32_t token = 0; token < a.tokens; ++token) {
    const float* x = a.x + token * a.x_stride;
    const __m256 parts[4] = {_mm256_loadu_ps(x), _mm256_loadu_ps(x + 8), _mm256_loadu_ps(x + 16), _mm256_loadu_ps(x + 24)};
    const BlockScale scale = block_scale(largest_magnitude(parts), limit);
    const __m256 inverse = _mm256_set1_ps(scale.inverse);
    __m256i integers[4];
    for (int part = 0; part < 4; ++part) {
      const __m256 product = _mm256_mul_ps(parts[part], inverse);
      const __m256 number = _mm256_and_ps(product, _mm256_cmp_ps(product, product, _CMP_ORD_Q));  // NaN becomes 0
      integers[part] = _mm256_cvtps_epi32(number);
    }
    const __m256i low = pack_words(integers[0], integers[1]);
    const __m256i high = pack_words(integers[2], integers[3]);
    std::int8_t* terms = a.values + std::size_t{token} * a.terms * kQuantBlock;
    if (a.terms == 2) {
      const __m256i half = _mm256_set1_epi16(128);
      const __m256i first_low = _mm256_srai_epi16(_mm256_add_epi16(low, half), 8);
      const __m256i first_high = _mm256_srai_epi16(_mm256_add_epi16(high, half), 8);
      store_bytes(first_low, first_high, terms);
      store_bytes(_mm256_sub_epi16(low, _mm256_slli_epi16(first_low, 8)), _mm256_sub_epi16(high, _mm256_slli_epi16(first_high, 8)),
                  terms + kQuantBlock);
    } else {
      store_bytes(low, high, terms);
    }
    const std::int32_t sum =
        sum_lanes(_mm256_add_epi32(_mm256_add_epi32(integers[0], integers[1]), _mm256_add_epi32(integers[2], integers[3])));
    a.scales[token] = scale.scale;
    a.integer_sums[token] = sum;
    a.sums[token] = scale.scale * static_cast<float>(sum);
  }
}

}  // namespace baton::cpu::avx2
