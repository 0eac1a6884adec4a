// SPDX-License-Identifier: Apache-2.0
// Bare ZeroMQ over TCP loopback, one of its messages per message of an actor: the peer of the remote rows of `baton bench actors`.
// Two threads with a context each, as two processes would have; the bytes are fixed, nothing is encoded. Each call blocks its
// thread until it is over.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "runtime/base/result.h"

namespace baton {

// How the peer may be set up; the benchmark tries each and keeps the fastest.
struct ZmqPeerOptions {
  bool push_pull = true;  // else DEALER to ROUTER
  int high_water = 1000;  // messages, each side
};

// "4.3.4"
std::string zmq_version();

// Messages per second, one way, from the first send to the last arrival.
Result<double> zmq_one_way(const ZmqPeerOptions& options, std::uint64_t messages, std::size_t bytes);

// Seconds of each of `trips` there and back between two DEALERs, after some that do not count.
Result<std::vector<double>> zmq_round_trips(std::uint64_t trips, std::size_t bytes);

}  // namespace baton
