// SPDX-License-Identifier: Apache-2.0
// Avx2Lanes: ScalarLanes in one AVX2 register. Only *_avx2.cc files include this. Everything here has internal linkage and
// no standard-library inline function is used: the linker must never pick an AVX2 copy of a symbol that others share.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

namespace baton::cpu {
namespace {

struct Avx2Lanes {
  __m256 value;

  static Avx2Lanes broadcast(float from) { return {_mm256_set1_ps(from)}; }
  static Avx2Lanes load(const float* from) { return {_mm256_loadu_ps(from)}; }
  static Avx2Lanes load_half(const std::byte* from) {
    return {_mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)))};
  }
  static Avx2Lanes load_bfloat(const std::byte* from) {
    const __m256i wide = _mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
    return {_mm256_castsi256_ps(_mm256_slli_epi32(wide, 16))};
  }
  void store(float* to) const { _mm256_storeu_ps(to, value); }
  void store_half(std::byte* to) const {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm256_cvtps_ph(value, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
  }
  void store_bfloat(std::byte* to) const {
    const __m256i bits = _mm256_castps_si256(value);
    const __m256i high = _mm256_srli_epi32(bits, 16);
    const __m256i bias = _mm256_add_epi32(_mm256_and_si256(high, _mm256_set1_epi32(1)), _mm256_set1_epi32(0x7fff));
    const __m256i rounded = _mm256_srli_epi32(_mm256_add_epi32(bits, bias), 16);
    const __m256i quiet = _mm256_or_si256(high, _mm256_set1_epi32(0x40));
    const __m256i is_nan = _mm256_castps_si256(_mm256_cmp_ps(value, value, _CMP_UNORD_Q));
    const __m256i result = _mm256_blendv_epi8(rounded, quiet, is_nan);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to),
                     _mm_packus_epi32(_mm256_castsi256_si128(result), _mm256_extracti128_si256(result, 1)));
  }
};

inline Avx2Lanes add(Avx2Lanes a, Avx2Lanes b) { return {_mm256_add_ps(a.value, b.value)}; }
inline Avx2Lanes subtract(Avx2Lanes a, Avx2Lanes b) { return {_mm256_sub_ps(a.value, b.value)}; }
inline Avx2Lanes multiply(Avx2Lanes a, Avx2Lanes b) { return {_mm256_mul_ps(a.value, b.value)}; }
inline Avx2Lanes divide(Avx2Lanes a, Avx2Lanes b) { return {_mm256_div_ps(a.value, b.value)}; }
inline Avx2Lanes multiply_add(Avx2Lanes a, Avx2Lanes b, Avx2Lanes c) { return {_mm256_fmadd_ps(a.value, b.value, c.value)}; }
inline Avx2Lanes maximum(Avx2Lanes a, Avx2Lanes b) { return {_mm256_max_ps(a.value, b.value)}; }
inline Avx2Lanes minimum(Avx2Lanes a, Avx2Lanes b) { return {_mm256_min_ps(a.value, b.value)}; }
inline Avx2Lanes select_less(Avx2Lanes a, Avx2Lanes b, Avx2Lanes yes, Avx2Lanes no) {
  return {_mm256_blendv_ps(no.value, yes.value, _mm256_cmp_ps(a.value, b.value, _CMP_LT_OQ))};
}
inline Avx2Lanes keep_nan(Avx2Lanes a, Avx2Lanes b) {
  return {_mm256_blendv_ps(b.value, a.value, _mm256_cmp_ps(a.value, a.value, _CMP_UNORD_Q))};
}
inline Avx2Lanes scale_by_power(Avx2Lanes value, Avx2Lanes shifted) {
  const __m256i power = _mm256_slli_epi32(_mm256_castps_si256(shifted.value), 23);
  return {_mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(value.value), power))};
}
inline Avx2Lanes swap_pairs(Avx2Lanes a) { return {_mm256_permute_ps(a.value, 0xB1)}; }
inline float reduce_sum(Avx2Lanes low, Avx2Lanes high) {
  const __m256 eight = _mm256_add_ps(low.value, high.value);
  const __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
  const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps(two, two, 1)));
}

}  // namespace
}  // namespace baton::cpu
