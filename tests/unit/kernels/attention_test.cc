// SPDX-License-Identifier: Apache-2.0
// Paged attention: same bits from every instruction set and block table, near a naive double-precision softmax.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>

#include "kernels/cpu/half.h"
#include "kernels/cpu/ops.h"
#include "tests/support/engine_pool.h"
#include "tests/support/random_weights.h"

namespace baton::cpu {
namespace {

struct Case {
  std::uint32_t heads, head_dim, length, block_tokens;
  DType dtype;
  std::uint32_t tokens = 1;  // the last of them sees `length` positions
};

class PagedAttention {
 public:
  explicit PagedAttention(const Case& c)
      : case_(c),
        geometry_{.group = 0, .layers = 2, .kv_heads = 2, .head_dim = c.head_dim, .block_tokens = c.block_tokens, .dtype = c.dtype},
        keys_(test::random_floats(std::size_t{c.length} * c.head_dim, 21, 2.0F)),
        values_(test::random_floats(std::size_t{c.length} * c.head_dim, 22)),
        query_(test::random_floats(std::size_t{c.tokens} * c.heads * c.head_dim, 23, 2.0F)) {}

  std::vector<float> run(const Ops& ops, const std::vector<std::uint32_t>& table) const {
    test::EnginePool pool(geometry_, 1 + *std::max_element(table.begin(), table.end()));
    for (std::uint32_t position = 0; position < case_.length; ++position)
      for (const bool value : {false, true})
        ops.store_row((value ? values_ : keys_).data() + std::size_t{position} * case_.head_dim, case_.head_dim, case_.dtype,
                      pool.bytes().data() + table[position / case_.block_tokens] * geometry_.block_bytes() +
                          geometry_.row_offset(1, 1, value, position % case_.block_tokens));
    const std::size_t stride = std::size_t{case_.heads} * case_.head_dim;
    std::vector<float> out(query_.size());
    std::vector<Line> scratch(attention_scratch(case_.tokens, case_.heads, case_.length, case_.head_dim) / 16 + 1);
    ops.attention({.query = query_.data(), .query_stride = stride, .out = out.data(), .out_stride = stride, .tokens = case_.tokens, .heads = case_.heads,
                   .head_dim = case_.head_dim, .length = case_.length + 1 - case_.tokens, .scale = 0.25F, .pool = pool.bytes().data(), .blocks = table.data(),
                   .block_bytes = geometry_.block_bytes(), .key_offset = geometry_.row_offset(1, 1, false, 0), .value_offset = geometry_.row_offset(1, 1, true, 0),
                   .block_tokens = case_.block_tokens, .dtype = case_.dtype, .scratch = scratch.front().floats});
    return out;
  }

  // `row`: token x heads + head.
  double exact(std::uint32_t row, std::uint32_t d) const {
    double sum = 0, total = 0;
    for (std::uint32_t position = 0; position <= case_.length - case_.tokens + row / case_.heads; ++position) {
      double dot = 0;
      for (std::uint32_t k = 0; k < case_.head_dim; ++k) dot += static_cast<double>(query_[row * case_.head_dim + k]) * keys_[position * case_.head_dim + k];
      const double weight = std::exp(dot * 0.25);
      sum += weight;
      total += weight * values_[position * case_.head_dim + d];
    }
    return total / sum;
  }
  std::uint32_t blocks() const { return geometry_.blocks_for(case_.length); }
  // What the last token has stored is no number.
  void poison_last() {
    std::fill(keys_.end() - case_.head_dim, keys_.end(), std::nanf(""));
    std::fill(values_.end() - case_.head_dim, values_.end(), INFINITY);
  }

 private:
  struct alignas(64) Line {
    float floats[16];
  };
  Case case_;
  KvGeometry geometry_;
  std::vector<float> keys_, values_, query_;
};

TEST(Attention, SameBitsFromEveryTableAndAnyBlockTable) {
  for (const Case c : {Case{1, 16, 1, 16, DType::kF16}, Case{3, 64, 37, 16, DType::kF16}, Case{5, 32, 70, 4, DType::kBF16}, Case{2, 128, 33, 32, DType::kF32},
                       Case{8, 48, 129, 1, DType::kF16}, Case{3, 64, 8, 16, DType::kF16, 8}, Case{3, 64, 100, 16, DType::kF16, 7}, Case{1, 80, 41, 64, DType::kBF16, 5},
                       Case{4, 64, 19, 2, DType::kF32, 2}, Case{40, 16, 21, 16, DType::kF16, 3}}) {
    const PagedAttention attention(c);
    std::vector<std::uint32_t> table(attention.blocks());
    std::iota(table.begin(), table.end(), 0u);
    const std::vector<float> in_order = attention.run(scalar_ops(), table);
    std::vector<std::uint32_t> scattered = table;
    for (std::uint32_t& block : scattered) block = (block * 5 + 3) % (5 * attention.blocks() + 4);
    EXPECT_EQ(in_order, attention.run(scalar_ops(), scattered));
    for (const Ops* ops : {avx2_ops(), avx512_ops()}) {
      if (ops == nullptr) continue;
      EXPECT_EQ(in_order, attention.run(*ops, table)) << ops->name;
      EXPECT_EQ(in_order, attention.run(*ops, scattered)) << ops->name;
    }
    const double tolerance = c.dtype == DType::kF32 ? 2e-6 : c.dtype == DType::kF16 ? 5e-3 : 4e-2;
    for (std::uint32_t row = 0; row < c.tokens * c.heads; ++row)
      for (std::uint32_t d = 0; d < c.head_dim; ++d) ASSERT_NEAR(in_order[row * c.head_dim + d], attention.exact(row, d), tolerance);
  }
}

// Its beginning may be another request's, too, and kept for it.
TEST(Attention, ATokenIsNotTouchedByWhatLaterOnesOfItsTileStore) {
  for (const Case c : {Case{1, 16, 6, 16, DType::kF32, 2}, Case{3, 64, 40, 16, DType::kF16, 8}, Case{4, 80, 17, 1, DType::kBF16, 3},
                       Case{32, 16, 33, 4, DType::kF16, 8}, Case{40, 48, 256, 256, DType::kF32, 2}}) {
    PagedAttention attention(c);
    std::vector<std::uint32_t> table(attention.blocks());
    std::iota(table.begin(), table.end(), 0u);
    std::vector<float> expected = attention.run(scalar_ops(), table);
    attention.poison_last();
    expected.resize(expected.size() - std::size_t{c.heads} * c.head_dim);
    for (const Ops* ops : {&scalar_ops(), avx2_ops(), avx512_ops()}) {
      if (ops == nullptr) continue;
      std::vector<float> out = attention.run(*ops, table);
      EXPECT_TRUE(std::isnan(out.back())) << ops->name;
      out.resize(expected.size());
      EXPECT_EQ(out, expected) << ops->name;
    }
  }
}

TEST(Attention, BestTableIsOneOfThisCpu) {
  const Ops& best = best_ops();
  EXPECT_TRUE(&best == &scalar_ops() || &best == avx2_ops() || &best == avx512_ops()) << best.name;
  if (avx2_ops() != nullptr) {
    EXPECT_NE(&best, &scalar_ops());
  }
}

}  // namespace
}  // namespace baton::cpu
