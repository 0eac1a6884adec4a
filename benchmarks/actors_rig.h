// SPDX-License-Identifier: Apache-2.0
// Our side of `baton bench actors`: real loops with small actors that speak messages of the control protocol. Each call makes its
// loops, runs to the end and takes them down; it blocks its thread, which runs one of the loops.
#pragma once

#include <cstdint>
#include <vector>

#include "runtime/base/result.h"

namespace baton {

enum class LocalPattern {
  kFlood,      // bursts of kActorsBurst messages, each burst answered by one
  kFloodText,  // the same with 100 bytes of text
  kChain,      // one message to and fro
};
inline constexpr std::uint64_t kActorsBurst = 1000;

// Messages sent and handled per second by two actors of one loop.
Result<double> local_rate(LocalPattern pattern, std::uint64_t messages);

enum class RemoteMessage {
  kHeartbeat,   // what a worker says of itself: eleven numbers
  kTokenBatch,  // what it sends an edge for a step: lists, of which one holds one token
};

// Messages per second from an actor of one loop to one of another, over TCP loopback.
Result<double> remote_rate(RemoteMessage what, std::uint64_t messages);

// Seconds of each of `trips` of a heartbeat there and back, after some that do not count.
Result<std::vector<double>> remote_round_trips(std::uint64_t trips);

// Encoded.
std::uint64_t remote_message_bytes(RemoteMessage what);

}  // namespace baton
