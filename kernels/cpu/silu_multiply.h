// SPDX-License-Identifier: Apache-2.0
// The gated unit of a Llama feed-forward block (Shazeer 2020): gate = silu(gate) x up, silu(x) = x / (1 + e^-x).
// Elementwise, in place, with the exponential of lanes_math.h.
#pragma once

#include "kernels/cpu/lanes_math.h"

namespace baton::cpu {
namespace {

template <class Lanes>
inline Lanes silu_times(Lanes gate, Lanes up) {
  const Lanes denominator = add(Lanes::broadcast(1.0F), exponential(subtract(Lanes::broadcast(0.0F), gate)));
  return multiply(divide(gate, denominator), up);
}

template <class Lanes>
inline void silu_multiply_row(float* gate, const float* up, std::uint32_t n) {
  std::uint32_t i = 0;
  for (; i + 8 <= n; i += 8) silu_times(Lanes::load(gate + i), Lanes::load(up + i)).store(gate + i);
  if (i < n) store_partial(silu_times(load_partial<Lanes>(gate + i, n - i), load_partial<Lanes>(up + i, n - i)), gate + i, n - i);
}

}  // namespace
}  // namespace baton::cpu
