// SPDX-License-Identifier: Apache-2.0
// AVX2 version of matmul_panels.cc. Idea: eight rows of a panel are the lanes; pmaddubsw multiplies four unsigned quants a row by
// four broadcast activations into two int16 sums, which a whole block cannot overflow as long as quants stay below 16
// (8 x 2 x 15 x 128 = 30720), so one pmaddwd per block and term widens them. Quants of eight bits are taken as two of four:
// 16 high + low. The integers are the same ones the other versions find.
#include <immintrin.h>

#include "kernels/cpu/matmul_panels.h"
#include "kernels/cpu/op_functions.h"

namespace baton::cpu::avx2 {
namespace {

// A block's eight groups of eight rows, numbers below 16. kQ8_0: the low halves in `low`, the high halves in `high`.
struct Quants {
  __m256i low[8];
  __m256i high[8];
};

template <WeightType kType>
inline void load_quants(const std::byte* from, Quants& w) {
  const __m256i mask = _mm256_set1_epi8(15);
  for (int g = 0; g < (kType == WeightType::kQ8_0 ? 8 : 4); ++g) {
    const __m256i packed = _mm256_load_si256(reinterpret_cast<const __m256i*>(from + g * 64));
    const __m256i low = _mm256_and_si256(packed, mask);
    const __m256i high = _mm256_and_si256(_mm256_srli_epi16(packed, 4), mask);
    w.low[g] = low;
    if constexpr (kType == WeightType::kQ8_0)
      w.high[g] = high;
    else
      w.low[g + 4] = high;
  }
}

inline __m256i broadcast_group(const std::int8_t* from) { return _mm256_set1_epi32(load_group(from)); }

// Sum over the block of one term's products with numbers below 16.
inline __m256i term_dot(const __m256i (&w)[8], const std::int8_t* values) {
  __m256i sum = _mm256_maddubs_epi16(w[0], broadcast_group(values));
  for (int g = 1; g < 8; ++g) sum = _mm256_add_epi16(sum, _mm256_maddubs_epi16(w[g], broadcast_group(values + g * 4)));
  return _mm256_madd_epi16(sum, _mm256_set1_epi16(1));
}

template <WeightType kType>
inline __m256i one_term(const Quants& w, const std::int8_t* values) {
  __m256i dot = term_dot(w.low, values);
  if constexpr (kType == WeightType::kQ8_0) dot = _mm256_add_epi32(dot, _mm256_slli_epi32(term_dot(w.high, values), 4));
  return dot;
}

template <WeightType kType, int kTerms>
inline __m256i block_dot(const Quants& w, const std::int8_t* values, std::int32_t integer_sum) {
  __m256i dot = one_term<kType>(w, values);
  if constexpr (kTerms == 2) dot = _mm256_add_epi32(_mm256_slli_epi32(dot, 8), one_term<kType>(w, values + kQuantBlock));
  if constexpr (kZeroShift<kType> != 0)
    dot = _mm256_sub_epi32(dot, _mm256_slli_epi32(_mm256_set1_epi32(integer_sum), kZeroShift<kType>));
  return dot;
}

inline __m256 load_halves(const std::byte* from) { return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from))); }

inline void store_rows(__m256 sums, std::uint32_t rows, bool add, float* out) {
  alignas(32) float all[8];
  _mm256_store_ps(all, sums);
  for (std::uint32_t r = 0; r < rows && r < 8; ++r) out[r] = add ? out[r] + all[r] : all[r];
}

// Eight rows (the first or second half of a panel) with kTokens tokens from `first` on.
template <WeightType kType, int kTerms, int kTokens>
inline void half_panel(const MatmulPanels& a, const std::byte* panel, std::uint32_t half, std::uint32_t first, std::uint32_t rows,
                       float* out) {
  const std::byte* quants = panel + a.weights.quants_offset() + half * 32;
  const std::byte* scales = panel + half * 16;
  const std::byte* minima = scales + a.weights.scale_bytes();
  __m256 sums[kTokens];
  for (int t = 0; t < kTokens; ++t) sums[t] = _mm256_setzero_ps();
  for (std::uint32_t b = 0; b < a.weights.blocks(); ++b, quants += kQuantBytes<kType>) {
    if (half == 0 && first == 0) prefetch_block<kType>(panel, b);
    Quants w;
    load_quants<kType>(quants, w);
    const __m256 d = load_halves(scales + b * 32);
    __m256 m = _mm256_setzero_ps();
    if constexpr (kHasMinimum<kType>) m = load_halves(minima + b * 32);
    const std::size_t at = static_cast<std::size_t>(b) * a.tokens + first;
    for (int t = 0; t < kTokens; ++t) {
      const __m256i dot = block_dot<kType, kTerms>(w, a.values + (at + t) * kTerms * kQuantBlock, a.integer_sums[at + t]);
      const __m256 scale = _mm256_mul_ps(d, _mm256_set1_ps(a.scales[at + t]));
      sums[t] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(dot), scale, sums[t]);
      if constexpr (kHasMinimum<kType>) sums[t] = _mm256_fmadd_ps(m, _mm256_set1_ps(a.sums[at + t]), sums[t]);
    }
  }
  for (int t = 0; t < kTokens; ++t) store_rows(sums[t], rows, a.add, out + (first + t) * a.out_stride);
}

template <WeightType kType, int kTerms>
void matmul_typed(const MatmulPanels& a) {
  for (std::uint32_t index = a.panel_begin; index < a.panel_end; ++index)
    for (std::uint32_t half = 0; half < 2; ++half) {
      const std::uint32_t row = index * kPanelRows + half * 8;
      if (row >= a.weights.rows) break;
      const std::uint32_t rows = a.weights.rows - row;
      float* out = a.out + (row - a.panel_begin * kPanelRows);
      const std::byte* panel = a.weights.panel(index);
      std::uint32_t t = 0;
      for (; t + 4 <= a.tokens; t += 4) half_panel<kType, kTerms, 4>(a, panel, half, t, rows, out);
      for (; t < a.tokens; ++t) half_panel<kType, kTerms, 1>(a, panel, half, t, rows, out);
    }
}

}  // namespace

void matmul_panels(const MatmulPanels& a) {
  run_for_type(a, [&]<WeightType kType, int kTerms>() { matmul_typed<kType, kTerms>(a); });
}

}  // namespace baton::cpu::avx2
