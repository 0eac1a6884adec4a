// SPDX-License-Identifier: Apache-2.0
// Activations as two int8 terms per 32-block. The value x is scale x (254 first + second): `first` is the int8 value,
// `second` the int8 residual in steps 254 times finer. Because 254 first + second is one integer of at most
// 254 x 127 = 32258, the pair is stored joined in an int16 and a block dot with integer weights is the same exact integer
// whether a kernel multiplies the joined number (AVX2: pmaddwd) or the two terms apart (VNNI).
#pragma once

#include "kernels/cpu/half.h"

namespace baton::cpu {
namespace {

inline constexpr float kLargestValue = 32258.0F;

struct BlockScale {
  float scale = 0;    // value of one unit
  float inverse = 0;  // units per value; 0 makes every unit 0
};

// `magnitude_bits`: the largest |x| of the block, as bits (an integer maximum is exact and lets NaN win).
inline BlockScale block_scale(std::uint32_t magnitude_bits) {
  if (magnitude_bits >= 0x7f800000u) return {__builtin_nanf(""), 0.0F};
  const float magnitude = float_of(magnitude_bits);
  if (magnitude < 0x1p-110F) return {};  // nothing to see, and the inverse would overflow
  return {magnitude / kLargestValue, kLargestValue / magnitude};
}

}  // namespace
}  // namespace baton::cpu
