// SPDX-License-Identifier: Apache-2.0
#include "kvstore/transfer_plan.h"

#include "kvstore/digest.h"
#include "runtime/base/check.h"

namespace baton {

std::vector<Place> make_places(const KvGeometry& geometry, std::span<const BlockId> blocks, std::uint32_t tokens, std::uint32_t first) {
  const std::uint32_t count = geometry.blocks_for(tokens);
  CHECK(first <= count && count <= blocks.size());
  std::vector<Place> places;
  places.reserve(count - first);
  for (std::uint32_t i = first; i < count; ++i)
    places.push_back({blocks[i] * geometry.block_bytes(), geometry.block_bytes(),
                      digest_tag(i * geometry.block_tokens, tokens_in_block(geometry, tokens, i))});
  return places;
}

std::vector<Piece> plan_pieces(const KvGeometry& geometry, std::span<const BlockId> source, std::span<const BlockId> destination,
                               std::uint32_t first_granted, std::uint32_t first, std::uint32_t count) {
  CHECK(first >= first_granted && first + count <= source.size() && first + count - first_granted <= destination.size());
  const std::uint64_t bytes = geometry.block_bytes();
  std::vector<Piece> pieces;
  for (std::uint32_t i = first; i < first + count; ++i) {
    const std::uint32_t place = i - first_granted;
    const bool neighbour = !pieces.empty() && source[i] == source[i - 1] + 1 && destination[place] == destination[place - 1] + 1 &&
                           pieces.back().bytes + bytes <= kPieceBytesMax;
    if (neighbour) {
      pieces.back().bytes += bytes;
      ++pieces.back().place_count;
    } else {
      pieces.push_back({source[i] * bytes, bytes, place, 1});
    }
  }
  return pieces;
}

}  // namespace baton
