// SPDX-License-Identifier: Apache-2.0
// Float32 matrix rows times many tokens. Idea: up to four weight rows, already float32 and hot in the first-level cache,
// meet every token of the step; each (row, token) keeps 16 partial sums (element k in lane k mod 16) folded in one fixed
// order. Memory: weights are read once per step, x once per four rows.
#pragma once

#include "kernels/cpu/lanes_math.h"
#include "kernels/cpu/ops.h"

namespace baton::cpu {
namespace {

template <class Lanes>
inline void dot_four_rows(const float* const (&rows)[kFloatRows], const float* x, std::uint32_t columns,
                          float (&sums)[kFloatRows]) {
  Lanes low[kFloatRows];
  Lanes high[kFloatRows];
  for (std::uint32_t r = 0; r < kFloatRows; ++r) low[r] = high[r] = Lanes::broadcast(0.0F);
  std::uint32_t k = 0;
  for (; k + 16 <= columns; k += 16) {
    const Lanes a = Lanes::load(x + k);
    const Lanes b = Lanes::load(x + k + 8);
    for (std::uint32_t r = 0; r < kFloatRows; ++r) {
      low[r] = multiply_add(Lanes::load(rows[r] + k), a, low[r]);
      high[r] = multiply_add(Lanes::load(rows[r] + k + 8), b, high[r]);
    }
  }
  if (k < columns) {
    const Lanes a = load_within<Lanes>(x, k, columns);
    const Lanes b = load_within<Lanes>(x, k + 8, columns);
    for (std::uint32_t r = 0; r < kFloatRows; ++r) {
      low[r] = multiply_add(load_within<Lanes>(rows[r], k, columns), a, low[r]);
      high[r] = multiply_add(load_within<Lanes>(rows[r], k + 8, columns), b, high[r]);
    }
  }
  for (std::uint32_t r = 0; r < kFloatRows; ++r) sums[r] = reduce_sum(low[r], high[r]);
}

template <class Lanes>
inline void dot_rows_body(const DotRows& arguments) {
  const float* rows[kFloatRows];
  // A tile that is short repeats its last row; the repeats are not stored.
  for (std::uint32_t r = 0; r < kFloatRows; ++r) rows[r] = arguments.rows[r < arguments.count ? r : arguments.count - 1];
  for (std::uint32_t token = 0; token < arguments.tokens; ++token) {
    float sums[kFloatRows];
    dot_four_rows<Lanes>(rows, arguments.x + static_cast<std::size_t>(token) * arguments.columns, arguments.columns, sums);
    float* out = arguments.out + token * arguments.out_stride;
    for (std::uint32_t r = 0; r < arguments.count; ++r) out[r] = arguments.add ? out[r] + sums[r] : sums[r];
  }
}

}  // namespace
}  // namespace baton::cpu
