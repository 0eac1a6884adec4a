// SPDX-License-Identifier: Apache-2.0
// The hash under KV digests (kvstore/digest.h): made for rows of 32 to 1024 bytes, at memory speed on a CPU and in few instructions on a
// GPU, which must give the same. Not cryptographic: it finds bytes that are stale, swapped, cut off or flipped.
//   fold(row) = sum over its little-endian 64-bit words w_i, the last one padded with zeros, of
//                 low32(w_i ^ k_i) * high32(w_i ^ k_i) + rotate32(w_i),   k_i = mix64(i mod 128 + 1),   all mod 2^64;
//               after every 128 words that are not the last ones, the sum s so far becomes mix64(s)
//   hash_rows = sum over rows r of mix64(fold(row r) ^ (tag + r * kRowTagStep))
// (The multiplication of halves is that of XXH3 and of NH in UMAC, RFC 4418.) The order of rows and words does not matter to the sums, so
// any width of vector gives the same.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "runtime/base/hash.h"

namespace baton::cpu {

inline constexpr std::size_t kRowHashWords = 128;
inline constexpr std::uint64_t kRowTagStep = 0x9e3779b97f4a7c15u;
inline constexpr std::array<std::uint64_t, kRowHashWords> kRowHashKeys = [] {
  std::array<std::uint64_t, kRowHashWords> keys{};
  for (std::size_t i = 0; i < keys.size(); ++i) keys[i] = mix64(i + 1);
  return keys;
}();

struct HashRows {
  const std::byte* rows = nullptr;  // one behind the other
  std::size_t row_bytes = 0;
  std::uint32_t count = 0;
  std::uint64_t tag = 0;            // of row 0
};

// By the fastest way of this CPU. Thread-safe.
std::uint64_t hash_rows(const HashRows& arguments);

namespace scalar {
std::uint64_t hash_rows(const HashRows& arguments);
}
namespace avx2 {
// Needs AVX2, and rows of whole 32 bytes.
std::uint64_t hash_rows(const HashRows& arguments);
}

}  // namespace baton::cpu
