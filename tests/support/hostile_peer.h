// SPDX-License-Identifier: Apache-2.0
// HostilePeer: a stranger on a socket of a live cluster who sends whatever it likes: bytes without sense, frames of the right
// form with wrong insides, and, inside a session it has properly opened, mutated messages of every kind to any actor. One
// thread; owns its socket. Identities are random, so it never passes for a member of the cluster.
#pragma once

#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "runtime/base/random.h"
#include "runtime/base/time.h"
#include "runtime/link/frame.h"
#include "runtime/link/zmq_channel.h"

namespace baton::test {

struct HostileCounts {
  std::uint64_t bytes = 0;     // frames without form
  std::uint64_t mutated = 0;   // frames with flipped or cut bytes
  std::uint64_t messages = 0;  // whole frames of an open session, with a mutated message
  std::uint64_t sessions = 0;  // that were opened
  std::uint64_t fenced = 0;    // lives that the cluster refused to listen to any longer
  std::uint64_t all() const { return bytes + mutated + messages; }
};

class HostilePeer {
 public:
  // `address` belongs to the node `victim`; `messages` are two bytes of kind and then the message's, to be mutated.
  HostilePeer(const std::string& address, NodeId victim, std::vector<std::string> messages, std::uint64_t seed);
  // Sends so many frames; false if the socket took none for ten seconds.
  bool send(std::uint64_t frames);
  const HostileCounts& counts() const { return counts_; }

 private:
  void new_life();
  void take(std::string_view bytes);
  std::string hello();
  std::string with_message();
  std::string next_frame();
  std::string mutated(std::string bytes);
  void pump();

  Random random_;
  NodeId victim_;
  std::vector<std::string> messages_;
  std::set<int> descriptors_;
  std::unique_ptr<ZmqChannel> channel_;
  ConnectionId connection_ = 0;
  FrameHeader header_;  // of the life we pretend to have
  bool open_ = false;
  bool fenced_ = false;  // the cluster will not listen to this life any more
  std::uint64_t sent_in_life_ = 0;
  HostileCounts counts_;
};

}  // namespace baton::test
