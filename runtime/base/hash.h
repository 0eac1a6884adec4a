// SPDX-License-Identifier: Apache-2.0
// 64-bit content hash (XXH3) and integer mixing. Values may cross the wire: little-endian hosts only, never changed
// without a new protocol version.
#pragma once

#include <cstddef>
#include <cstdint>

namespace baton {

std::uint64_t hash_bytes(const void* data, std::size_t bytes, std::uint64_t seed);

// splitmix64's finaliser: a bijection with full avalanche.
constexpr std::uint64_t mix64(std::uint64_t x) {
  x ^= x >> 30;
  x *= 0xbf58476d1ce4e5b9u;
  x ^= x >> 27;
  x *= 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

constexpr std::uint64_t mix64(std::uint64_t a, std::uint64_t b) { return mix64(mix64(a + 0x9e3779b97f4a7c15u) ^ b); }

}  // namespace baton
