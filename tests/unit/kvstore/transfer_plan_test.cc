// SPDX-License-Identifier: Apache-2.0
#include "kvstore/transfer_plan.h"

#include <gtest/gtest.h>

#include "kvstore/digest.h"

namespace baton {
namespace {

const KvGeometry kGeometry{0, 2, 3, 4, 16, DType::kF16};

TEST(TransferPlan, NeighboursOnBothSidesBecomeOnePiece) {
  const std::vector<BlockId> source{4, 5, 6, 9, 10};
  const std::vector<BlockId> destination{0, 1, 7, 8, 9};
  const auto pieces = plan_pieces(kGeometry, source, destination, 0, 0, 5);
  const std::uint64_t block = kGeometry.block_bytes();
  ASSERT_EQ(pieces.size(), 3u);
  EXPECT_EQ(pieces[0].source_offset, 4 * block);
  EXPECT_EQ(pieces[0].place_count, 2u);
  EXPECT_EQ(pieces[1].first_place, 2u);
  EXPECT_EQ(pieces[1].place_count, 1u) << "neighbours at the source only";
  EXPECT_EQ(pieces[2].bytes, 2 * block);
}

TEST(TransferPlan, APieceNeverStartsBeforeTheRangeAskedFor) {
  const std::vector<BlockId> table{1, 2, 3, 4};
  const auto pieces = plan_pieces(kGeometry, table, table, 0, 2, 2);
  ASSERT_EQ(pieces.size(), 1u);
  EXPECT_EQ(pieces[0].first_place, 2u);
  EXPECT_EQ(pieces[0].place_count, 2u);
}

TEST(TransferPlan, PlacesCountFromTheFirstBlockGranted) {
  const std::vector<BlockId> source{4, 5, 6, 7};
  const std::vector<BlockId> granted{20, 21};
  const auto pieces = plan_pieces(kGeometry, source, granted, 2, 2, 2);
  ASSERT_EQ(pieces.size(), 1u);
  EXPECT_EQ(pieces[0].source_offset, 6 * kGeometry.block_bytes());
  EXPECT_EQ(pieces[0].first_place, 0u);
  const auto places = make_places(kGeometry, std::vector<BlockId>{9, 9, 20, 21}, 60, 2);
  ASSERT_EQ(places.size(), 2u);
  EXPECT_EQ(places[0].offset, 20 * kGeometry.block_bytes());
  EXPECT_EQ(digest_tag_position(places[0].tag), 32u);
}

TEST(TransferPlan, LongRunsAreCut) {
  const KvGeometry big{0, 32, 8, 128, 16, DType::kBF16};  // an 8B Llama: 2 MiB a block
  ASSERT_EQ(big.block_bytes(), 2u << 20);
  std::vector<BlockId> table(100);
  for (std::uint32_t i = 0; i < 100; ++i) table[i] = i;
  const auto pieces = plan_pieces(big, table, table, 0, 0, 100);
  EXPECT_EQ(pieces.size(), 13u);
  EXPECT_EQ(pieces[0].bytes, kPieceBytesMax);
}

TEST(TransferPlan, PlacesCarryPositionAndTokenCount) {
  const auto places = make_places(kGeometry, std::vector<BlockId>{3, 1, 2}, 35, 0);
  ASSERT_EQ(places.size(), 3u);
  EXPECT_EQ(places[2].offset, 2 * kGeometry.block_bytes());
  EXPECT_EQ(digest_tag_position(places[2].tag), 32u);
  EXPECT_EQ(digest_tag_tokens(places[2].tag), 3u);
}

TEST(Digest, ChangesWithContentPositionAndOrderButIgnoresUnusedSlots) {
  std::vector<std::byte> block(kGeometry.block_bytes());
  for (std::size_t i = 0; i < block.size(); ++i) block[i] = static_cast<std::byte>(i * 31);
  const auto digest = block_digest(kGeometry, block, 16, 5);
  EXPECT_NE(digest, block_digest(kGeometry, block, 32, 5));
  EXPECT_NE(digest, block_digest(kGeometry, block, 16, 6));
  auto unused = block;
  unused[kGeometry.row_offset(1, 1, true, 5)] ^= std::byte{1};
  EXPECT_EQ(digest, block_digest(kGeometry, unused, 16, 5));
  auto flipped = block;
  flipped[kGeometry.row_offset(1, 1, true, 4)] ^= std::byte{1};
  EXPECT_NE(digest, block_digest(kGeometry, flipped, 16, 5));
  auto swapped = block;  // two rows exchanged: same multiset of rows, other places
  for (std::size_t i = 0; i < kGeometry.row_bytes(); ++i)
    std::swap(swapped[kGeometry.row_offset(0, 0, false, 0) + i], swapped[kGeometry.row_offset(0, 0, false, 1) + i]);
  EXPECT_NE(digest, block_digest(kGeometry, swapped, 16, 5));
}

}  // namespace
}  // namespace baton
