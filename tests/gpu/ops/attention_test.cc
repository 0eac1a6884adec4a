// SPDX-License-Identifier: Apache-2.0
// Attention of rows and of prompt chunks, and digests, against double precision and the CPU's digest.
#include <gtest/gtest.h>

#include "kernels/cuda/ops.h"
#include "kvstore/digest.h"
#include "tests/gpu/device_data.h"
#include "tests/gpu/paged_data.h"
#include "tests/support/random_weights.h"

namespace baton::test {
namespace {

using cuda::Bf16;

constexpr std::uint32_t kLayer = 1;

struct Shape {
  std::uint32_t head_dim, kv_heads, group, block_tokens;
  std::uint32_t heads() const { return kv_heads * group; }
  KvGeometry geometry() const { return {.layers = 2, .kv_heads = kv_heads, .head_dim = head_dim, .block_tokens = block_tokens, .dtype = DType::kBF16}; }
};
constexpr Shape kShapes[] = {{64, 3, 3, 16}, {128, 2, 4, 16}, {128, 1, 8, 32}, {64, 2, 1, 64}, {128, 1, 16, 16}, {64, 1, 12, 32}, {128, 2, 7, 128}};

// The plan's memory and a launch of it.
class RowAttentionRig {
 public:
  RowAttentionRig(const Shape& shape, std::uint32_t rows_most, std::uint32_t pieces_most)
      : shape_(shape),
        words_(std::vector<std::uint32_t>(cuda::attention_plan_words(rows_most, pieces_most, shape.kv_heads))),
        partial_(cuda::attention_partial_floats(pieces_most, shape.heads(), shape.head_dim)),
        plan_{words_.data(), partial_.data(), rows_most, pieces_most} {}

  std::vector<Bf16> run(const PagedData& data, const std::vector<Bf16>& qkv, const std::vector<std::uint32_t>& positions, const std::vector<std::uint32_t>& sequences, bool fixed) {
    const auto rows = static_cast<std::uint32_t>(positions.size());
    const OnDevice<Bf16> queries(qkv), out(std::size_t{rows} * shape_.heads() * shape_.head_dim);
    const OnDevice<std::uint32_t> dpositions(positions), dsequences(sequences);
    cuda::plan_attention(test_stream(), plan_, dpositions.data(), rows, shape_.heads(), data.geometry(), fixed);
    cuda::row_attention(test_stream(), {queries.data(), stride(), out.data(), shape_.heads(), kLayer, data.rows(dpositions, dsequences), plan_});
    return out.values();
  }
  std::uint32_t stride() const { return (shape_.heads() + 2 * shape_.kv_heads) * shape_.head_dim; }

