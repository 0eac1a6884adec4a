// SPDX-License-Identifier: Apache-2.0
// Every op: the AVX2 and AVX-512 versions give the scalar reference's bits on random shapes (odd tails included), and the scalar
// reference is near a naive computation in double precision.
#include "kernels/cpu/ops.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <span>
#include <string>

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

const Ops* table_named(const std::string& name) { return name == "avx512" ? avx512_ops() : avx2_ops(); }

class OpsTest : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    if (table_named(GetParam()) == nullptr) GTEST_SKIP() << "this CPU has no " << GetParam();
  }
  const Ops& scalar = scalar_ops();
  const Ops& tested = table_named(GetParam()) != nullptr ? *table_named(GetParam()) : scalar_ops();
};

INSTANTIATE_TEST_SUITE_P(Tables, OpsTest, testing::Values("avx2", "avx512"), [](const auto& table) { return table.param; });

TEST_P(OpsTest, HalfFloatsConvertAsTheHardwareDoes) {
  std::vector<float> wide(8);
  std::vector<std::byte> narrow(16), expected(16);
  for (std::uint32_t raw = 0; raw < 65536; raw += 8) {
    std::uint16_t halves[8];
    for (std::uint32_t i = 0; i < 8; ++i) halves[i] = static_cast<std::uint16_t>(raw + i);
    tested.dequantize_row(reinterpret_cast<const std::byte*>(halves), WeightType::kF16, 8, wide.data());
    for (std::uint32_t i = 0; i < 8; ++i) ASSERT_EQ(bits_of(wide[i]), bits_of(half_to_float(halves[i]))) << raw + i;
  }
  // Every float32 whose low bits matter for rounding: steps that visit all exponents and ties.
  for (std::uint64_t bits = 0; bits < (std::uint64_t{1} << 32); bits += 8 * 2047) {
    for (std::uint32_t i = 0; i < 8; ++i) wide[i] = float_of(static_cast<std::uint32_t>(bits) + i * 1024);
    for (const DType type : {DType::kF16, DType::kBF16}) {
      scalar.store_row(wide.data(), 8, type, expected.data());
      tested.store_row(wide.data(), 8, type, narrow.data());
      ASSERT_EQ(narrow, expected) << std::hex << bits;
    }
  }
}

TEST_P(OpsTest, DequantizedRowsAreTheFormatsValues) {
  for (const WeightType type : kTypes)
    for (const float magnitude : {1.0F, 1e-6F, 6e4F}) {
      const std::uint32_t columns = weight_block_elements(type) == 1 ? 77 : 96;
      const test::RandomMatrix matrix = test::random_matrix(type, 3, columns, 11, magnitude);
      const std::vector<double> exact = test::exact_weights(matrix.view);
      for (std::uint32_t row = 0; row < 3; ++row) {
        std::vector<float> a(columns), b(columns);
        scalar.dequantize_row(matrix.view.row(row), type, columns, a.data());
        tested.dequantize_row(matrix.view.row(row), type, columns, b.data());
        expect_same(a, b);
        for (std::uint32_t i = 0; i < columns; ++i) ASSERT_NEAR(a[i], exact[row * columns + i], 2e-7 * magnitude * 2) << to_string(type);
      }
    }
}

TEST_P(OpsTest, RmsNorm) {
  for (const std::uint32_t n : {1u, 7u, 8u, 15u, 16u, 17u, 40u, 576u, 1001u}) {
    const std::vector<float> x = random_floats(n, n, 30.0F), gain = random_floats(n, n + 1);
    std::vector<float> a(n), b(n);
    scalar.rms_norm(x.data(), gain.data(), n, 1e-5F, a.data());
    tested.rms_norm(x.data(), gain.data(), n, 1e-5F, b.data());
    expect_same(a, b);
    double squares = 0;
    for (const float value : x) squares += static_cast<double>(value) * value;
    for (std::uint32_t i = 0; i < n; ++i)
      ASSERT_NEAR(a[i], x[i] / std::sqrt(squares / n + 1e-5) * gain[i], 4e-6);
  }
}

// Tokens as int8 terms, [block][token], as matmul_panels reads them.
struct Quantized {
  std::uint32_t tokens, terms;
  std::vector<std::int8_t> values;
  std::vector<float> scales, sums;
  std::vector<std::int32_t> integer_sums;

