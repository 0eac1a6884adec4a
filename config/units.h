// SPDX-License-Identifier: Apache-2.0
// Sizes and durations as people write them: "512MiB", "1.5GiB", "200ms", "10m". Pure; checked arithmetic throughout.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "runtime/base/result.h"
#include "runtime/base/time.h"

namespace baton {

// B, KiB, MiB, GiB, TiB (powers of 1024) and KB, MB, GB, TB (powers of 1000). "0" needs no unit, everything else does.
Result<std::uint64_t> parse_bytes(std::string_view text);

// us, ms, s, m, h. "0" needs no unit, everything else does.
Result<Duration> parse_duration(std::string_view text);

// Decimal digits only, no sign, no leading plus; at most 2^64 - 1.
Result<std::uint64_t> parse_unsigned(std::string_view text);

// The shortest exact or two-digit form: "512MiB", "1.5GiB", "17.4MiB", "0".
std::string format_bytes(std::uint64_t bytes);
// "200ms", "1.25s", "10m".
std::string format_duration(Duration duration);

}  // namespace baton
