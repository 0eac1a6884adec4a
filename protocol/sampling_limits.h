// SPDX-License-Identifier: Apache-2.0
// Bounds of a prompt and of the sampling parameters that are lists or numbers of things: what validate() refuses beyond, and what the codec does
// not decode. They bound a message, a step's work per token, and what one client can make the edge keep.
#pragma once

#include <cstddef>
#include <cstdint>

namespace baton {

inline constexpr std::size_t kPromptTokensMax = 1u << 20;  // of a job, as ids
inline constexpr std::uint32_t kChoicesMax = 128;       // n
inline constexpr std::uint32_t kLogprobsMax = 20;       // alternatives beside a token
inline constexpr std::size_t kClientBytesMax = 1u << 18;  // what an edge keeps of a client's wishes with a job: stop strings and bad words at most
inline constexpr std::size_t kLabelBytesMax = 128;    // id, cache_salt
inline constexpr std::size_t kLogitBiasMax = 1024;
inline constexpr std::size_t kStopTokenIdsMax = 128;
inline constexpr std::size_t kStopStringsMax = 16;
inline constexpr std::size_t kStopStringBytesMax = 1024;
inline constexpr std::size_t kBadWordsMax = 64;         // as texts; each is up to two sequences of ids
inline constexpr std::size_t kBadWordBytesMax = 256;
inline constexpr std::size_t kBadWordSequencesMax = 2 * kBadWordsMax;
inline constexpr std::size_t kBadWordTokensMax = kBadWordBytesMax + 1;  // no token is shorter than a byte; a space in front

}  // namespace baton