  Quantized(const Ops& ops, const std::vector<float>& x, std::uint32_t tokens_in, std::uint32_t terms_in)
      : tokens(tokens_in), terms(terms_in), values(x.size() * terms), scales(x.size() / 32), sums(x.size() / 32), integer_sums(x.size() / 32) {
    const std::size_t columns = x.size() / tokens;
    for (std::size_t block = 0; block < columns / 32; ++block)
      ops.quantize_block({.x = x.data() + block * 32, .x_stride = columns, .tokens = tokens, .terms = terms,
                          .values = values.data() + block * tokens * terms * 32, .scales = scales.data() + block * tokens,
                          .sums = sums.data() + block * tokens, .integer_sums = integer_sums.data() + block * tokens});
  }
  double value(std::size_t unit, std::size_t i) const {
    const std::int8_t* of_unit = values.data() + unit * terms * 32;
    return static_cast<double>(scales[unit]) * (terms == 2 ? of_unit[i] * 256 + of_unit[32 + i] : of_unit[i]);
  }
};

void expect_same(const Quantized& a, const Quantized& b) {
  EXPECT_EQ(a.values, b.values);
  EXPECT_EQ(a.integer_sums, b.integer_sums);
  expect_same(a.scales, b.scales);
  expect_same(a.sums, b.sums);
}

TEST_P(OpsTest, QuantizedActivationsKeepTheirBits) {
  for (const std::uint32_t terms : {1u, 2u})
    for (const float magnitude : {1e-30F, 1e-3F, 1.0F, 1e30F}) {
      const std::vector<float> x = random_floats(std::size_t{3} * 96, 5, magnitude);
      const Quantized a(scalar, x, 3, terms);
      expect_same(a, Quantized(tested, x, 3, terms));
      for (std::size_t token = 0; token < 3; ++token)
        for (std::size_t i = 0; i < 96; ++i) {
          const std::size_t unit = i / 32 * 3 + token;
          ASSERT_NEAR(a.value(unit, i % 32), x[token * 96 + i], magnitude / (terms == 2 ? 32639 : 127) * 0.51);
        }
      for (std::size_t unit = 0; unit < 9; ++unit) {
        double sum = 0;
        for (std::size_t i = 0; i < 32; ++i) sum += a.value(unit, i);
        ASSERT_NEAR(a.sums[unit], sum, std::abs(sum) * 1e-6);
      }
    }
}

TEST_P(OpsTest, QuantizingZerosTinyAndBrokenBlocks) {
  for (const float special : {0.0F, 1e-40F, kNan, kInfinity, -kInfinity}) {
    std::vector<float> x(32, 0.0F);
    x[9] = special;
    const Quantized a(scalar, x, 1, 2);
    expect_same(a, Quantized(tested, x, 1, 2));
    EXPECT_EQ(std::isnan(a.scales[0]), !std::isfinite(special));
  }
}

// A random matrix in panels.
class Packed {
 public:
  explicit Packed(const WeightView& view) : panels{nullptr, view.type, view.rows, view.columns}, memory_(panels.bytes() / 64 + 1) {
    pack_panels(view, panels, 0, panels.count(), memory_.front().bytes);
    panels.data = memory_.front().bytes;
  }
  Packed(const Packed&) = delete;
  Packed& operator=(const Packed&) = delete;
  Panels panels;

 private:
  struct alignas(64) Line {
    std::byte bytes[64];
  };
  std::vector<Line> memory_;
};

std::vector<float> matmul(const Ops& ops, const Packed& w, const Quantized& q, std::uint32_t from, std::uint32_t to, bool add = false) {
  std::vector<float> out(std::size_t{q.tokens} * w.panels.rows, -1.0F);
  ops.matmul_panels({.weights = w.panels, .panel_begin = from, .panel_end = to, .terms = q.terms, .values = q.values.data(),
                     .scales = q.scales.data(), .sums = q.sums.data(), .integer_sums = q.integer_sums.data(), .tokens = q.tokens,
                     .out = out.data() + std::size_t{from} * kPanelRows, .out_stride = w.panels.rows, .add = add});
  return out;
}

TEST_P(OpsTest, QuantizedMatmul) {
  struct Shape { std::uint32_t rows, columns, tokens; };
  for (const WeightType type : {WeightType::kQ8_0, WeightType::kQ4_0, WeightType::kQ4_1})
    for (const std::uint32_t terms : {1u, 2u})
      for (const float magnitude : {1.0F, 3e-5F, 5e4F})
        for (const Shape shape : {Shape{16, 32, 1}, Shape{1, 64, 2}, Shape{19, 96, 3}, Shape{40, 256, 5}, Shape{9, 64, 67}, Shape{33, 32, 30}}) {
          const test::RandomMatrix w = test::random_matrix(type, shape.rows, shape.columns, shape.tokens, magnitude);
          const Packed packed(w.view);
          const std::vector<float> x = random_floats(std::size_t{shape.tokens} * shape.columns, 3);
          const Quantized q(scalar, x, shape.tokens, terms);
          const std::vector<float> a = matmul(scalar, packed, q, 0, packed.panels.count());
          expect_same(a, matmul(tested, packed, q, 0, packed.panels.count()));
          const std::vector<double> exact = test::exact_weights(w.view);
          const double tolerance = magnitude * std::sqrt(shape.columns) * (terms == 2 ? 1e-4 : 2e-2);
          for (std::uint32_t t = 0; t < shape.tokens; ++t)
            for (std::uint32_t r = 0; r < shape.rows; ++r) {
              double dot = 0;
              for (std::uint32_t k = 0; k < shape.columns; ++k) dot += exact[std::size_t{r} * shape.columns + k] * x[std::size_t{t} * shape.columns + k];
              ASSERT_NEAR(a[std::size_t{t} * shape.rows + r], dot, tolerance) << to_string(type);
            }
        }
}

