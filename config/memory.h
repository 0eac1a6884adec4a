// SPDX-License-Identifier: Apache-2.0
// How much memory this machine can still give, for those about to take a pool of it: a pool that does not fit would not fail
// but bring down the neighbours (shared memory counts as nobody's until it is touched).
#pragma once

#include <cstdint>
#include <string_view>

namespace baton {

// Bytes the kernel thinks can be had without swapping; 0: not known.
std::uint64_t available_memory();
// The MemAvailable line of /proc/meminfo in bytes; 0 if there is none.
std::uint64_t available_in(std::string_view meminfo);

}  // namespace baton
