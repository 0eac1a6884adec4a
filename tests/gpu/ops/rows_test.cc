// SPDX-License-Identifier: Apache-2.0
// Row ops and matrix products against double precision.
#include <gtest/gtest.h>

#include <numeric>

#include "kernels/cuda/matmul_library.h"
#include "kernels/cuda/ops.h"
#include "tests/gpu/device_data.h"
#include "tests/gpu/paged_data.h"
#include "tests/support/random_weights.h"

namespace baton::test {
namespace {

using cuda::Bf16;
using cuda::MatmulOut;

TEST(Rows, EmbedCopiesTheTokensRows) {
  for (const std::uint32_t width : {64u, 576u, 4096u}) {
    const std::vector<Bf16> table = to_bf16(random_floats(50 * width, width));
    const std::vector<std::int32_t> tokens = {3, 0, 49, 3, 17};
    const OnDevice<Bf16> there(table);
    const OnDevice<std::int32_t> ids(tokens);
    const OnDevice<float> x(tokens.size() * width);
    cuda::embed(test_stream(), {ids.data(), there.data(), 5, width, x.data()});
    std::vector<double> expected;
    for (const std::int32_t token : tokens)
      for (std::uint32_t i = 0; i < width; ++i) expected.push_back(to_double(table[static_cast<std::size_t>(token) * width + i]));
    EXPECT_EQ(distance(x.values(), expected), 0);
  }
}

TEST(Rows, NormDividesByTheRootOfTheMeanSquare) {
  for (const std::uint32_t width : {64u, 576u, 1028u, 4096u, 8192u}) {
    constexpr std::uint32_t kRows = 7;
    const std::vector<float> x = random_floats(kRows * width, width, 3), gain = random_floats(width, 5);
    const std::vector<std::uint32_t> picked = {6, 0, 3};
    const OnDevice<float> dx(x), dgain(gain);
    const OnDevice<std::uint32_t> dpicked(picked);
    for (const bool pick : {false, true}) {
      const std::uint32_t rows = pick ? 3 : kRows;
      const OnDevice<Bf16> y(std::size_t{rows} * width);
      cuda::rms_norm(test_stream(), {dx.data(), dgain.data(), pick ? dpicked.data() : nullptr, rows, width, 1e-5F, y.data()});
      std::vector<double> expected;
      for (std::uint32_t r = 0; r < rows; ++r) {
        const float* row = x.data() + std::size_t{pick ? picked[r] : r} * width;
        double sum = 0;
        for (std::uint32_t i = 0; i < width; ++i) sum += to_double(row[i]) * to_double(row[i]);
        for (std::uint32_t i = 0; i < width; ++i) expected.push_back(to_double(row[i]) / std::sqrt(sum / width + 1e-5) * to_double(gain[i]));
      }
      EXPECT_LT(distance(y.values(), expected), kBf16Distance) << width;
    }
  }
}

TEST(Rows, GatedUnit) {
  for (const std::uint32_t width : {8u, 1536u, 14336u}) {
    constexpr std::uint32_t kRows = 5;
    const std::vector<Bf16> gate_up = to_bf16(random_floats(std::size_t{2} * kRows * width, width, 4));
    const OnDevice<Bf16> in(gate_up), out(kRows * width);
    cuda::silu_multiply(test_stream(), {in.data(), out.data(), kRows, width});
    std::vector<double> expected;
    for (std::uint32_t row = 0; row < kRows; ++row)
      for (std::uint32_t i = 0; i < width; ++i) {
        const double gate = to_double(gate_up[std::size_t{2} * row * width + i]), up = to_double(gate_up[(std::size_t{2} * row + 1) * width + i]);
        expected.push_back(gate / (1 + std::exp(-gate)) * up);
      }
    EXPECT_LT(distance(out.values(), expected), kBf16Distance);
  }
}

// Queries stay, keys and values go to their slots, and nothing else in the pool is touched.
void check_rope(std::uint32_t head_dim, std::uint32_t heads, std::uint32_t kv_heads, std::uint32_t pairs, bool with_bias, std::uint32_t block_tokens) {
  const PagedData paged({.layers = 3, .kv_heads = kv_heads, .head_dim = head_dim, .block_tokens = block_tokens, .dtype = DType::kBF16}, {40, 7, 100});
  const std::vector<std::uint32_t> positions = {39, 6, 99, cuda::kNoPosition, 0}, sequences = {0, 1, 2, 0, 2};
  const std::uint32_t columns = (heads + 2 * kv_heads) * head_dim;
  const std::vector<Bf16> qkv = to_bf16(random_floats(5 * columns, 3));
  const std::vector<float> bias = random_floats(columns, 4);
  std::vector<double> frequencies;
  for (std::uint32_t i = 0; i < pairs; ++i) frequencies.push_back(std::pow(500.0, -2.0 * i / (2 * pairs)));
  const OnDevice<double> dfrequencies(frequencies);
  const OnDevice<float> table(std::size_t{128} * pairs * 2), dbias(bias);
  cuda::rotary_table(test_stream(), dfrequencies.data(), pairs, 128, table.data());
  const OnDevice<Bf16> dqkv(qkv);
  const OnDevice<std::uint32_t> dpositions(positions), dsequences(sequences);
  constexpr std::uint32_t kLayer = 1;
  const std::vector<std::byte> before = paged.pool().values();
  cuda::rope_and_store(test_stream(), {dqkv.data(), with_bias ? dbias.data() : nullptr, table.data(), pairs, 5, heads, kLayer, paged.rows(dpositions, dsequences)});
  const std::vector<Bf16> after = dqkv.values();
  std::vector<std::byte> pool = paged.pool().values();
  std::vector<Bf16> got;
  std::vector<double> expected;
  for (std::uint32_t row = 0; row < 5; ++row) {
    if (positions[row] == cuda::kNoPosition) continue;
    for (std::uint32_t head = 0; head < heads + 2 * kv_heads; ++head)
      for (std::uint32_t i = 0; i < head_dim; ++i) {
        const auto in = [&](std::uint32_t element) {
          const std::uint32_t column = head * head_dim + element;
          return to_double(qkv[std::size_t{row} * columns + column]) + (with_bias ? to_double(bias[column]) : 0);
        };
        double value = in(i);
        if (head < heads + kv_heads && i < 2 * pairs) {
          const double angle = positions[row] * frequencies[i / 2];
          value = value * std::cos(angle) + (i % 2 == 0 ? -in(i + 1) : in(i - 1)) * std::sin(angle);
        }
        expected.push_back(value);
        if (head < heads) {
          got.push_back(after[std::size_t{row} * columns + head * head_dim + i]);
          continue;
        }
        const bool is_value = head >= heads + kv_heads;
        std::byte* at = pool.data() + paged.offset(sequences[row], positions[row], kLayer, head - heads - (is_value ? kv_heads : 0), is_value) + i * 2;
        std::memcpy(&got.emplace_back(), at, 2);
        std::memcpy(at, before.data() + (at - pool.data()), 2);
      }
  }
  EXPECT_LT(distance(got, expected), kBf16Distance);
  EXPECT_EQ(pool, before) << "a slot was written that is nobody's";
}

TEST(Rows, RopeTurnsPairsAndStoresKeysAndValues) {
  check_rope(64, 9, 3, 32, false, 16);
  check_rope(128, 32, 8, 64, false, 16);
  check_rope(128, 32, 8, 64, true, 64);
  check_rope(64, 2, 2, 16, true, 32);
}

struct MatmulShape {
  std::uint32_t rows, outputs, columns;
};
std::vector<double> product(const std::vector<Bf16>& x, const std::vector<Bf16>& weights, const MatmulShape& s, std::uint32_t first = 0) {
  std::vector<double> out;
  for (std::uint32_t row = 0; row < s.rows; ++row)
    for (std::uint32_t i = 0; i < s.outputs; ++i) {
      double sum = 0;
      for (std::uint32_t k = 0; k < s.columns; ++k) sum += to_double(x[std::size_t{row} * s.columns + k]) * to_double(weights[std::size_t{first + i} * s.columns + k]);
      out.push_back(sum);
    }
  return out;
}

// rows, outputs and columns that fill tiles and that do not; every number of splits, every kind of result.
void check_row_matmul(const MatmulShape& s, std::uint32_t splits) {
  SCOPED_TRACE(testing::Message() << s.rows << " x " << s.outputs << " x " << s.columns << " in " << splits);
  const std::vector<Bf16> x = to_bf16(random_floats(std::size_t{s.rows} * s.columns, 1)), weights = to_bf16(random_floats(std::size_t{2} * s.outputs * s.columns, 2, 0.2F));
  const std::vector<float> before = random_floats(std::size_t{s.rows} * s.outputs, 3);
  const OnDevice<Bf16> dx(x), dweights(weights), as_bf16(before.size()), gated(before.size());
  const OnDevice<float> as_float(before.size()), added(before);
  const auto run = [&](MatmulOut kind, void* out) { cuda::row_matmul(test_stream(), {dx.data(), dweights.data(), s.rows, s.outputs, s.columns, splits, kind, out}); };
  run(MatmulOut::kBf16, as_bf16.data());
  run(MatmulOut::kFloat, as_float.data());
  run(MatmulOut::kAddFloat, added.data());
  run(MatmulOut::kGated, gated.data());
  std::vector<double> expected = product(x, weights, s);
  EXPECT_LT(distance(as_bf16.values(), expected), kBf16Distance);
  EXPECT_LT(distance(as_float.values(), expected), kFloatDistance);
  std::vector<double> with_gate = product(x, weights, s, s.outputs);
  for (std::size_t i = 0; i < expected.size(); ++i) {
    with_gate[i] *= expected[i] / (1 + std::exp(-expected[i]));
    expected[i] += to_double(before[i]);
  }
  EXPECT_LT(distance(added.values(), expected), kFloatDistance);
  EXPECT_LT(distance(gated.values(), with_gate), kBf16Distance);
}

TEST(RowMatmul, EveryShapeKindAndSplit) {
  for (const std::uint32_t rows : {1u, 7u, 8u, 9u, 16u, 31u, 33u, 64u}) check_row_matmul({rows, 192, 320}, 1);
  for (const std::uint32_t splits : {1u, 2u, 3u, 5u, 8u}) {
    check_row_matmul({5, 256, 576}, splits);
    check_row_matmul({64, 128, 2048}, splits);
    check_row_matmul({3, 64, 512}, splits);
  }
  check_row_matmul({130, 320, 192}, 2);
}

TEST(RowMatmul, ARowDoesNotDependOnItsCompany) {
  const MatmulShape s{130, 256, 576};
  const std::vector<Bf16> x = to_bf16(random_floats(s.rows * s.columns, 1)), weights = to_bf16(random_floats(s.outputs * s.columns, 2));
  const OnDevice<Bf16> dx(x), dweights(weights);
  const OnDevice<float> all(s.rows * s.outputs);
  const std::uint32_t splits = cuda::row_matmul_splits(s.outputs, s.columns, MatmulOut::kFloat);
  cuda::row_matmul(test_stream(), {dx.data(), dweights.data(), s.rows, s.outputs, s.columns, splits, MatmulOut::kFloat, all.data()});
  const std::vector<float> together = all.values();
  for (const std::uint32_t rows : {1u, 8u, 12u, 30u, 64u})
    for (const std::uint32_t first : {0u, 66u}) {
      const OnDevice<float> some(rows * s.outputs);
      cuda::row_matmul(test_stream(), {dx.data() + first * s.columns, dweights.data(), rows, s.outputs, s.columns, splits, MatmulOut::kFloat, some.data()});
      const std::vector<float> alone = some.values();
      EXPECT_TRUE(same_bits(std::span<const float>(alone), std::span<const float>(together).subspan(first * s.outputs, rows * s.outputs))) << rows << " from " << first;
    }
}

TEST(MatmulLibrary, ManyRows) {
  test_stream();
  const auto library = cuda::MatmulLibrary::open();
  ASSERT_TRUE(library) << library.error().message;
  for (const MatmulShape& s : {MatmulShape{65, 256, 576}, {200, 144, 320}, {1, 64, 64}}) {
    const std::vector<Bf16> x = to_bf16(random_floats(s.rows * s.columns, 1)), weights = to_bf16(random_floats(s.outputs * s.columns, 2));
    const std::vector<float> before = random_floats(s.rows * s.outputs, 3);
    const OnDevice<Bf16> dx(x), dweights(weights), as_bf16(before.size());
    const OnDevice<float> added(before);
    for (int again = 0; again < 2; ++again) (*library)->multiply(test_stream(), {dx.data(), dweights.data(), s.rows, s.outputs, s.columns, MatmulOut::kBf16, as_bf16.data()});
    (*library)->multiply(test_stream(), {dx.data(), dweights.data(), s.rows, s.outputs, s.columns, MatmulOut::kAddFloat, added.data()});
    std::vector<double> expected = product(x, weights, s);
    EXPECT_LT(distance(as_bf16.values(), expected), kBf16Distance);
    for (std::size_t i = 0; i < expected.size(); ++i) expected[i] += to_double(before[i]);
    EXPECT_LT(distance(added.values(), expected), kFloatDistance);
  }
}

}  // namespace
}  // namespace baton::test
