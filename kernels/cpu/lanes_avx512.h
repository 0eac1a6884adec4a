// SPDX-License-Identifier: Apache-2.0
// Avx512Lanes: sixteen float lanes in one register, with what lanes_math.h asks for. Lane i of a row's sums is lane i mod 16, as
// in the pairs of eight that the other versions keep, so sums come out with the same bits. Only *_avx512.cc files include
// this; internal linkage and intrinsics only (see lanes_avx2.h).
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

namespace baton::cpu {
namespace {

struct Avx512Lanes {
  __m512 value;
  static Avx512Lanes broadcast(float from) { return {_mm512_set1_ps(from)}; }
};

inline Avx512Lanes add(Avx512Lanes a, Avx512Lanes b) { return {_mm512_add_ps(a.value, b.value)}; }
inline Avx512Lanes subtract(Avx512Lanes a, Avx512Lanes b) { return {_mm512_sub_ps(a.value, b.value)}; }
inline Avx512Lanes multiply(Avx512Lanes a, Avx512Lanes b) { return {_mm512_mul_ps(a.value, b.value)}; }
inline Avx512Lanes multiply_add(Avx512Lanes a, Avx512Lanes b, Avx512Lanes c) { return {_mm512_fmadd_ps(a.value, b.value, c.value)}; }
inline Avx512Lanes maximum(Avx512Lanes a, Avx512Lanes b) { return {_mm512_max_ps(a.value, b.value)}; }
inline Avx512Lanes minimum(Avx512Lanes a, Avx512Lanes b) { return {_mm512_min_ps(a.value, b.value)}; }
inline Avx512Lanes select_less(Avx512Lanes a, Avx512Lanes b, Avx512Lanes yes, Avx512Lanes no) {
  return {_mm512_mask_blend_ps(_mm512_cmp_ps_mask(a.value, b.value, _CMP_LT_OQ), no.value, yes.value)};
}
inline Avx512Lanes keep_nan(Avx512Lanes a, Avx512Lanes b) {
  return {_mm512_mask_blend_ps(_mm512_cmp_ps_mask(a.value, a.value, _CMP_UNORD_Q), b.value, a.value)};
}
inline Avx512Lanes scale_by_power(Avx512Lanes value, Avx512Lanes shifted) {
  const __m512i power = _mm512_slli_epi32(_mm512_castps_si512(shifted.value), 23);
  return {_mm512_castsi512_ps(_mm512_add_epi32(_mm512_castps_si512(value.value), power))};
}

// Halves folded onto each other, 16 -> 8 -> 4 -> 2 -> 1.
inline float reduce_sum(__m512 lanes) {
  const __m256 eight = _mm256_add_ps(_mm512_castps512_ps256(lanes), _mm512_extractf32x8_ps(lanes, 1));
  const __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
  const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps(two, two, 1)));
}

// The first `count` of 16 lanes; all from 16 on.
inline __mmask16 first_lanes(std::uint32_t count) { return static_cast<__mmask16>(count >= 16 ? 0xffffu : (1u << count) - 1); }

}  // namespace
}  // namespace baton::cpu
