// SPDX-License-Identifier: Apache-2.0
// Counter-based random numbers: a value is a pure function of (key, counter), so a stream can be continued anywhere
// (another worker, a replay) from its position alone. splitmix64 over a mixed key; not for secrets.
#pragma once

#include <cstdint>

#include "runtime/base/hash.h"

namespace baton {

// The n-th 64-bit value of stream `key`.
constexpr std::uint64_t random_at(std::uint64_t key, std::uint64_t counter) {
  return mix64(mix64(key, 0x6261746f6e) + counter * 0x9e3779b97f4a7c15u);
}

// A convenient cursor over one stream. Owned by one actor; copied freely.
class Random {
 public:
  explicit constexpr Random(std::uint64_t key) : key_(key) {}
  constexpr std::uint64_t next() { return random_at(key_, counter_++); }
  // Uniform in [0, bound); bound > 0. The bias of at most 2^-32 for bounds below 2^32 is accepted.
  constexpr std::uint64_t below(std::uint64_t bound) {
    return static_cast<std::uint64_t>((static_cast<unsigned __int128>(next()) * bound) >> 64);
  }
  // True in `numerator` of `denominator` calls.
  constexpr bool chance(std::uint64_t numerator, std::uint64_t denominator) { return below(denominator) < numerator; }

 private:
  std::uint64_t key_;
  std::uint64_t counter_ = 0;
};

}  // namespace baton
