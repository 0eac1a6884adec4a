// SPDX-License-Identifier: Apache-2.0
#include "kvstore/digest.h"

#include "runtime/base/check.h"
#include "runtime/base/hash.h"

namespace baton {

std::uint64_t block_digest(const KvGeometry& geometry, std::span<const std::byte> block, std::uint32_t first_position,
                           std::uint32_t tokens) {
  CHECK(block.size() == geometry.block_bytes());
  CHECK(tokens <= geometry.block_tokens);
  const std::size_t row = geometry.row_bytes();
  std::uint64_t sum = 0;
  for (std::uint32_t head = 0; head < geometry.kv_heads; ++head)
    for (std::uint32_t layer = 0; layer < geometry.layers; ++layer)
      for (const bool value : {false, true}) {
        const std::uint64_t plane = (static_cast<std::uint64_t>(head) << 40) | (static_cast<std::uint64_t>(layer) << 8) | value;
        const std::byte* rows = block.data() + geometry.row_offset(head, layer, value, 0);
        for (std::uint32_t slot = 0; slot < tokens; ++slot)
          sum += hash_bytes(rows + slot * row, row, mix64(plane, first_position + slot));
      }
  return sum;
}

}  // namespace baton