TEST_P(OpsTest, QuantizedMatmulOfExtremeQuantsIsExact) {
  // All quants and all activations at the ends of their ranges: where a saturating instruction would show.
  for (const WeightType type : {WeightType::kQ8_0, WeightType::kQ4_0, WeightType::kQ4_1})
    for (const std::byte fill : {std::byte{0x00}, std::byte{0x7f}, std::byte{0x80}, std::byte{0xff}}) {
      test::RandomMatrix w = test::random_matrix(type, 8, 64, 1);
      const std::size_t header = type == WeightType::kQ4_1 ? 4 : 2;
      for (std::size_t block = 0; block < w.bytes.size(); block += weight_block_bytes(type))
        for (std::size_t i = header; i < weight_block_bytes(type); ++i) w.bytes[block + i] = fill;
      const Packed packed(w.view);
      // 1, and what leaves a second term of -128: 128 units below the largest.
      for (const float value : {1.0F, -1.0F, 32639.0F / 32512.0F})
        for (const std::uint32_t terms : {1u, 2u}) {
          std::vector<float> x(128, value);
          x[0] = x[64] = 32639.0F / 32512.0F;
          const Quantized q(scalar, x, 2, terms);
          const std::vector<float> a = matmul(scalar, packed, q, 0, 1);
          expect_same(a, matmul(tested, packed, q, 0, 1));
          const std::vector<double> exact = test::exact_weights(w.view);
          for (std::uint32_t r = 0; r < 8; ++r) {
            double sum = 0, magnitude = 0;
            for (std::uint32_t k = 0; k < 64; ++k) {
              sum += exact[r * 64 + k] * x[k];
              magnitude += std::abs(exact[r * 64 + k]);
            }
            ASSERT_NEAR(a[r], sum, magnitude * (terms == 2 ? 4e-5 : 5e-3));
          }
        }
    }
}

TEST_P(OpsTest, QuantizedMatmulTouchesOnlyItsRowsAndEachTokenIsItsOwn) {
  const test::RandomMatrix w = test::random_matrix(WeightType::kQ4_1, 59, 128, 2);
  const Packed packed(w.view);
  const std::vector<float> x = random_floats(std::size_t{15} * 128, 4);
  const std::vector<float> all = matmul(tested, packed, Quantized(tested, x, 15, 2), 0, 4);
  const std::vector<float> some = matmul(tested, packed, Quantized(tested, x, 15, 2), 1, 3);
  const std::vector<float> added = matmul(tested, packed, Quantized(tested, x, 15, 2), 0, 4, true);
  for (std::uint32_t t = 0; t < 15; ++t) {
    const std::vector<float> alone = matmul(tested, packed, Quantized(tested, {x.begin() + t * 128, x.begin() + (t + 1) * 128}, 1, 2), 0, 4);
    for (std::uint32_t r = 0; r < 59; ++r) {
      ASSERT_EQ(bits_of(some[t * 59 + r]), bits_of(r >= 16 && r < 48 ? all[t * 59 + r] : -1.0F));
      ASSERT_EQ(bits_of(alone[r]), bits_of(all[t * 59 + r]));
      ASSERT_EQ(added[t * 59 + r], -1.0F + all[t * 59 + r]);
    }
  }
}

TEST_P(OpsTest, DotRows) {
  constexpr std::uint32_t kTokens = 6;
  for (const std::uint32_t columns : {1u, 8u, 15u, 16u, 31u, 64u, 577u})
    for (const std::uint32_t count : {1u, 3u, 4u}) {
      const std::vector<float> w = random_floats(std::size_t{4} * columns, columns), x = random_floats(std::size_t{kTokens} * columns, 9);
      DotRows arguments{.count = count, .columns = columns, .x = x.data(), .tokens = kTokens, .out_stride = 6};
      for (std::uint32_t r = 0; r < count; ++r) arguments.rows[r] = w.data() + std::size_t{r} * columns;
      std::vector<float> a(std::size_t{kTokens} * 6, -1.0F), b = a;
      arguments.out = a.data();
      scalar.dot_rows(arguments);
      arguments.out = b.data();
      tested.dot_rows(arguments);
      expect_same(a, b);
      for (std::uint32_t t = 0; t < kTokens; ++t)
        for (std::uint32_t r = 0; r < 6; ++r) {
          double dot = r < count ? 0 : -1;
          for (std::uint32_t k = 0; r < count && k < columns; ++k) dot += static_cast<double>(w[std::size_t{r} * columns + k]) * x[std::size_t{t} * columns + k];
          ASSERT_NEAR(a[t * 6 + r], dot, 1e-5);
        }
      arguments.add = true;
      tested.dot_rows(arguments);
      for (std::uint32_t t = 0; t < kTokens; ++t)
        for (std::uint32_t r = 0; r < 6; ++r) ASSERT_EQ(b[t * 6 + r], r < count ? a[t * 6 + r] + a[t * 6 + r] : -1.0F);
    }
}

