// SPDX-License-Identifier: Apache-2.0
// Root-mean-square norm (Zhang & Sennrich 2019) of one row: y = x / sqrt(mean(x^2) + epsilon) x gain. Two passes over a
// row that stays in the first-level cache. Squares are summed in 16 lanes; the square root and division round correctly.
#pragma once

#include "kernels/cpu/lanes_math.h"

namespace baton::cpu {
namespace {

template <class Lanes>
inline void rms_norm_row(const float* x, const float* gain, std::uint32_t n, float epsilon, float* y) {
  Lanes low = Lanes::broadcast(0.0F);
  Lanes high = low;
  for (std::uint32_t i = 0; i < n; i += 16) {
    const Lanes a = load_within<Lanes>(x, i, n);
    const Lanes b = load_within<Lanes>(x, i + 8, n);
    low = multiply_add(a, a, low);
    high = multiply_add(b, b, high);
  }
  const float mean = reduce_sum(low, high) / static_cast<float>(n);
  const Lanes factor = Lanes::broadcast(1.0F / __builtin_sqrtf(mean + epsilon));
  std::uint32_t i = 0;
  for (; i + 8 <= n; i += 8) multiply(multiply(Lanes::load(x + i), factor), Lanes::load(gain + i)).store(y + i);
  if (i < n) {
    const Lanes scaled = multiply(load_partial<Lanes>(x + i, n - i), factor);
    store_partial(multiply(scaled, load_partial<Lanes>(gain + i, n - i)), y + i, n - i);
  }
}

}  // namespace
}  // namespace baton::cpu
