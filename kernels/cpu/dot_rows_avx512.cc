// SPDX-License-Identifier: Apache-2.0
// AVX-512 version of dot_rows.h: a (row, token) keeps its 16 partial sums in one register, four rows meet four tokens at a time, so
// that eight loads feed sixteen multiply-adds. The same lanes, the same order, the same bits.
#include "kernels/cpu/lanes_avx512.h"
#include "kernels/cpu/op_functions.h"

namespace baton::cpu::avx512 {
namespace {

template <int kTokens>
[[gnu::always_inline]] inline void dot_tile(const DotRows& a, const float* const (&rows)[kFloatRows], std::uint32_t first) {
  const float* x[kTokens];
  __m512 sums[kFloatRows][kTokens];
  for (int t = 0; t < kTokens; ++t) {
    x[t] = a.x + static_cast<std::size_t>(first + t) * a.columns;
    for (std::uint32_t r = 0; r < kFloatRows; ++r) sums[r][t] = _mm512_setzero_ps();
  }
  const auto step = [&](std::uint32_t k, auto load) {
    __m512 token[kTokens];
    for (int t = 0; t < kTokens; ++t) token[t] = load(x[t] + k);
    for (std::uint32_t r = 0; r < kFloatRows; ++r) {
      const __m512 row = load(rows[r] + k);
      for (int t = 0; t < kTokens; ++t) sums[r][t] = _mm512_fmadd_ps(row, token[t], sums[r][t]);
    }
  };
  std::uint32_t k = 0;
  for (; k + 16 <= a.columns; k += 16) step(k, [](const float* from) { return _mm512_loadu_ps(from); });
  if (k < a.columns) {
    const __mmask16 mask = first_lanes(a.columns - k);
    step(k, [mask](const float* from) { return _mm512_maskz_loadu_ps(mask, from); });
  }
  for (int t = 0; t < kTokens; ++t) {
    float dots[kFloatRows];  // all of them, by constant indices: with a count for an index the sums would live in memory
    for (std::uint32_t r = 0; r < kFloatRows; ++r) dots[r] = reduce_sum(sums[r][t]);
    float* out = a.out + (first + t) * a.out_stride;
    for (std::uint32_t r = 0; r < a.count; ++r) out[r] = a.add ? out[r] + dots[r] : dots[r];
  }
}

}  // namespace

void dot_rows(const DotRows& a) {
  const float* rows[kFloatRows];
  // A tile that is short repeats its last row; the repeats are not stored.
  for (std::uint32_t r = 0; r < kFloatRows; ++r) rows[r] = a.rows[r < a.count ? r : a.count - 1];
  std::uint32_t t = 0;
  for (; t + 4 <= a.tokens; t += 4) dot_tile<4>(a, rows, t);
  for (; t < a.tokens; ++t) dot_tile<1>(a, rows, t);
}

}  // namespace baton::cpu::avx512