TEST_P(OpsTest, RopeTurnsPairsAndLeavesTheRest) {
  const std::uint32_t head_dim = 32, rotary = 24, heads = 3;
  std::vector<float> c(rotary), s(rotary), angles = random_floats(rotary / 2, 6, 3.0F);
  for (std::uint32_t i = 0; i < rotary; ++i) {
    c[i] = std::cos(angles[i / 2]);
    s[i] = (i % 2 == 0 ? -1.0F : 1.0F) * std::sin(angles[i / 2]);
  }
  const std::vector<float> x = random_floats(std::size_t{heads} * head_dim, 7);
  std::vector<float> a = x, b = x;
  scalar.rope(a.data(), heads, head_dim, rotary, c.data(), s.data());
  tested.rope(b.data(), heads, head_dim, rotary, c.data(), s.data());
  expect_same(a, b);
  for (std::uint32_t i = 0; i < heads * head_dim; ++i) {
    const std::uint32_t d = i % head_dim;
    const double partner = d % 2 == 0 ? -static_cast<double>(x[i + 1]) : static_cast<double>(x[i - 1]);
    const double expected = d < rotary ? x[i] * std::cos(static_cast<double>(angles[d / 2])) + partner * std::sin(static_cast<double>(angles[d / 2])) : x[i];
    ASSERT_NEAR(a[i], expected, 1e-6);
  }
}

TEST_P(OpsTest, SiluMultiply) {
  for (const std::uint32_t n : {1u, 8u, 13u, 576u}) {
    const std::vector<float> x = random_floats(n, n, 20.0F), y = random_floats(n, n + 1, 2.0F);
    std::vector<float> a = x, b = x;
    scalar.silu_multiply(a.data(), y.data(), n);
    tested.silu_multiply(b.data(), y.data(), n);
    expect_same(a, b);
    for (std::uint32_t i = 0; i < n; ++i) ASSERT_NEAR(a[i], x[i] / (1 + std::exp(-static_cast<double>(x[i]))) * y[i], 1e-5);
  }
}

TEST_P(OpsTest, ExponentialOverTheWholeRange) {
  std::vector<float> x;
  for (float value = -105.0F; value < 95.0F; value += 0.000731F) x.push_back(value);
  for (const float special : {0.0F, -0.0F, kInfinity, -kInfinity, kNan, 1e-40F, 88.37F, -86.0F, 1e30F, -1e30F}) x.push_back(special);
  std::vector<float> a = x, b = x;
  const auto n = static_cast<std::uint32_t>(x.size());
  expect_same(std::vector<float>{scalar.exponential_sum(a.data(), n, 0)}, std::vector<float>{tested.exponential_sum(b.data(), n, 0)});
  expect_same(a, b);
  for (std::uint32_t i = 0; i < n; ++i) {
    const double exact = std::exp(static_cast<double>(x[i]));
    if (std::isnan(x[i])) ASSERT_TRUE(std::isnan(a[i]));
    else if (x[i] < -86) ASSERT_EQ(a[i], 0) << x[i];
    else if (x[i] > 88.37F) ASSERT_EQ(a[i], kInfinity) << x[i];
    else ASSERT_NEAR(a[i] / exact, 1, 3e-7) << x[i];
  }
}

TEST_P(OpsTest, ExponentialSumOfOddLengths) {
  for (std::uint32_t n = 1; n < 40; ++n) {
    const std::vector<float> x = random_floats(n, n, 5.0F);
    std::vector<float> a = x, b = x;
    const float sum = scalar.exponential_sum(a.data(), n, 5.0F);
    ASSERT_EQ(bits_of(sum), bits_of(tested.exponential_sum(b.data(), n, 5.0F)));
    expect_same(a, b);
    double exact = 0;
    for (const float value : x) exact += std::exp(static_cast<double>(value) - 5);
    ASSERT_NEAR(sum / exact, 1, 1e-6);
  }
}

}  // namespace
}  // namespace baton::cpu
