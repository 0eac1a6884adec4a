// SPDX-License-Identifier: Apache-2.0
// A weight matrix as it lies in the model file: row-major, each row a whole number of quantization blocks, never
// dequantized as a whole. Borrowed memory (the file's mapping). Formats: ggml's block layouts of the same names.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace baton {

enum class WeightType : std::uint8_t { kF32, kF16, kBF16, kQ8_0, kQ4_0, kQ4_1 };

constexpr std::size_t weight_block_elements(WeightType type) {
  return type == WeightType::kF32 || type == WeightType::kF16 || type == WeightType::kBF16 ? 1 : 32;
}
constexpr std::size_t weight_block_bytes(WeightType type) {
  switch (type) {
    case WeightType::kF32: return 4;
    case WeightType::kF16: return 2;
    case WeightType::kBF16: return 2;
    case WeightType::kQ8_0: return 34;  // f16 d, 32 x int8:  w = d*q
    case WeightType::kQ4_0: return 18;  // f16 d, 16 bytes:   w = d*(q-8); low nibbles are elements 0..15, high 16..31
    case WeightType::kQ4_1: return 20;  // f16 d, f16 m, 16 bytes: w = d*q+m
  }
  return 0;
}
constexpr std::string_view to_string(WeightType type) {
  switch (type) {
    case WeightType::kF32: return "F32";
    case WeightType::kF16: return "F16";
    case WeightType::kBF16: return "BF16";
    case WeightType::kQ8_0: return "Q8_0";
    case WeightType::kQ4_0: return "Q4_0";
    case WeightType::kQ4_1: return "Q4_1";
  }
  return "?";
}

struct WeightView {
  const std::byte* data = nullptr;
  WeightType type = WeightType::kF32;
  std::uint32_t rows = 0;     // output features
  std::uint32_t columns = 0;  // input features; a multiple of weight_block_elements(type)

  std::size_t row_bytes() const { return columns / weight_block_elements(type) * weight_block_bytes(type); }
  const std::byte* row(std::uint32_t index) const { return data + index * row_bytes(); }
};

}  // namespace baton
