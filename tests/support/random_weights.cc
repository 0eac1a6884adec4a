// SPDX-License-Identifier: Apache-2.0
#include "tests/support/random_weights.h"

#include <bit>
#include <cmath>
#include <cstring>

#include "kernels/cpu/half.h"
#include "runtime/base/check.h"
#include "runtime/base/random.h"

namespace baton::test {
namespace {

float uniform(Random& random, float magnitude) {
  return (static_cast<float>(random.next() >> 40) * 0x1p-23F - 1.0F) * magnitude;
}

void put_u16(std::byte* to, std::uint16_t value) { std::memcpy(to, &value, sizeof value); }

void fill_block(WeightType type, std::byte* block, Random& random, float magnitude) {
  const float wobble = 0.5F + 0.5F * std::fabs(uniform(random, 1.0F));
  const std::size_t header = type == WeightType::kQ4_1 ? 4 : 2;
  const float steps = type == WeightType::kQ8_0 ? 128 : type == WeightType::kQ4_0 ? 8 : 7.5F;
  put_u16(block, cpu::float_to_half(magnitude * wobble / steps));
  if (type == WeightType::kQ4_1) put_u16(block + 2, cpu::float_to_half(-magnitude * wobble));
  for (std::size_t i = header; i < weight_block_bytes(type); ++i) block[i] = static_cast<std::byte>(random.next());
}

double half(const std::byte* from) {
  std::uint16_t raw;
  std::memcpy(&raw, from, sizeof raw);
  const int exponent = (raw >> 10) & 31;
  const int mantissa = raw & 1023;
  const double magnitude = exponent == 0 ? std::ldexp(mantissa, -24) : std::ldexp(mantissa + 1024, exponent - 25);
  return (raw & 0x8000) != 0 ? -magnitude : magnitude;
}

double element(const WeightView& view, std::uint32_t row, std::uint32_t column) {
  const std::byte* bytes = view.row(row);
  const std::size_t within = column % 32;
  const std::byte* block = bytes + column / 32 * weight_block_bytes(view.type);
  const auto nibble = [&](std::size_t header) {
    const int byte = static_cast<int>(block[header + within % 16]);
    return within < 16 ? byte & 15 : byte >> 4;
  };
  switch (view.type) {
    case WeightType::kF32: return reinterpret_cast<const float*>(bytes)[column];
    case WeightType::kF16: return half(bytes + std::size_t{column} * 2);
    case WeightType::kBF16: {
      std::uint32_t raw = 0;
      std::memcpy(reinterpret_cast<std::byte*>(&raw) + 2, bytes + std::size_t{column} * 2, 2);
      return std::bit_cast<float>(raw);
    }
    case WeightType::kQ8_0: return half(block) * static_cast<std::int8_t>(block[2 + within]);
    case WeightType::kQ4_0: return half(block) * (nibble(2) - 8);
    case WeightType::kQ4_1: return half(block) * nibble(4) + half(block + 2);
  }
  return 0;
}

}  // namespace

std::vector<float> random_floats(std::size_t count, std::uint64_t seed, float magnitude) {
  Random random(seed);
  std::vector<float> values(count);
  for (float& value : values) value = uniform(random, magnitude);
  return values;
}

RandomMatrix random_matrix(WeightType type, std::uint32_t rows, std::uint32_t columns, std::uint64_t seed, float magnitude) {
  CHECK(columns % weight_block_elements(type) == 0);
  Random random(seed);
  RandomMatrix matrix{.bytes = {}, .view = {.data = nullptr, .type = type, .rows = rows, .columns = columns}};
  matrix.bytes.resize(rows * matrix.view.row_bytes());
  const std::size_t step = weight_block_bytes(type);
  for (std::size_t at = 0; at < matrix.bytes.size(); at += step) {
    std::byte* to = matrix.bytes.data() + at;
    const float value = uniform(random, magnitude);
    switch (type) {
      case WeightType::kF32: std::memcpy(to, &value, sizeof value); break;
      case WeightType::kF16: put_u16(to, cpu::float_to_half(value)); break;
      case WeightType::kBF16: put_u16(to, cpu::float_to_bfloat(value)); break;
      default: fill_block(type, to, random, magnitude); break;
    }
  }
  matrix.view.data = matrix.bytes.data();
  return matrix;
}

std::vector<double> exact_weights(const WeightView& view) {
  std::vector<double> values;
  for (std::uint32_t row = 0; row < view.rows; ++row)
    for (std::uint32_t column = 0; column < view.columns; ++column) values.push_back(element(view, row, column));
  return values;
}

}  // namespace baton::test
