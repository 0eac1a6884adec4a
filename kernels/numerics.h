// SPDX-License-Identifier: Apache-2.0
// How exactly an engine computes. Two engines with equal numerics fingerprints emit equal tokens for equal inputs.
#pragma once

#include <cstdint>
#include <string_view>

#include "runtime/base/result.h"

namespace baton {

enum class Numerics : std::uint8_t {
  kReference = 0,  // float32 activations, weights dequantized on the fly, float32 KV: what golden tests compare with
  kInvariant = 1,  // 16-bit (two int8 terms) activations, exact integer block dots, float16 KV; the CPU's default
  kFast = 2,       // 8-bit (one int8 term) activations: about twice the speed of prefill, not quite the same tokens
};

// Part of every fingerprint. Raise it with any change that may alter one bit of a kernel's result.
inline constexpr std::uint32_t kCpuKernelVersion = 2;
inline constexpr std::uint32_t kCudaKernelVersion = 1;

std::string_view to_string(Numerics numerics);
// "reference", "invariant" or "fast"; the error says what is wrong with any other word.
Result<Numerics> parse_numerics(std::string_view text);

}  // namespace baton
