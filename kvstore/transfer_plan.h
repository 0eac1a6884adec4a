// SPDX-License-Identifier: Apache-2.0
// Transfer plans: which runs of bytes carry a sequence's blocks from one pool to another. Blocks that are neighbours on both
// sides go as one piece: descriptors, not bytes, are the usual bottleneck (an 8k prompt in 2 pieces instead of 512). Pure.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "kernels/block_id.h"
#include "kernels/kv_geometry.h"
#include "runtime/link/data_plane.h"

namespace baton {

// Pieces larger than this are cut, so that small transfers are not stuck behind them and a lost piece costs little.
inline constexpr std::uint64_t kPieceBytesMax = 16u << 20;

// Receiver: the places of a prompt of `tokens` from logical block `first` to its end, one per block, tagged for the digest. `blocks` is
// the whole block table.
std::vector<Place> make_places(const KvGeometry& geometry, std::span<const BlockId> blocks, std::uint32_t tokens, std::uint32_t first);

// Sender: logical blocks [first, first + count) of the sequence. `source` is a whole block table; `destination` begins with logical
// block `first_granted`, which is place 0.
std::vector<Piece> plan_pieces(const KvGeometry& geometry, std::span<const BlockId> source, std::span<const BlockId> destination,
                               std::uint32_t first_granted, std::uint32_t first, std::uint32_t count);

// How many of a sequence's `tokens` lie in its logical block `index`.
constexpr std::uint32_t tokens_in_block(const KvGeometry& geometry, std::uint32_t tokens, std::uint32_t index) {
  const std::uint32_t start = index * geometry.block_tokens;
  return tokens <= start ? 0 : (tokens - start < geometry.block_tokens ? tokens - start : geometry.block_tokens);
}

}  // namespace baton
