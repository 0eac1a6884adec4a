// SPDX-License-Identifier: Apache-2.0
// Channel: frames between processes, with exactly the manners of ZeroMQ (and the simulated one copies them): a frame
// arrives whole or not at all; order holds inside one connection; a full queue refuses (send returns false); what was queued
// is lost when a connection breaks; nobody tells the sender. Everything above that (acknowledgement, resend, duplicates,
// fencing) is Links' work, so that it is ours and tested. One thread: the loop's.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "runtime/base/result.h"

namespace baton {

// One way to reach one peer: a dialled address, or a peer that dialled us. Never reused within a process.
using ConnectionId = std::uint64_t;

class Channel {
 public:
  virtual ~Channel() = default;
  // Starts dialling; returns at once. The connection redials by itself until closed.
  virtual Result<ConnectionId> connect(const std::string& address) = 0;
  // False: no credit now (queue full) or the inbound peer is gone. True promises nothing about arrival.
  virtual bool send(ConnectionId to, std::string_view frame) = 0;
  // The same for a frame that was written into buffer(): a channel that takes it (and it returns true) need not copy it.
  virtual bool send_buffer(ConnectionId to, std::string& frame) { return send(to, frame); }
  // Memory for a frame, with content of no meaning.
  virtual std::string buffer() { return {}; }
  virtual void close(ConnectionId connection) = 0;
  // Called for each frame that came in; a ConnectionId never seen before is a new inbound peer.
  virtual void set_receiver(std::function<void(ConnectionId, std::string_view)> receiver) = 0;
};

inline constexpr std::size_t kFrameBytesMax = 8u << 20;

}  // namespace baton
