// SPDX-License-Identifier: Apache-2.0
// The numerator and denominator of a softmax: x = e^(x - maximum) in place, and the sum of the results in 16 lanes
// (element i in lane i mod 16), folded in the one fixed order.
#pragma once

#include "kernels/cpu/lanes_math.h"

namespace baton::cpu {
namespace {

template <class Lanes>
inline float exponential_sum_row(float* x, std::uint32_t n, float maximum) {
  const Lanes shift = Lanes::broadcast(maximum);
  Lanes sums[2] = {Lanes::broadcast(0.0F), Lanes::broadcast(0.0F)};
  std::uint32_t i = 0;
  for (; i + 8 <= n; i += 8) {
    const Lanes value = exponential(subtract(Lanes::load(x + i), shift));
    value.store(x + i);
    sums[(i / 8) % 2] = add(sums[(i / 8) % 2], value);
  }
  if (i < n) {
    store_partial(exponential(subtract(load_partial<Lanes>(x + i, n - i), shift)), x + i, n - i);
    sums[(i / 8) % 2] = add(sums[(i / 8) % 2], load_partial<Lanes>(x + i, n - i));
  }
  return reduce_sum(sums[0], sums[1]);
}

}  // namespace
}  // namespace baton::cpu
