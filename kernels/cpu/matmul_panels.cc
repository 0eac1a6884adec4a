// SPDX-License-Identifier: Apache-2.0
// Quantized matrix panels times quantized tokens, as ops.h defines it. A block dot is an exact integer (at most
// 32 x 255 x 32639 < 2^29), so only the float sum over blocks has an order, and that is one per (row, token).
#include <cmath>

#include "kernels/cpu/half.h"
#include "kernels/cpu/op_functions.h"

namespace baton::cpu::scalar {
namespace {

float load_half(const std::byte* from) {
  std::uint16_t raw;
  memcpy(&raw, from, sizeof raw);
  return half_to_float(raw);
}

// One block of one row, in column order, less the zero point.
void unpack(const Panels& weights, const std::byte* quants, std::uint32_t lane, std::int32_t (&to)[kQuantBlock]) {
  const bool bytes = weights.type == WeightType::kQ8_0;
  for (std::uint32_t i = 0; i < kQuantBlock; ++i) {
    const std::uint32_t group = bytes || i < kQuantBlock / 2 ? i / 4 : i / 4 - 4;
    const auto raw = static_cast<std::int32_t>(quants[(group * kPanelRows + lane) * 4 + i % 4]);
    to[i] = (bytes ? raw : i < kQuantBlock / 2 ? raw & 15 : raw >> 4) - panel_zero(weights.type);
  }
}

std::int32_t block_dot(const std::int32_t (&quants)[kQuantBlock], const std::int8_t* values, std::uint32_t terms) {
  std::int32_t dot = 0;
  for (std::uint32_t i = 0; i < kQuantBlock; ++i)
    dot += quants[i] * (terms == 2 ? values[i] * 256 + values[kQuantBlock + i] : values[i]);
  return dot;
}

}  // namespace

void matmul_panels(const MatmulPanels& a) {
  const Panels& w = a.weights;
  for (std::uint32_t row = a.panel_begin * kPanelRows; row < a.panel_end * kPanelRows && row < w.rows; ++row) {
    const std::byte* panel = w.panel(row / kPanelRows);
    const std::uint32_t lane = row % kPanelRows;
    float* out = a.out + (row - a.panel_begin * kPanelRows);
    for (std::uint32_t token = 0; token < a.tokens; ++token) {
      float sum = 0;
      for (std::uint32_t b = 0; b < w.blocks(); ++b) {
        std::int32_t quants[kQuantBlock];
        unpack(w, panel + w.quants_offset() + b * panel_block_quant_bytes(w.type), lane, quants);
        const std::size_t at = static_cast<std::size_t>(b) * a.tokens + token;
        const std::byte* scale = panel + (std::size_t{b} * kPanelRows + lane) * 2;
        const std::int32_t dot = block_dot(quants, a.values + at * a.terms * kQuantBlock, a.terms);
        sum = std::fma(static_cast<float>(dot), load_half(scale) * a.scales[at], sum);
        if (w.type == WeightType::kQ4_1) sum = std::fma(load_half(scale + w.scale_bytes()), a.sums[at], sum);
      }
      float& to = out[token * a.out_stride];
      to = a.add ? to + sum : sum;
    }
  }
}

}  // namespace baton::cpu::scalar
