// SPDX-License-Identifier: Apache-2.0
// See dequantize_row.cc: the same products and sums, 32 elements at a time.
#include "kernels/cpu/blocks_avx2.h"
#include "kernels/cpu/half.h"
#include "kernels/cpu/lanes_avx2.h"
#include "kernels/cpu/op_functions.h"

namespace baton::cpu::avx2 {
namespace {

inline Avx2Lanes widen(__m128i eight_int16) { return {_mm256_cvtepi32_ps(_mm256_cvtepi16_epi32(eight_int16))}; }

template <WeightType kType>
void dequantize_blocks(const std::byte* row, std::uint32_t columns, float* out) {
  for (std::uint32_t i = 0; i < columns; i += 32, row += kBlockBytes<kType>) {
    const Quants quants = unpack_block<kType>(row);
    const Avx2Lanes d = Avx2Lanes::broadcast(load_half_scalar(row));
    Avx2Lanes values[4] = {multiply(d, widen(_mm256_castsi256_si128(quants.low))),
                           multiply(d, widen(_mm256_extracti128_si256(quants.low, 1))),
                           multiply(d, widen(_mm256_castsi256_si128(quants.high))),
                           multiply(d, widen(_mm256_extracti128_si256(quants.high, 1)))};
    if constexpr (kType == WeightType::kQ4_1) {
      const Avx2Lanes m = Avx2Lanes::broadcast(load_half_scalar(row + 2));
      for (Avx2Lanes& value : values) value = add(value, m);
    }
    for (int part = 0; part < 4; ++part) values[part].store(out + i + part * 8);
  }
}

void dequantize_floats(const std::byte* row, WeightType type, std::uint32_t columns, float* out) {
  std::uint32_t i = 0;
  for (; i + 8 <= columns; i += 8) {
    const std::byte* from = row + std::size_t{i} * 2;
    (type == WeightType::kF16 ? Avx2Lanes::load_half(from) : Avx2Lanes::load_bfloat(from)).store(out + i);
  }
  for (; i < columns; ++i) {
    const std::uint16_t raw = load_u16(row + std::size_t{i} * 2);
    out[i] = type == WeightType::kF16 ? half_to_float(raw) : bfloat_to_float(raw);
  }
}

}  // namespace

void dequantize_row(const std::byte* row, WeightType type, std::uint32_t columns, float* out) {
  switch (type) {
    case WeightType::kF32: __builtin_memcpy(out, row, std::size_t{columns} * 4); return;
    case WeightType::kF16:
    case WeightType::kBF16: dequantize_floats(row, type, columns, out); return;
    case WeightType::kQ8_0: dequantize_blocks<WeightType::kQ8_0>(row, columns, out); return;
    case WeightType::kQ4_0: dequantize_blocks<WeightType::kQ4_0>(row, columns, out); return;
    case WeightType::kQ4_1: dequantize_blocks<WeightType::kQ4_1>(row, columns, out); return;
  }
}

}  // namespace baton::cpu::avx2
