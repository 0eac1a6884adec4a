// SPDX-License-Identifier: Apache-2.0
// AVX-512 VNNI version of matmul_panels.cc. Idea: the 16 rows of a panel are the lanes; a block's 8 column groups sit in 8
// registers of unsigned bytes, and vpdpbusd multiplies each by one group of four activations, broadcast straight from memory.
// One block of kTokens tokens costs 8 (one term) or 16 (two) such products a token, plus shift, conversion, scale and one or
// two fused multiply-adds; no shuffles. Two terms meet in one accumulator: (sum of firsts) << 8, then the seconds are added.
// Memory: weights stream once per call and are asked for ahead; activations, [block][token], stay in the first-level cache.
#include <immintrin.h>

#include "kernels/cpu/matmul_panels.h"
#include "kernels/cpu/op_functions.h"

namespace baton::cpu::avx512 {
namespace {

template <WeightType kType>
inline void load_quants(const std::byte* from, __m512i (&w)[8]) {
  if constexpr (kType == WeightType::kQ8_0) {
    for (int g = 0; g < 8; ++g) w[g] = _mm512_load_si512(from + g * 64);
  } else {
    const __m512i mask = _mm512_set1_epi8(15);
    for (int g = 0; g < 4; ++g) {
      const __m512i packed = _mm512_load_si512(from + g * 64);
      w[g] = _mm512_and_si512(packed, mask);
      w[g + 4] = _mm512_and_si512(_mm512_srli_epi16(packed, 4), mask);
    }
  }
}

inline __m512i broadcast_group(const std::int8_t* from) { return _mm512_set1_epi32(load_group(from)); }

// Integer dots of one block's 16 rows with kTokens (1..4) tokens.
template <WeightType kType, int kTerms, int kTokens>
inline void block_dots(const __m512i (&w)[8], const std::int8_t* values, const std::int32_t* integer_sums, __m512i (&dots)[kTokens]) {
  for (int t = 0; t < kTokens; ++t) dots[t] = _mm512_setzero_si512();
  for (int g = 0; g < 8; ++g)
    for (int t = 0; t < kTokens; ++t)
      dots[t] = _mm512_dpbusd_epi32(dots[t], w[g], broadcast_group(values + t * kTerms * 32 + g * 4));
  if constexpr (kTerms == 2) {
    for (int t = 0; t < kTokens; ++t) dots[t] = _mm512_slli_epi32(dots[t], 8);
    for (int g = 0; g < 8; ++g)
      for (int t = 0; t < kTokens; ++t)
        dots[t] = _mm512_dpbusd_epi32(dots[t], w[g], broadcast_group(values + t * 64 + 32 + g * 4));
  }
  if constexpr (kZeroShift<kType> != 0)
    for (int t = 0; t < kTokens; ++t)
      dots[t] = _mm512_sub_epi32(dots[t], _mm512_slli_epi32(_mm512_set1_epi32(integer_sums[t]), kZeroShift<kType>));
}

// One panel with kTokens tokens from `first` on.
template <WeightType kType, int kTerms, int kTokens>
inline void panel_tile(const MatmulPanels& a, const std::byte* panel, std::uint32_t first, __mmask16 rows, float* out) {
  constexpr int kGroup = kTokens < 4 ? kTokens : 4;
  const std::uint32_t blocks = a.weights.blocks();
  const std::byte* quants = panel + a.weights.quants_offset();
  const std::byte* minima = panel + a.weights.scale_bytes();
  __m512 sums[kTokens];
  for (int t = 0; t < kTokens; ++t) sums[t] = _mm512_setzero_ps();
  for (std::uint32_t b = 0; b < blocks; ++b, quants += kQuantBytes<kType>) {
    if (first == 0) prefetch_block<kType>(panel, b);
    __m512i w[8];
    load_quants<kType>(quants, w);
    const __m512 d = _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(panel + b * 32)));
    __m512 m = _mm512_setzero_ps();
    if constexpr (kHasMinimum<kType>) m = _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(minima + b * 32)));
    const std::size_t at = static_cast<std::size_t>(b) * a.tokens + first;
    for (int t = 0; t < kTokens; t += kGroup) {
      __m512i dots[kGroup];
      block_dots<kType, kTerms, kGroup>(w, a.values + (at + t) * kTerms * 32, a.integer_sums + at + t, dots);
      for (int i = 0; i < kGroup; ++i) {
        const __m512 scale = _mm512_mul_ps(d, _mm512_set1_ps(a.scales[at + t + i]));
        sums[t + i] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(dots[i]), scale, sums[t + i]);
        if constexpr (kHasMinimum<kType>) sums[t + i] = _mm512_fmadd_ps(m, _mm512_set1_ps(a.sums[at + t + i]), sums[t + i]);
      }
    }
  }
  for (int t = 0; t < kTokens; ++t) {
    float* to = out + (first + t) * a.out_stride;
    if (a.add) sums[t] = _mm512_add_ps(_mm512_maskz_loadu_ps(rows, to), sums[t]);
    _mm512_mask_storeu_ps(to, rows, sums[t]);
  }
}

template <WeightType kType, int kTerms>
void matmul_typed(const MatmulPanels& a) {
  for (std::uint32_t index = a.panel_begin; index < a.panel_end; ++index) {
    const std::byte* panel = a.weights.panel(index);
    const std::uint32_t left = a.weights.rows - index * kPanelRows;
    const auto rows = static_cast<__mmask16>(left >= kPanelRows ? 0xffffu : (1u << left) - 1);
    float* out = a.out + std::size_t{index - a.panel_begin} * kPanelRows;
    std::uint32_t t = 0;
    for (; t + 8 <= a.tokens; t += 8) panel_tile<kType, kTerms, 8>(a, panel, t, rows, out);
    if (t + 4 <= a.tokens) panel_tile<kType, kTerms, 4>(a, panel, t, rows, out), t += 4;
    if (t + 2 <= a.tokens) panel_tile<kType, kTerms, 2>(a, panel, t, rows, out), t += 2;
    if (t < a.tokens) panel_tile<kType, kTerms, 1>(a, panel, t, rows, out);
  }
}

}  // namespace

void matmul_panels(const MatmulPanels& a) {
  run_for_type(a, [&]<WeightType kType, int kTerms>() { matmul_typed<kType, kTerms>(a); });
}

}  // namespace baton::cpu::avx512
