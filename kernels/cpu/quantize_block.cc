// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/quantize_block.h"

#include "kernels/cpu/op_functions.h"

namespace baton::cpu::scalar {
namespace {

// To the nearest integer, ties to even, by adding 1.5 x 2^23; |x| < 2^22. A NaN input (its block's scale is NaN) gives 0.
std::int32_t round_to_int(float x) {
  if (x != x) return 0;
  return static_cast<std::int32_t>(bits_of(x + 12582912.0F) - 0x4b400000u);
}

}  // namespace

void quantize_block(const QuantizeBlock& a) {
  const float limit = largest_unit(a.terms);
  for (std::uint32_t token = 0; token < a.tokens; ++token) {
    const float* x = a.x + token * a.x_stride;
    std::int8_t* terms = a.values + std::size_t{token} * a.terms * kQuantBlock;
    std::uint32_t largest = 0;
    for (std::uint32_t i = 0; i < kQuantBlock; ++i) {
      const std::uint32_t magnitude = bits_of(x[i]) & 0x7fffffffu;
      largest = magnitude > largest ? magnitude : largest;
    }
    const BlockScale scale = block_scale(largest, limit);
    std::int32_t sum = 0;
    for (std::uint32_t i = 0; i < kQuantBlock; ++i) {
      const std::int32_t value = round_to_int(x[i] * scale.inverse);
      sum += value;
      const std::int32_t first = a.terms == 2 ? (value + 128) >> 8 : value;
      terms[i] = static_cast<std::int8_t>(first);
      if (a.terms == 2) terms[kQuantBlock + i] = static_cast<std::int8_t>(value - first * 256);
    }
    a.scales[token] = scale.scale;
    a.integer_sums[token] = sum;
    a.sums[token] = scale.scale * static_cast<float>(sum);
  }
}

}  // namespace baton::cpu::scalar
