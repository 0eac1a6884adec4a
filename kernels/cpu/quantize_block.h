// SPDX-License-Identifier: Apache-2.0
// Activations as int8 terms per 32-block. With two terms a value is scale x (256 first + second), about 15 bits: `first` is the
// nearest multiple of 256, `second` the rest, both int8; because the pair is one integer, a block's dot with integer weights
// is the same exact integer in whatever pieces a kernel sums it. With one term a value is scale x first, 7 bits.
#pragma once

#include "kernels/cpu/half.h"

namespace baton::cpu {
namespace {

struct BlockScale {
  float scale = 0;    // value of one unit
  float inverse = 0;  // units per value; 0 makes every unit 0
};

// The largest integer: 127 of one term; of two the largest whose halves both fit, 127 x 256 + 127.
inline float largest_unit(std::uint32_t terms) { return terms == 2 ? 32639.0F : 127.0F; }

// `magnitude_bits`: the largest |x| of the block, as bits (an integer maximum is exact and lets NaN win).
inline BlockScale block_scale(std::uint32_t magnitude_bits, float largest) {
  if (magnitude_bits >= 0x7f800000u) return {__builtin_nanf(""), 0.0F};
  const float magnitude = float_of(magnitude_bits);
  if (magnitude < 0x1p-110F) return {};  // nothing to see, and the inverse would overflow
  return {magnitude / largest, largest / magnitude};
}

}  // namespace
}  // namespace baton::cpu
