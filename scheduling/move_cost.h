// SPDX-License-Identifier: Apache-2.0
// Whether a stream that moves to another worker takes its KV along or has it computed anew there: whichever is expected to be shorter.
// Pure.
#pragma once

#include <cstdint>

namespace baton {

struct MoveCost {
  std::uint64_t kv_bytes = 0;          // of all its positions
  std::uint64_t tokens = 0;            // that would have to be computed
  std::uint64_t bytes_per_second = 0;  // seen between workers lately; 0: nothing was
  std::uint64_t tokens_per_second = 0;  // seen of prefill lately; 0: nothing was
};

// Where nothing was measured copying is expected to win, but for texts so short that one step computes them.
inline bool copying_is_shorter(const MoveCost& cost) {
  constexpr std::uint64_t kOneStep = 32;                         // tokens
  constexpr std::uint64_t kSetUpNs = 2'000'000;                  // a grant, a hand-over and word of it
  constexpr std::uint64_t kBytesPerSecond = 1'000'000'000;       // a plain network
  constexpr std::uint64_t kSecond = 1'000'000'000;               // ns
  if (cost.tokens <= kOneStep) return false;
  if (cost.tokens_per_second == 0) return true;
  const std::uint64_t speed = cost.bytes_per_second == 0 ? kBytesPerSecond : cost.bytes_per_second;
  const auto copy = static_cast<unsigned __int128>(cost.kv_bytes) * kSecond / speed + kSetUpNs;
  const auto compute = static_cast<unsigned __int128>(cost.tokens) * kSecond / cost.tokens_per_second;
  return copy < compute;
}

}  // namespace baton
