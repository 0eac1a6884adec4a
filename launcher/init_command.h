// SPDX-License-Identifier: Apache-2.0
// The text of a topology file to start from. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "runtime/base/result.h"

namespace baton {

struct PoolShape {
  std::uint32_t prefill = 0, decode = 0;  // both 0: one worker of role both
};
// "both", "1p1d", "2p3d".
Result<PoolShape> parse_pool_shape(std::string_view text);

struct InitFacts {
  std::string model_path;  // as it shall stand in the file
  PoolShape shape;
  std::uint32_t cores = 1;
  std::uint64_t memory = 0;  // bytes that can be had now; 0: not known
};
std::string starting_topology(const InitFacts& facts);

}  // namespace baton