 private:
  Shape shape_;
  OnDevice<std::uint32_t> words_;
  OnDevice<float> partial_;
  cuda::AttentionPlan plan_;
};

std::vector<double> expected_row(const PagedData& data, const Shape& shape, const Bf16* queries, std::uint32_t sequence, std::uint32_t position) {
  std::vector<double> out;
  for (std::uint32_t head = 0; head < shape.heads(); ++head) {
    const std::vector<double> one = data.attend(queries + head * shape.head_dim, sequence, position, kLayer, head / shape.group);
    out.insert(out.end(), one.begin(), one.end());
  }
  return out;
}

TEST(RowAttention, EveryShapeAgainstDoublePrecision) {
  for (const Shape& shape : kShapes)
    for (const bool fixed : {false, true}) {
      SCOPED_TRACE(testing::Message() << shape.head_dim << " x " << shape.kv_heads << " x " << shape.group << ", blocks of " << shape.block_tokens << ", fixed " << fixed);
      const PagedData data(shape.geometry(), {1, 15, 16, 17, 64, 100, 511, 513, 1400});
      RowAttentionRig rig(shape, 64, 4096);
      std::vector<std::uint32_t> positions, sequences;
      for (std::uint32_t s = 0; s < data.lengths().size(); ++s) positions.push_back(data.lengths()[s] - 1), sequences.push_back(s);
      positions.push_back(700), sequences.push_back(8);  // in the middle of a sequence
      const std::vector<Bf16> qkv = to_bf16(random_floats(positions.size() * rig.stride(), 9, 2));
      std::vector<double> expected;
      for (std::size_t row = 0; row < positions.size(); ++row) {
        const std::vector<double> one = expected_row(data, shape, qkv.data() + row * rig.stride(), sequences[row], positions[row]);
        expected.insert(expected.end(), one.begin(), one.end());
      }
      for (int again = 0; again < 2; ++again)  // the plan's counters are as they were
        EXPECT_LT(distance(rig.run(data, qkv, positions, sequences, fixed), expected), kBf16Distance);
    }
}

TEST(RowAttention, PaddingIsNotWritten) {
  const Shape shape = kShapes[1];
  const PagedData data(shape.geometry(), {40});
  RowAttentionRig rig(shape, 8, 64);
  const std::vector<Bf16> qkv = to_bf16(random_floats(3 * rig.stride(), 9));
  const std::vector<Bf16> out = rig.run(data, qkv, {39, cuda::kNoPosition, 20}, {0, 0, 0}, false);
  const std::size_t columns = shape.heads() * shape.head_dim;
  for (std::size_t i = 0; i < columns; ++i) EXPECT_EQ(out[columns + i].bits, 0xffff);
  EXPECT_LT(distance(std::vector<Bf16>(out.begin() + 2 * static_cast<std::ptrdiff_t>(columns), out.end()), expected_row(data, shape, qkv.data() + 2 * rig.stride(), 0, 20)), kBf16Distance);
}

TEST(RowAttention, WithFixedPiecesARowDoesNotDependOnItsCompany) {
  const Shape shape = kShapes[1];
  const PagedData data(shape.geometry(), {1400, 900, 30, 512, 513});
  RowAttentionRig rig(shape, 256, 4096);
  std::vector<std::uint32_t> positions, sequences;
  for (std::uint32_t i = 0; i < 200; ++i) sequences.push_back(i % 5), positions.push_back(i < 5 ? data.lengths()[i] - 1 : static_cast<std::uint32_t>(random_at(1, i) % data.lengths()[i % 5]));
  const std::vector<Bf16> qkv = to_bf16(random_floats(200 * rig.stride(), 9, 2));
  const std::vector<Bf16> together = rig.run(data, qkv, positions, sequences, true);
  const std::size_t columns = shape.heads() * shape.head_dim;
  for (const std::size_t row : {0u, 1u, 2u, 3u, 4u, 77u, 199u}) {
    const std::vector<Bf16> query(qkv.begin() + static_cast<std::ptrdiff_t>(row * rig.stride()), qkv.begin() + static_cast<std::ptrdiff_t>((row + 1) * rig.stride()));
    const std::vector<Bf16> alone = rig.run(data, query, {positions[row]}, {sequences[row]}, true);
    EXPECT_TRUE(same_bits(std::span<const Bf16>(alone), std::span<const Bf16>(together).subspan(row * columns, columns))) << row;
  }
}

// A chunk of each sequence: `tokens` behind a prefix.
TEST(PromptAttention, ChunksBehindPrefixesAgainstDoublePrecision) {
  for (const Shape& shape : kShapes) {
    SCOPED_TRACE(testing::Message() << shape.head_dim << " x " << shape.kv_heads << " x " << shape.group << ", blocks of " << shape.block_tokens);
    const PagedData data(shape.geometry(), {1, 17, 64, 130, 300});
    const std::vector<std::pair<std::uint32_t, std::uint32_t>> chunks = {{0, 1}, {0, 17}, {60, 4}, {1, 129}, {250, 50}};
    const std::uint32_t stride = (shape.heads() + 2 * shape.kv_heads) * shape.head_dim, tile = cuda::prompt_tile_tokens(shape.group);
    std::vector<cuda::PromptTile> tiles;
    std::uint32_t rows = 0;
    for (std::uint32_t s = 0; s < chunks.size(); ++s) {
      const auto [prefix, tokens] = chunks[s];
      for (std::uint32_t i = 0; i < tokens; i += tile) tiles.push_back({rows + i, std::min(tile, tokens - i), prefix + i, s});
      rows += tokens;
    }
    const std::vector<Bf16> qkv = to_bf16(random_floats(std::size_t{rows} * stride, 9, 2));
    const OnDevice<Bf16> queries(qkv), out(std::size_t{rows} * shape.heads() * shape.head_dim);
    const OnDevice<cuda::PromptTile> dtiles(tiles);
    const OnDevice<std::uint32_t> none(std::vector<std::uint32_t>{0});
    cuda::prompt_attention(test_stream(), {dtiles.data(), static_cast<std::uint32_t>(tiles.size()), queries.data(), stride, out.data(), shape.heads(), kLayer, data.rows(none, none)});
    std::vector<double> expected;
    std::uint32_t row = 0;
    for (std::uint32_t s = 0; s < chunks.size(); ++s)
      for (std::uint32_t i = 0; i < chunks[s].second; ++i, ++row) {
        const std::vector<double> one = expected_row(data, shape, qkv.data() + std::size_t{row} * stride, s, chunks[s].first + i);
        expected.insert(expected.end(), one.begin(), one.end());
      }
    EXPECT_LT(distance(out.values(), expected), kBf16Distance);
  }
}

TEST(Digests, AreTheCpus) {
  for (const std::uint32_t head_dim : {64u, 128u})
    for (const std::uint32_t block_tokens : {16u, 32u}) {
      const PagedData data({.layers = 5, .kv_heads = 3, .head_dim = head_dim, .block_tokens = block_tokens, .dtype = DType::kBF16}, {100, 33});
      std::vector<cuda::DigestBlock> blocks;
      std::vector<std::uint64_t> expected;
      for (std::uint32_t s = 0; s < 2; ++s)
        for (std::uint32_t i = 0; i < data.geometry().blocks_for(data.lengths()[s]); ++i) {
          const cuda::DigestBlock block{data.block(s, i), i * block_tokens, std::min(block_tokens, data.lengths()[s] - i * block_tokens)};
          blocks.push_back(block);
          expected.push_back(block_digest(data.geometry(), std::span(data.bytes()).subspan(block.block * data.geometry().block_bytes(), data.geometry().block_bytes()),
                                          block.first_position, block.tokens));
        }
      const OnDevice<cuda::DigestBlock> there(blocks);
      const OnDevice<std::uint64_t> digests(blocks.size());
      cuda::block_digests(test_stream(), data.geometry(), data.pool().data(), there.data(), static_cast<std::uint32_t>(blocks.size()), digests.data());
      EXPECT_EQ(digests.values(), expected);
    }
}

}  // namespace
}  // namespace baton::test
