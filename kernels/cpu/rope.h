// SPDX-License-Identifier: Apache-2.0
// Rotary position embedding (Su et al. 2021) in the pair order of GGUF's llama weights: neighbouring elements (2i, 2i+1)
// turn by position x frequency i. The caller supplies one row of duplicated cosines and signed sines per position, so a
// pair is two products and a sum, nothing fused. In place; reads and writes each element once.
#pragma once

#include "kernels/cpu/lanes_math.h"

namespace baton::cpu {
namespace {

template <class Lanes>
inline void rope_heads(float* heads, std::uint32_t count, std::uint32_t head_dim, std::uint32_t rotary, const float* c,
                       const float* s) {
  for (std::uint32_t head = 0; head < count; ++head) {
    float* x = heads + static_cast<std::size_t>(head) * head_dim;
    for (std::uint32_t i = 0; i < rotary; i += 8) {
      const Lanes value = Lanes::load(x + i);
      add(multiply(value, Lanes::load(c + i)), multiply(swap_pairs(value), Lanes::load(s + i))).store(x + i);
    }
  }
}

}  // namespace
}  // namespace baton::cpu
