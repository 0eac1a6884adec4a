// SPDX-License-Identifier: Apache-2.0
// ZmqChannel: the Channel over ZeroMQ. One bound ROUTER for those who dial us (a client has none) and one DEALER per peer
// we dial, so that each has its own queue bound. ROUTER_MANDATORY (a peer that is gone is a refusal, not a silent drop),
// IMMEDIATE (nothing is queued for a connection that does not exist), LINGER 0, finite high-water marks, MAXMSGSIZE, and
// heartbeats of a second. No fixed ROUTING_ID: two connections under one id lose messages; identity is in our frames.
//
// One thread, the loop's. The loop watches the descriptors for reading; they are edge-triggered and shared by both
// directions, so that a readable one proves nothing and a send may swallow the edge of a frame that came meanwhile. Hence the
// rule: wake() the descriptor that fired, then pump() until it returns false, and pump() again after every round of sends
// (it looks only at sockets that were woken or sent on). Bounded: a pump takes kPumpFramesMax frames in all and
// kSocketFramesMax in a row from one socket; kInboundMax inbound peers are remembered, the longest silent forgotten first.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "runtime/link/channel.h"

namespace baton {

struct ZmqOptions {
  std::string bind_address;  // "tcp://127.0.0.1:0" takes any free port; empty: do not bind
  int high_water = 1000;     // frames, each way and connection
  int heartbeat_ms = 1000;
  int reconnect_ms = 50;
  int reconnect_max_ms = 1000;
};

class ZmqChannel final : public Channel {
 public:
  static constexpr std::size_t kPumpFramesMax = 64;
  static constexpr std::size_t kSocketFramesMax = 16;
  static constexpr std::size_t kInboundMax = 65536;
  // From this size on a frame is not copied into ZeroMQ; its memory comes back when it has left.
  static constexpr std::size_t kLentBytesMin = 4096;
  static constexpr std::size_t kBuffersMax = 64;

  // kAlreadyExists names the address if another process has it.
  static Result<std::unique_ptr<ZmqChannel>> open(const ZmqOptions& options);
  ~ZmqChannel() override;

  // The endpoint with its real port; empty if not bound.
  const std::string& bound_address() const { return bound_address_; }
  // Told of every descriptor to watch (true) or to forget (false, before it is closed); at once of those there are.
  void set_watcher(std::function<void(int descriptor, bool watch)> watcher);
  void wake(int descriptor);
  // Hands what came to the receiver. True: a bound was hit and more may wait.
  bool pump();

  Result<ConnectionId> connect(const std::string& address) override;
  bool send(ConnectionId to, std::string_view frame) override;
  bool send_buffer(ConnectionId to, std::string& frame) override;
  std::string buffer() override;
  void close(ConnectionId connection) override;
  void set_receiver(std::function<void(ConnectionId, std::string_view)> receiver) override;

 private:
  struct Sockets;
  explicit ZmqChannel(std::unique_ptr<Sockets> sockets);
  Result<void> bind(const std::string& address);

  std::unique_ptr<Sockets> sockets_;
  std::string bound_address_;
};

}  // namespace baton
