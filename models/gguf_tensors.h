// SPDX-License-Identifier: Apache-2.0
// The tensor table of a GGUF file: part of parse_gguf(), see gguf_contents.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "models/byte_cursor.h"
#include "models/gguf.h"
#include "runtime/base/result.h"

namespace baton {

constexpr std::uint64_t kSmallestGgufTensorEntry = 8 + 1 + 4 + 8 + 4 + 8;  // name, one dimension, type, offset

// Reads `count` entries off the cursor and places each tensor in `file`, behind the table, at its aligned offset.
Result<std::vector<GgufTensor>> read_gguf_tensors(ByteCursor& cursor, std::uint64_t count, std::uint64_t alignment,
                                                  std::span<const std::byte> file);

}  // namespace baton
