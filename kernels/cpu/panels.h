// SPDX-License-Identifier: Apache-2.0
// Panels: a quantized weight matrix laid out for the matmul kernels. 16 rows form a panel, so that one 512-bit register holds
// one number of each row, rows are lanes, and no dot product ever needs a sum across lanes. Panels follow one another; each is
//   scales  [block][16 rows] float16                    w = d (q - zero)        Q8_0: zero 128, Q4_0: zero 8
//   minima  [block][16 rows] float16   Q4_1 only        w = d q + m
//   padding to a multiple of 64 bytes
//   quants  [block][group][16 rows][4 columns] unsigned bytes, 8 groups of 4 columns to a block of 32; with 4 bits, byte
//           [group g < 4] holds group g in its low and group g + 4 in its high half
// Scales stand apart from the quants so that every quant register is one aligned cache line. Rows past the last are zero.
// Borrowed memory (see models/weight_arena.h); immutable while it is read.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/weight_view.h"

namespace baton::cpu {

inline constexpr std::uint32_t kQuantBlock = 32;  // columns that share one scale, of weights and of activations
inline constexpr std::uint32_t kPanelRows = 16;
inline constexpr std::size_t kPanelAlignment = 64;

constexpr bool is_block_quantized(WeightType type) { return weight_block_elements(type) == kQuantBlock; }
constexpr std::int32_t panel_zero(WeightType type) { return type == WeightType::kQ8_0 ? 128 : type == WeightType::kQ4_0 ? 8 : 0; }
constexpr std::size_t panel_block_quant_bytes(WeightType type) {
  return std::size_t{kPanelRows} * kQuantBlock / (type == WeightType::kQ8_0 ? 1 : 2);
}

struct Panels {
  const std::byte* data = nullptr;  // aligned to kPanelAlignment
  WeightType type = WeightType::kQ8_0;
  std::uint32_t rows = 0;
  std::uint32_t columns = 0;  // a multiple of kQuantBlock

  std::uint32_t count() const { return (rows + kPanelRows - 1) / kPanelRows; }
  std::uint32_t blocks() const { return columns / kQuantBlock; }
  std::size_t scale_bytes() const { return std::size_t{blocks()} * kPanelRows * 2; }
  std::size_t quants_offset() const {
    const std::size_t header = scale_bytes() * (type == WeightType::kQ4_1 ? 2 : 1);
    return (header + kPanelAlignment - 1) / kPanelAlignment * kPanelAlignment;
  }
  std::size_t panel_bytes() const { return quants_offset() + blocks() * panel_block_quant_bytes(type); }
  std::size_t bytes() const { return count() * panel_bytes(); }
  const std::byte* panel(std::uint32_t index) const { return data + index * panel_bytes(); }
};

// Fills panels [begin, end) of `shape` (whose data is `to`, of shape.bytes()) from a matrix in file layout of the same type and
// size. Disjoint ranges may be filled from different threads.
void pack_panels(const WeightView& from, const Panels& shape, std::uint32_t begin, std::uint32_t end, std::byte* to);

}  // namespace baton::cpu
