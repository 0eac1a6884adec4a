// SPDX-License-Identifier: Apache-2.0
// Quantized matrix rows times quantized tokens, as ops.h defines it. A block dot is an exact integer (at most
// 32 x 128 x 32258 < 2^27), so only the float sum over blocks has an order, and that is one per (row, token).
#include <cmath>

#include "kernels/cpu/half.h"
#include "kernels/cpu/op_functions.h"

namespace baton::cpu::scalar {
namespace {

struct Block {
  float d = 0;
  float m = 0;
  std::int32_t quants[32] = {};
};

float load_half(const std::byte* from) {
  std::uint16_t raw;
  memcpy(&raw, from, sizeof raw);
  return half_to_float(raw);
}

void unpack_nibbles(const std::byte* nibbles, std::int32_t offset, std::int32_t* quants) {
  for (int i = 0; i < 16; ++i) {
    quants[i] = (static_cast<std::int32_t>(nibbles[i]) & 15) - offset;
    quants[i + 16] = (static_cast<std::int32_t>(nibbles[i]) >> 4) - offset;
  }
}

void unpack(const std::byte* from, WeightType type, Block& block) {
  block.d = load_half(from);
  switch (type) {
    case WeightType::kQ8_0:
      for (int i = 0; i < 32; ++i) block.quants[i] = static_cast<std::int8_t>(from[2 + i]);
      break;
    case WeightType::kQ4_0: unpack_nibbles(from + 2, 8, block.quants); break;
    default:
      block.m = load_half(from + 2);
      unpack_nibbles(from + 4, 0, block.quants);
      break;
  }
}

}  // namespace

void matmul_quantized(const MatmulQuantized& a) {
  const std::size_t block_bytes = weight_block_bytes(a.type);
  Block block;
  for (std::uint32_t row = a.row_begin; row < a.row_end; ++row) {
    for (std::uint32_t token = 0; token < a.tokens; ++token) a.out[token * a.out_stride + row] = 0;
    for (std::uint32_t b = 0; b < a.blocks; ++b) {
      unpack(a.weights + row * a.row_bytes + b * block_bytes, a.type, block);
      for (std::uint32_t token = 0; token < a.tokens; ++token) {
        const std::size_t at = static_cast<std::size_t>(b) * a.tokens + token;
        std::int32_t dot = 0;
        for (std::uint32_t i = 0; i < kQuantBlock; ++i) dot += block.quants[i] * a.values[at * kQuantBlock + i];
        float& sum = a.out[token * a.out_stride + row];
        sum = std::fma(static_cast<float>(dot), block.d * a.scales[at], sum);
        if (a.type == WeightType::kQ4_1) sum = std::fma(block.m, a.sums[at], sum);
      }
    }
  }
}

}  // namespace baton::cpu::scalar
