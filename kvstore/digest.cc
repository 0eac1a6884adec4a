// SPDX-License-Identifier: Apache-2.0
#include "kvstore/digest.h"

#include "kernels/cpu/row_hash.h"
#include "runtime/base/check.h"

namespace baton {

std::uint64_t block_digest(const KvGeometry& geometry, std::span<const std::byte> block, std::uint32_t first_position,
                           std::uint32_t tokens) {
  CHECK(block.size() == geometry.block_bytes());
  CHECK(tokens <= geometry.block_tokens);
  std::uint64_t sum = 0;
  for (std::uint32_t head = 0; head < geometry.kv_heads; ++head)
    for (std::uint32_t layer = 0; layer < geometry.layers; ++layer)
      for (const bool value : {false, true}) {
        const std::uint64_t plane = (static_cast<std::uint64_t>(head) << 40) | (static_cast<std::uint64_t>(layer) << 8) | value;
        sum += cpu::hash_rows({.rows = block.data() + geometry.row_offset(head, layer, value, 0),
                               .row_bytes = geometry.row_bytes(),
                               .count = tokens,
                               .tag = mix64(plane + 1) + first_position * cpu::kRowTagStep});
      }
  return sum;
}

}  // namespace baton
