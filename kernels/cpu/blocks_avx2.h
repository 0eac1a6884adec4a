// SPDX-License-Identifier: Apache-2.0
// Weight blocks of 32 in AVX2 registers: scales as float, quants as two registers of 16 int16 in element order.
// Internal linkage, intrinsics only (see lanes_avx2.h).
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "kernels/weight_view.h"

namespace baton::cpu {
namespace {

template <WeightType kType>
inline constexpr std::size_t kBlockBytes = kType == WeightType::kQ8_0 ? 34 : kType == WeightType::kQ4_0 ? 18 : 20;

inline std::uint16_t load_u16(const std::byte* from) {
  std::uint16_t value;
  __builtin_memcpy(&value, from, sizeof value);
  return value;
}

inline float load_half_scalar(const std::byte* from) { return _cvtsh_ss(load_u16(from)); }

struct Quants {
  __m256i low;   // elements 0..15
  __m256i high;  // elements 16..31
};

template <WeightType kType>
inline Quants unpack_block(const std::byte* block) {
  if constexpr (kType == WeightType::kQ8_0) {
    const auto* quants = reinterpret_cast<const __m128i*>(block + 2);
    return {_mm256_cvtepi8_epi16(_mm_loadu_si128(quants)), _mm256_cvtepi8_epi16(_mm_loadu_si128(quants + 1))};
  } else {
    const __m128i packed = _mm_loadu_si128(reinterpret_cast<const __m128i*>(block + (kType == WeightType::kQ4_0 ? 2 : 4)));
    const __m128i mask = _mm_set1_epi8(15);
    Quants quants{_mm256_cvtepu8_epi16(_mm_and_si128(packed, mask)),
                  _mm256_cvtepu8_epi16(_mm_and_si128(_mm_srli_epi16(packed, 4), mask))};
    if constexpr (kType == WeightType::kQ4_0) {
      quants.low = _mm256_sub_epi16(quants.low, _mm256_set1_epi16(8));
      quants.high = _mm256_sub_epi16(quants.high, _mm256_set1_epi16(8));
    }
    return quants;
  }
}

}  // namespace
}  // namespace baton::cpu
