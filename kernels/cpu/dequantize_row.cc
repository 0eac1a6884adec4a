// SPDX-License-Identifier: Apache-2.0
// A weight row as float32: w = d q, d (q - 8) or d q + m (product, then sum: two roundings, as the format's authors have
// it). Reads each byte of the row once. Used for embedding rows and where activations are float32.
#include "kernels/cpu/half.h"
#include "kernels/cpu/op_functions.h"

namespace baton::cpu::scalar {
namespace {

std::uint16_t load_u16(const std::byte* from) {
  std::uint16_t value;
  memcpy(&value, from, sizeof value);
  return value;
}

void dequantize_nibbles(const std::byte* nibbles, float d, int offset, float m, bool has_minimum, float* out) {
  for (int i = 0; i < 16; ++i) {
    const int byte = static_cast<int>(nibbles[i]);
    const float low = d * static_cast<float>((byte & 15) - offset);
    const float high = d * static_cast<float>((byte >> 4) - offset);
    out[i] = has_minimum ? low + m : low;
    out[i + 16] = has_minimum ? high + m : high;
  }
}

void dequantize_block(const std::byte* block, WeightType type, float* out) {
  const float d = half_to_float(load_u16(block));
  switch (type) {
    case WeightType::kQ8_0:
      for (int i = 0; i < 32; ++i) out[i] = d * static_cast<float>(static_cast<std::int8_t>(block[2 + i]));
      break;
    case WeightType::kQ4_0: dequantize_nibbles(block + 2, d, 8, 0, false, out); break;
    default: dequantize_nibbles(block + 4, d, 0, half_to_float(load_u16(block + 2)), true, out); break;
  }
}

}  // namespace

void dequantize_row(const std::byte* row, WeightType type, std::uint32_t columns, float* out) {
  switch (type) {
    case WeightType::kF32: memcpy(out, row, std::size_t{columns} * 4); return;
    case WeightType::kF16:
      for (std::uint32_t i = 0; i < columns; ++i) out[i] = half_to_float(load_u16(row + std::size_t{i} * 2));
      return;
    case WeightType::kBF16:
      for (std::uint32_t i = 0; i < columns; ++i) out[i] = bfloat_to_float(load_u16(row + std::size_t{i} * 2));
      return;
    default: break;
  }
  const std::size_t block_bytes = weight_block_bytes(type);
  for (std::uint32_t i = 0; i < columns; i += 32, row += block_bytes) dequantize_block(row, type, out + i);
}

}  // namespace baton::cpu::scalar
