// SPDX-License-Identifier: Apache-2.0
// The number of a block in its pool; block b starts at byte b * KvGeometry::block_bytes().
#pragma once

#include <cstdint>

namespace baton {

using BlockId = std::uint32_t;

}  // namespace baton
