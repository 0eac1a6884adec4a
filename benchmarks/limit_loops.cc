// SPDX-License-Identifier: Apache-2.0
#include "benchmarks/limit_loops.h"

#include <cstring>

namespace baton::limit_loops {

std::uint64_t read_words(const std::byte* memory, std::size_t bytes) {
  constexpr std::size_t kChains = 8;  // independent, so that loads and not adds are the limit
  std::uint64_t sums[kChains] = {};
  for (std::size_t at = 0; at < bytes; at += sizeof sums) {
    std::uint64_t words[kChains];
    std::memcpy(words, memory + at, sizeof words);
    for (std::size_t chain = 0; chain < kChains; ++chain) sums[chain] += words[chain];
  }
  std::uint64_t sum = 0;
  for (const std::uint64_t each : sums) sum += each;
  return sum;
}

}  // namespace baton::limit_loops
