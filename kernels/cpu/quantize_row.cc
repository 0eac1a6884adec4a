// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/quantize_row.h"

#include "kernels/cpu/op_functions.h"

namespace baton::cpu::scalar {
namespace {

// To the nearest integer, ties to even, by adding 1.5 x 2^23; |x| < 2^22. A NaN input (its block's scale is NaN) gives 0.
std::int32_t round_to_int(float x) {
  if (x != x) return 0;
  return static_cast<std::int32_t>(bits_of(x + 12582912.0F) - 0x4b400000u);
}

}  // namespace

void quantize_row(const float* x, std::uint32_t n, std::uint32_t tokens, std::int16_t* values, float* scales, float* sums) {
  for (std::uint32_t begin = 0; begin < n; begin += kQuantBlock) {
    std::uint32_t largest = 0;
    for (std::uint32_t i = begin; i < begin + kQuantBlock; ++i) {
      const std::uint32_t magnitude = bits_of(x[i]) & 0x7fffffffu;
      largest = magnitude > largest ? magnitude : largest;
    }
    const BlockScale scale = block_scale(largest);
    std::int32_t sum = 0;
    for (std::uint32_t i = begin; i < begin + kQuantBlock; ++i) {
      const std::int32_t value = round_to_int(x[i] * scale.inverse);
      values[i - begin] = static_cast<std::int16_t>(value);
      sum += value;
    }
    *scales = scale.scale;
    *sums = scale.scale * static_cast<float>(sum);
    values += std::size_t{tokens} * kQuantBlock;
    scales += tokens;
    sums += tokens;
  }
}

}  // namespace baton::cpu::scalar
