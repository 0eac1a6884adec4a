// SPDX-License-Identifier: Apache-2.0
// Residual add: x += y, elementwise.
#pragma once

#include "kernels/cpu/lanes_math.h"

namespace baton::cpu {
namespace {

template <class Lanes>
inline void add_row(float* x, const float* y, std::uint32_t n) {
  std::uint32_t i = 0;
  for (; i + 8 <= n; i += 8) add(Lanes::load(x + i), Lanes::load(y + i)).store(x + i);
  for (; i < n; ++i) x[i] = x[i] + y[i];
}

}  // namespace
}  // namespace baton::cpu
