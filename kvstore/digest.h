// SPDX-License-Identifier: Apache-2.0
// The content digest of a KV block: a 64-bit wrapping sum, over its valid rows, of hash(row bytes, position, layer, head,
// K or V): hash_rows() of kernels/cpu/row_hash.h with tag mix64((head << 40 | layer << 8 | value) + 1) + position * kRowTagStep. A sum, so
// that digests of sub-ranges (a tensor-parallel share, another block size) add up to the whole's.
// Rows of token slots past `tokens` are not read: they hold whatever was there before.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "kernels/kv_geometry.h"

namespace baton {

// `block`: geometry.block_bytes() bytes. `first_position`: sequence position of slot 0. 1 <= tokens <= block_tokens.
std::uint64_t block_digest(const KvGeometry& geometry, std::span<const std::byte> block, std::uint32_t first_position,
                           std::uint32_t tokens);

// What a DataPlane place carries as its tag, so that the data thread can compute the digest: position and token count.
constexpr std::uint64_t digest_tag(std::uint32_t first_position, std::uint32_t tokens) {
  return (static_cast<std::uint64_t>(first_position) << 32) | tokens;
}
constexpr std::uint32_t digest_tag_position(std::uint64_t tag) { return static_cast<std::uint32_t>(tag >> 32); }
constexpr std::uint32_t digest_tag_tokens(std::uint64_t tag) { return static_cast<std::uint32_t>(tag); }

}  // namespace baton
