// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/row_hash.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace baton::cpu {

std::uint64_t scalar::hash_rows(const HashRows& arguments) {
  std::uint64_t sum = 0;
  for (std::uint32_t r = 0; r < arguments.count; ++r) {
    const std::byte* row = arguments.rows + r * arguments.row_bytes;
    std::uint64_t fold = 0;
    for (std::size_t at = 0; at < arguments.row_bytes; at += 8) {
      const std::size_t i = at / 8 % kRowHashWords;
      if (i == 0 && at > 0) fold = mix64(fold);
      std::uint64_t word = 0;
      std::memcpy(&word, row + at, std::min<std::size_t>(8, arguments.row_bytes - at));
      const std::uint64_t keyed = word ^ kRowHashKeys[i];
      fold += (keyed & 0xffffffffu) * (keyed >> 32) + std::rotl(word, 32);
    }
    sum += mix64(fold ^ (arguments.tag + r * kRowTagStep));
  }
  return sum;
}

std::uint64_t hash_rows(const HashRows& arguments) {
  static const bool has_avx2 = __builtin_cpu_supports("avx2");
  return has_avx2 && arguments.row_bytes % 32 == 0 ? avx2::hash_rows(arguments) : scalar::hash_rows(arguments);
}

}  // namespace baton::cpu
