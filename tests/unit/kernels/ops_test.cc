// SPDX-License-Identifier: Apache-2.0
// Every op: the AVX2 version gives the scalar reference's bits on random shapes (odd tails included), and the scalar
// reference is near a naive computation in double precision.
#include "kernels/cpu/ops.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <span>

#include "kernels/cpu/half.h"
#include "tests/support/random_weights.h"

namespace baton::cpu {
namespace {

using test::random_floats;

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr WeightType kTypes[] = {WeightType::kF32,  WeightType::kF16,  WeightType::kBF16,
                                 WeightType::kQ8_0, WeightType::kQ4_0, WeightType::kQ4_1};

// Equal bits, except that any NaN equals any NaN.
void expect_same(std::span<const float> a, std::span<const float> b) {
  ASSERT_EQ(a.size(), b.size());
  for (std::size_t i = 0; i < a.size(); ++i)
    ASSERT_TRUE(bits_of(a[i]) == bits_of(b[i]) || (a[i] != a[i] && b[i] != b[i])) << "at " << i << ": " << a[i] << " and " << b[i];
}

class OpsTest : public testing::Test {
 protected:
  void SetUp() override {
    if (avx2_ops() == nullptr) GTEST_SKIP() << "this CPU has no AVX2";
  }
  const Ops& scalar = scalar_ops();
  const Ops& avx2 = avx2_ops() != nullptr ? *avx2_ops() : scalar_ops();
};

TEST_F(OpsTest, HalfFloatsConvertAsTheHardwareDoes) {
  std::vector<float> wide(8);
  std::vector<std::byte> narrow(16), expected(16);
  for (std::uint32_t raw = 0; raw < 65536; raw += 8) {
    std::uint16_t halves[8];
    for (std::uint32_t i = 0; i < 8; ++i) halves[i] = static_cast<std::uint16_t>(raw + i);
    avx2.dequantize_row(reinterpret_cast<const std::byte*>(halves), WeightType::kF16, 8, wide.data());
    for (std::uint32_t i = 0; i < 8; ++i) ASSERT_EQ(bits_of(wide[i]), bits_of(half_to_float(halves[i]))) << raw + i;
  }
  // Every float32 whose low bits matter for rounding: steps that visit all exponents and ties.
  for (std::uint64_t bits = 0; bits < (std::uint64_t{1} << 32); bits += 8 * 2047) {
    for (std::uint32_t i = 0; i < 8; ++i) wide[i] = float_of(static_cast<std::uint32_t>(bits) + i * 1024);
    for (const DType type : {DType::kF16, DType::kBF16}) {
      scalar.store_row(wide.data(), 8, type, expected.data());
      avx2.store_row(wide.data(), 8, type, narrow.data());
      ASSERT_EQ(narrow, expected) << std::hex << bits;
    }
  }
}

TEST_F(OpsTest, DequantizedRowsAreTheFormatsValues) {
  for (const WeightType type : kTypes)
    for (const float magnitude : {1.0F, 1e-6F, 6e4F}) {
      const std::uint32_t columns = weight_block_elements(type) == 1 ? 77 : 96;
      const test::RandomMatrix matrix = test::random_matrix(type, 3, columns, 11, magnitude);
      const std::vector<double> exact = test::exact_weights(matrix.view);
      for (std::uint32_t row = 0; row < 3; ++row) {
        std::vector<float> a(columns), b(columns);
        scalar.dequantize_row(matrix.view.row(row), type, columns, a.data());
        avx2.dequantize_row(matrix.view.row(row), type, columns, b.data());
        expect_same(a, b);
        for (std::uint32_t i = 0; i < columns; ++i) ASSERT_NEAR(a[i], exact[row * columns + i], 2e-7 * magnitude * 2) << to_string(type);
      }
    }
}

TEST_F(OpsTest, RmsNorm) {
  for (const std::uint32_t n : {1u, 7u, 8u, 15u, 16u, 17u, 40u, 576u, 1001u}) {
    const std::vector<float> x = random_floats(n, n, 30.0F), gain = random_floats(n, n + 1);
    std::vector<float> a(n), b(n);
    scalar.rms_norm(x.data(), gain.data(), n, 1e-5F, a.data());
    avx2.rms_norm(x.data(), gain.data(), n, 1e-5F, b.data());
    expect_same(a, b);
    double squares = 0;
    for (const float value : x) squares += static_cast<double>(value) * value;
    for (std::uint32_t i = 0; i < n; ++i)
      ASSERT_NEAR(a[i], x[i] / std::sqrt(squares / n + 1e-5) * gain[i], 4e-6);
  }
}

TEST_F(OpsTest, QuantizedActivationsKeepFifteenBitsOfTheirBlock) {
  for (const float magnitude : {1e-30F, 1e-3F, 1.0F, 1e30F}) {
    const std::vector<float> x = random_floats(96, 5, magnitude);
    std::vector<std::int16_t> a(96 * 2), b(96 * 2);
    std::vector<float> scales_a(6), scales_b(6), sums_a(6), sums_b(6);
    scalar.quantize_row(x.data(), 96, 2, a.data() + 32, scales_a.data() + 1, sums_a.data() + 1);
    avx2.quantize_row(x.data(), 96, 2, b.data() + 32, scales_b.data() + 1, sums_b.data() + 1);
    EXPECT_EQ(a, b);
    expect_same(scales_a, scales_b);
    expect_same(sums_a, sums_b);
    for (std::uint32_t i = 0; i < 96; ++i) {
      const std::size_t block = i / 32;
      const std::int16_t value = a[(block * 2 + 1) * 32 + i % 32];
      ASSERT_LE(std::abs(value), 32258);
      ASSERT_NEAR(static_cast<double>(scales_a[block * 2 + 1]) * value, x[i], magnitude / 32258 * 0.51);
    }
  }
}

TEST_F(OpsTest, QuantizingZerosTinyAndBrokenBlocks) {
  for (const float special : {0.0F, 1e-40F, kNan, kInfinity, -kInfinity}) {
    std::vector<float> x(32, 0.0F);
    x[9] = special;
    std::vector<std::int16_t> a(32), b(32);
    float scale_a, scale_b, sum_a, sum_b;
    scalar.quantize_row(x.data(), 32, 1, a.data(), &scale_a, &sum_a);
    avx2.quantize_row(x.data(), 32, 1, b.data(), &scale_b, &sum_b);
    EXPECT_EQ(a, b);
    expect_same({&scale_a, 1}, {&scale_b, 1});
    expect_same({&sum_a, 1}, {&sum_b, 1});
    EXPECT_EQ(std::isnan(scale_a), !std::isfinite(special));
  }
}

struct Quantized {
  std::vector<std::int16_t> values;
  std::vector<float> scales, sums;
};
Quantized quantize(const Ops& ops, const std::vector<float>& x, std::uint32_t tokens) {
  const std::size_t columns = x.size() / tokens;
  Quantized q{std::vector<std::int16_t>(x.size()), std::vector<float>(x.size() / 32), std::vector<float>(x.size() / 32)};
  for (std::uint32_t t = 0; t < tokens; ++t)
    ops.quantize_row(x.data() + t * columns, static_cast<std::uint32_t>(columns), tokens, q.values.data() + t * 32, q.scales.data() + t, q.sums.data() + t);
  return q;
}

std::vector<float> matmul(const Ops& ops, const WeightView& w, const Quantized& q, std::uint32_t tokens, std::uint32_t from, std::uint32_t to) {
  std::vector<float> out(std::size_t{tokens} * w.rows, -1.0F);
  ops.matmul_quantized({.weights = w.data, .type = w.type, .row_bytes = w.row_bytes(), .row_begin = from, .row_end = to, .blocks = w.columns / 32,
                        .values = q.values.data(), .scales = q.scales.data(), .sums = q.sums.data(), .tokens = tokens, .out = out.data(), .out_stride = w.rows});
  return out;
}

TEST_F(OpsTest, QuantizedMatmul) {
  struct Shape { std::uint32_t rows, columns, tokens; };
  for (const WeightType type : {WeightType::kQ8_0, WeightType::kQ4_0, WeightType::kQ4_1})
    for (const float magnitude : {1.0F, 3e-5F, 5e4F})
      for (const Shape shape : {Shape{8, 32, 1}, Shape{1, 64, 2}, Shape{19, 96, 3}, Shape{24, 256, 5}, Shape{9, 64, 67}, Shape{16, 32, 130}}) {
        const test::RandomMatrix w = test::random_matrix(type, shape.rows, shape.columns, shape.tokens, magnitude);
        const std::vector<float> x = random_floats(std::size_t{shape.tokens} * shape.columns, 3);
        const Quantized q = quantize(scalar, x, shape.tokens);
        const std::vector<float> a = matmul(scalar, w.view, q, shape.tokens, 0, shape.rows);
        expect_same(a, matmul(avx2, w.view, q, shape.tokens, 0, shape.rows));
        const std::vector<double> exact = test::exact_weights(w.view);
        for (std::uint32_t t = 0; t < shape.tokens; ++t)
          for (std::uint32_t r = 0; r < shape.rows; ++r) {
            double dot = 0;
            for (std::uint32_t k = 0; k < shape.columns; ++k) dot += exact[std::size_t{r} * shape.columns + k] * x[std::size_t{t} * shape.columns + k];
            ASSERT_NEAR(a[std::size_t{t} * shape.rows + r], dot, magnitude * std::sqrt(shape.columns) * 1e-4) << to_string(type);
          }
      }
}

TEST_F(OpsTest, QuantizedMatmulOfExtremeQuantsIsExact) {
  // All quants and all activations at the ends of their ranges: where a saturating instruction would show.
  for (const WeightType type : {WeightType::kQ8_0, WeightType::kQ4_0, WeightType::kQ4_1})
    for (const std::byte fill : {std::byte{0x00}, std::byte{0x7f}, std::byte{0x80}, std::byte{0xff}}) {
      test::RandomMatrix w = test::random_matrix(type, 8, 64, 1);
      const std::size_t header = type == WeightType::kQ4_1 ? 4 : 2;
      for (std::size_t block = 0; block < w.bytes.size(); block += weight_block_bytes(type))
        for (std::size_t i = header; i < weight_block_bytes(type); ++i) w.bytes[block + i] = fill;
      for (const float sign : {1.0F, -1.0F}) {
        const Quantized q = quantize(scalar, std::vector<float>(128, sign), 2);
        const std::vector<float> a = matmul(scalar, w.view, q, 2, 0, 8);
        expect_same(a, matmul(avx2, w.view, q, 2, 0, 8));
        const std::vector<double> exact = test::exact_weights(w.view);
        for (std::uint32_t r = 0; r < 8; ++r) {
          double sum = 0;
          for (std::uint32_t k = 0; k < 64; ++k) sum += exact[r * 64 + k] * sign;
          ASSERT_NEAR(a[r], sum, 1e-4);
        }
      }
    }
}

TEST_F(OpsTest, QuantizedMatmulTouchesOnlyItsRowsAndEachTokenIsItsOwn) {
  const test::RandomMatrix w = test::random_matrix(WeightType::kQ4_1, 32, 128, 2);
  const std::vector<float> x = random_floats(std::size_t{7} * 128, 4);
  const std::vector<float> all = matmul(avx2, w.view, quantize(avx2, x, 7), 7, 0, 32);
  const std::vector<float> some = matmul(avx2, w.view, quantize(avx2, x, 7), 7, 8, 21);
  for (std::uint32_t t = 0; t < 7; ++t) {
    const std::vector<float> alone = matmul(avx2, w.view, quantize(avx2, {x.begin() + t * 128, x.begin() + (t + 1) * 128}, 1), 1, 0, 32);
    for (std::uint32_t r = 0; r < 32; ++r) {
      ASSERT_EQ(bits_of(some[t * 32 + r]), bits_of(r >= 8 && r < 21 ? all[t * 32 + r] : -1.0F));
      ASSERT_EQ(bits_of(alone[r]), bits_of(all[t * 32 + r]));
    }
  }
}

TEST_F(OpsTest, DotRows) {
  for (const std::uint32_t columns : {1u, 8u, 15u, 16u, 31u, 64u, 577u})
    for (const std::uint32_t count : {1u, 3u, 4u}) {
      const std::vector<float> w = random_floats(std::size_t{4} * columns, columns), x = random_floats(std::size_t{3} * columns, 9);
      DotRows arguments{.count = count, .columns = columns, .x = x.data(), .tokens = 3, .out_stride = 6};
      for (std::uint32_t r = 0; r < count; ++r) arguments.rows[r] = w.data() + std::size_t{r} * columns;
      std::vector<float> a(18, -1.0F), b(18, -1.0F);
      arguments.out = a.data();
      scalar.dot_rows(arguments);
      arguments.out = b.data();
      avx2.dot_rows(arguments);
      expect_same(a, b);
      for (std::uint32_t t = 0; t < 3; ++t)
        for (std::uint32_t r = 0; r < 6; ++r) {
          double dot = r < count ? 0 : -1;
          for (std::uint32_t k = 0; r < count && k < columns; ++k) dot += static_cast<double>(w[std::size_t{r} * columns + k]) * x[std::size_t{t} * columns + k];
          ASSERT_NEAR(a[t * 6 + r], dot, 1e-5);
        }
    }
}

TEST_F(OpsTest, RopeTurnsPairsAndLeavesTheRest) {
  const std::uint32_t head_dim = 32, rotary = 24, heads = 3;
  std::vector<float> c(rotary), s(rotary), angles = random_floats(rotary / 2, 6, 3.0F);
  for (std::uint32_t i = 0; i < rotary; ++i) {
    c[i] = std::cos(angles[i / 2]);
    s[i] = (i % 2 == 0 ? -1.0F : 1.0F) * std::sin(angles[i / 2]);
  }
  const std::vector<float> x = random_floats(std::size_t{heads} * head_dim, 7);
  std::vector<float> a = x, b = x;
  scalar.rope(a.data(), heads, head_dim, rotary, c.data(), s.data());
  avx2.rope(b.data(), heads, head_dim, rotary, c.data(), s.data());
  expect_same(a, b);
  for (std::uint32_t i = 0; i < heads * head_dim; ++i) {
    const std::uint32_t d = i % head_dim;
    const double partner = d % 2 == 0 ? -static_cast<double>(x[i + 1]) : static_cast<double>(x[i - 1]);
    const double expected = d < rotary ? x[i] * std::cos(static_cast<double>(angles[d / 2])) + partner * std::sin(static_cast<double>(angles[d / 2])) : x[i];
    ASSERT_NEAR(a[i], expected, 1e-6);
  }
}

TEST_F(OpsTest, SiluMultiplyAndAdd) {
  for (const std::uint32_t n : {1u, 8u, 13u, 576u}) {
    const std::vector<float> x = random_floats(n, n, 20.0F), y = random_floats(n, n + 1, 2.0F);
    std::vector<float> a = x, b = x;
    scalar.silu_multiply(a.data(), y.data(), n);
    avx2.silu_multiply(b.data(), y.data(), n);
    expect_same(a, b);
    for (std::uint32_t i = 0; i < n; ++i) ASSERT_NEAR(a[i], x[i] / (1 + std::exp(-static_cast<double>(x[i]))) * y[i], 1e-5);
    a = b = x;
    scalar.add(a.data(), y.data(), n);
    avx2.add(b.data(), y.data(), n);
    expect_same(a, b);
    for (std::uint32_t i = 0; i < n; ++i) ASSERT_EQ(a[i], x[i] + y[i]);
  }
}

TEST_F(OpsTest, ExponentialOverTheWholeRange) {
  std::vector<float> x;
  for (float value = -105.0F; value < 95.0F; value += 0.000731F) x.push_back(value);
  for (const float special : {0.0F, -0.0F, kInfinity, -kInfinity, kNan, 1e-40F, 88.37F, -86.0F, 1e30F, -1e30F}) x.push_back(special);
  std::vector<float> a = x, b = x;
  const auto n = static_cast<std::uint32_t>(x.size());
  expect_same(std::vector<float>{scalar.exponential_sum(a.data(), n, 0)}, std::vector<float>{avx2.exponential_sum(b.data(), n, 0)});
  expect_same(a, b);
  for (std::uint32_t i = 0; i < n; ++i) {
    const double exact = std::exp(static_cast<double>(x[i]));
    if (std::isnan(x[i])) ASSERT_TRUE(std::isnan(a[i]));
    else if (x[i] < -86) ASSERT_EQ(a[i], 0) << x[i];
    else if (x[i] > 88.37F) ASSERT_EQ(a[i], kInfinity) << x[i];
    else ASSERT_NEAR(a[i] / exact, 1, 3e-7) << x[i];
  }
}

TEST_F(OpsTest, ExponentialSumOfOddLengths) {
  for (std::uint32_t n = 1; n < 40; ++n) {
    const std::vector<float> x = random_floats(n, n, 5.0F);
    std::vector<float> a = x, b = x;
    const float sum = scalar.exponential_sum(a.data(), n, 5.0F);
    ASSERT_EQ(bits_of(sum), bits_of(avx2.exponential_sum(b.data(), n, 5.0F)));
    expect_same(a, b);
    double exact = 0;
    for (const float value : x) exact += std::exp(static_cast<double>(value) - 5);
    ASSERT_NEAR(sum / exact, 1, 1e-6);
  }
}

}  // namespace
}  // namespace baton::cpu
