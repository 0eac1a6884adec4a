// SPDX-License-Identifier: Apache-2.0
#include <cstring>

#include "kernels/cpu/panels.h"
#include "runtime/base/check.h"

namespace baton::cpu {
namespace {

// One block of one row, as unsigned numbers in column order.
void unpack_quants(const std::byte* block, WeightType type, std::uint8_t (&quants)[kQuantBlock]) {
  if (type == WeightType::kQ8_0) {
    for (std::uint32_t i = 0; i < kQuantBlock; ++i) quants[i] = static_cast<std::uint8_t>(static_cast<std::uint8_t>(block[2 + i]) ^ 0x80u);
    return;
  }
  const std::byte* nibbles = block + (type == WeightType::kQ4_1 ? 4 : 2);
  for (std::uint32_t i = 0; i < kQuantBlock / 2; ++i) {
    const auto byte = static_cast<std::uint8_t>(nibbles[i]);
    quants[i] = byte & 15u;
    quants[i + kQuantBlock / 2] = byte >> 4;
  }
}

void place_quants(const std::uint8_t (&quants)[kQuantBlock], WeightType type, std::uint32_t row, std::byte* to) {
  const auto place = [&](std::uint32_t group) { return to + std::size_t{group} * kPanelRows * 4 + std::size_t{row} * 4; };
  if (type == WeightType::kQ8_0) {
    for (std::uint32_t group = 0; group < 8; ++group) std::memcpy(place(group), quants + group * 4, 4);
    return;
  }
  for (std::uint32_t group = 0; group < 4; ++group)
    for (std::uint32_t i = 0; i < 4; ++i)
      place(group)[i] = static_cast<std::byte>(quants[group * 4 + i] | (quants[group * 4 + 16 + i] << 4));
}

}  // namespace

void pack_panels(const WeightView& from, const Panels& shape, std::uint32_t begin, std::uint32_t end, std::byte* to) {
  CHECK(is_block_quantized(from.type) && from.type == shape.type && from.rows == shape.rows && from.columns == shape.columns);
  CHECK(begin <= end && end <= shape.count());
  const std::size_t block_bytes = weight_block_bytes(from.type);
  const std::size_t quant_bytes = panel_block_quant_bytes(from.type);
  for (std::uint32_t index = begin; index < end; ++index) {
    std::byte* panel = to + index * shape.panel_bytes();
    std::memset(panel, 0, shape.panel_bytes());
    for (std::uint32_t lane = 0; lane < kPanelRows && index * kPanelRows + lane < from.rows; ++lane) {
      const std::byte* block = from.row(index * kPanelRows + lane);
      for (std::uint32_t b = 0; b < shape.blocks(); ++b, block += block_bytes) {
        const std::size_t scale_at = (std::size_t{b} * kPanelRows + lane) * 2;
        std::memcpy(panel + scale_at, block, 2);
        if (from.type == WeightType::kQ4_1) std::memcpy(panel + shape.scale_bytes() + scale_at, block + 2, 2);
        std::uint8_t quants[kQuantBlock];
        unpack_quants(block, from.type, quants);
        place_quants(quants, from.type, lane, panel + shape.quants_offset() + b * quant_bytes);
      }
    }
  }
}

}  // namespace baton::cpu
