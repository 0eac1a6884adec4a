// SPDX-License-Identifier: Apache-2.0
// RealLoop: a Node on the real clock, over ZeroMQ, in one thread: the one that calls run(). It owns the channel and the node
// and borrows the cells. Frames, timers and posted turns become turns of the node; it reads no further frames while the
// mailbox is not empty, so a flood ends as back-pressure in ZeroMQ's bounded queues.
//
// Any thread may call executor().post() and stop(); stop() may also be called from a signal handler. Posted turns wait in a
// list without bound (their number is that of operations in progress elsewhere) and those not run when the loop ends are
// dropped with it. Every other call is for the loop's thread, or before run().
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "runtime/actor/executor.h"
#include "runtime/actor/node.h"

namespace baton {

struct RealLoopOptions {
  NodeId node;
  Incarnation incarnation;   // 0: a fresh random one
  std::string bind_address;  // "tcp://127.0.0.1:0" takes any free port; empty: a client that only dials
  LinkLimits links;
  int high_water = 1000;
  // SIGINT and SIGTERM, if set, are taken from the process's defaults and call this on the loop's thread.
  std::function<void(int signal)> on_signal;
};

Incarnation random_incarnation();
// The monotonic clock of the real loops of this process, for those who time things beside them.
Time real_now();

class RealLoop {
 public:
  static Result<std::unique_ptr<RealLoop>> open(const RealLoopOptions& options);
  ~RealLoop();
  RealLoop(const RealLoop&) = delete;
  RealLoop& operator=(const RealLoop&) = delete;

  ActorRef add(std::uint32_t slot, Cell& cell);
  void remove(std::uint32_t slot);
  // The endpoint others dial, with its real port; empty if not bound.
  const std::string& bound_address() const;
  Executor& executor();
  const Node& node() const;

  // Until stop(). May be called again after it returned.
  void run();
  // The same for at most this long, for tests that drive several loops in one thread.
  void run_for(Duration duration);
  void stop();

 private:
  class Impl;
  explicit RealLoop(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace baton
