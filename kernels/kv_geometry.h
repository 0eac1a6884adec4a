// SPDX-License-Identifier: Apache-2.0
// The shape of a KV pool and the address of a row in it. A block holds all local layers of one KV group:
//   [block][kv_head][layer][K|V][token][head_dim]
// so that a transfer moves one contiguous range per block and a tensor-parallel split of heads is one sub-range of it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace baton {

enum class DType : std::uint8_t { kF32 = 0, kF16 = 1, kBF16 = 2, kU64 = 3 };

constexpr std::size_t dtype_bytes(DType type) {
  switch (type) {
    case DType::kF32: return 4;
    case DType::kF16: return 2;
    case DType::kBF16: return 2;
    case DType::kU64: return 8;
  }
  return 0;
}
constexpr std::string_view to_string(DType type) {
  switch (type) {
    case DType::kF32: return "float32";
    case DType::kF16: return "float16";
    case DType::kBF16: return "bfloat16";
    case DType::kU64: return "uint64";
  }
  return "?";
}

struct KvGeometry {
  std::uint32_t group = 0;
  std::uint32_t layers = 0;
  std::uint32_t kv_heads = 0;
  std::uint32_t head_dim = 0;
  std::uint32_t block_tokens = 16;
  DType dtype = DType::kF16;

  constexpr std::size_t row_bytes() const { return head_dim * dtype_bytes(dtype); }
  constexpr std::size_t plane_bytes() const { return block_tokens * row_bytes(); }  // K or V of one layer and head
  constexpr std::size_t layer_bytes() const { return 2 * plane_bytes(); }
  constexpr std::size_t head_bytes() const { return layers * layer_bytes(); }
  constexpr std::size_t block_bytes() const { return kv_heads * head_bytes(); }
  // Byte offset, inside a block, of the K (value = false) or V row of one token slot.
  constexpr std::size_t row_offset(std::uint32_t head, std::uint32_t layer, bool value, std::uint32_t slot) const {
    return head * head_bytes() + layer * layer_bytes() + (value ? plane_bytes() : 0) + slot * row_bytes();
  }
  constexpr std::uint32_t blocks_for(std::uint64_t tokens) const {
    return static_cast<std::uint32_t>((tokens + block_tokens - 1) / block_tokens);
  }
  friend constexpr bool operator==(const KvGeometry&, const KvGeometry&) = default;
};

}  // namespace baton
