// SPDX-License-Identifier: Apache-2.0
// What `baton bench actors` runs: messages between actors of one loop beside CAF, and between two loops over TCP loopback, encoded
// and decoded, beside bare ZeroMQ. All in turn within one run; rates are of messages sent and handled. Two loops with a thread
// each; the caller's thread waits. CAF is a program of its own (tools/peer/actors_caf.cc), so that baton does not depend on it.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "benchmarks/measure.h"
#include "runtime/base/result.h"

namespace baton {

struct ActorsBenchOptions {
  std::uint32_t rounds = 7;  // and one before them that does not count
  std::uint64_t local_messages = 2'000'000;
  std::uint64_t chain_messages = 1'000'000;
  std::uint64_t remote_messages = 1'000'000;
  std::uint64_t round_trips = 5'000;
  std::string caf;  // the program bench_actors_caf; empty: no such column
};

// Ours and the peer's, and round by round what part of the peer's figure ours is.
struct ActorsBenchRow {
  Spread ours;
  Spread peer;
  Spread ratio;
};

struct ActorsBenchReport {
  std::string caf;       // its version and the style of actor that was faster, "" if it did not run
  std::string zmq;       // its version and the sockets that were faster
  // Of the remote messages, encoded; bare ZeroMQ sends as many.
  std::uint64_t heartbeat_bytes = 0;
  std::uint64_t token_bytes = 0;
  // Messages per second.
  ActorsBenchRow flood;       // bursts of 1000, each answered by one; two 64-bit numbers
  ActorsBenchRow flood_text;  // the same with a number and 100 bytes of text
  ActorsBenchRow chain;       // one message to and fro
  ActorsBenchRow heartbeats;  // one way between two loops: a flat struct
  ActorsBenchRow tokens;      // and one with lists
  // Of heartbeats. Seconds, medians of a round.
  ActorsBenchRow round_trip;
};

Result<ActorsBenchReport> bench_actors(const ActorsBenchOptions& options, const std::function<void(std::string_view)>& watch);

}  // namespace baton
