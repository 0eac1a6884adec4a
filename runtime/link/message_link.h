// SPDX-License-Identifier: Apache-2.0
// MessageLink: what PlaneCore needs of a transport: endpoints dialled by an address, messages with a small header whose
// receiver says where the bytes go, and a force-close after which nothing moves. UCX, the in-process hub and the simulated
// fabric each implement it, so that one set of transfer rules serves all three.
//
// One thread at a time. From inside send() and force_close() only on_sent() and on_received() may come; from inside an event
// only send() may be called. Endpoint ids are never reused. Bounded by what the owner connects, sends and accepts.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "runtime/base/result.h"

namespace baton {

using EndpointId = std::uint64_t;
inline constexpr std::size_t kPlaneHeaderBytes = 56;
using MessageHeaderBytes = std::array<std::byte, kPlaneHeaderBytes>;

// What the user of a link is told.
class MessageEvents {
 public:
  struct Destination {
    std::byte* to = nullptr;  // null: refused, or nothing to write
    std::uint64_t operation = 0;
  };
  virtual ~MessageEvents() = default;
  // A message is announced on an accepted endpoint: `bytes` of payload follow. With a destination given, exactly that many
  // bytes are written there and one on_received(operation) ends it; without one nothing is written anywhere.
  virtual Destination on_message(EndpointId from, std::span<const std::byte> header, std::uint64_t bytes) = 0;
  virtual void on_received(std::uint64_t operation, bool ok, const std::string& reason) = 0;
  virtual void on_sent(std::uint64_t operation, bool ok, const std::string& reason) = 0;
  // The endpoint failed; it has been force-closed, and its operations have been ended or will be.
  virtual void on_broken(EndpointId endpoint, const std::string& reason) = 0;
};

class MessageLink {
 public:
  virtual ~MessageLink() = default;
  virtual Result<EndpointId> connect(const std::string& address) = 0;
  enum class Sent { kPending, kDone, kFailed };
  // kPending: one on_sent() ends it, perhaps before this returns. kDone and kFailed: over already, no on_sent() follows. The payload must lie in the pool and stay until the end. The
  // first message on an endpoint ends well only when the connection is made.
  virtual Sent send(EndpointId to, std::uint64_t operation, const MessageHeaderBytes& header, std::span<const std::byte> payload,
                    std::string& reason) = 0;
  // After this no byte is written or read through this endpoint by this process; its operations end as failed, some only
  // later. The other end is told if it can be. Unknown ids: nothing happens.
  virtual void force_close(EndpointId endpoint) = 0;
  // What carries the messages: "shm", "tcp", ...; "unknown" if the transport does not say.
  virtual std::string transport(EndpointId endpoint) const = 0;
};

}  // namespace baton
