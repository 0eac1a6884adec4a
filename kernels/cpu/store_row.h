// SPDX-License-Identifier: Apache-2.0
// One K or V row into its slot of the pool: float32 in, the pool's type out, rounded to nearest even.
#pragma once

#include "kernels/cpu/lanes_math.h"
#include "kernels/kv_geometry.h"

namespace baton::cpu {
namespace {

template <class Lanes>
inline void store_row_body(const float* x, std::uint32_t n, DType dtype, std::byte* out) {
  for (std::uint32_t i = 0; i < n; i += 8) {
    const Lanes value = Lanes::load(x + i);
    switch (dtype) {
      case DType::kF16: value.store_half(out + std::size_t{i} * 2); break;
      case DType::kBF16: value.store_bfloat(out + std::size_t{i} * 2); break;
      default: value.store(reinterpret_cast<float*>(out) + i); break;
    }
  }
}

}  // namespace
}  // namespace baton::cpu
