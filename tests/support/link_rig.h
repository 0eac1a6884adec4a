// SPDX-License-Identifier: Apache-2.0
// LinkRig: two worlds behind one face, so that the same script runs on real sockets and on the simulated network. A host is a
// Node with a Recorder in slot 1; a raw peer is a bare channel with which a script writes frames by hand. Owned by one
// test.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "runtime/actor/node.h"
#include "runtime/link/frame.h"
#include "tests/support/recorder.h"

namespace baton {

struct HostOptions {
  bool binds = true;
  LinkLimits links = [] {
    LinkLimits limits;
    limits.resend_initial = std::chrono::milliseconds(30);
    limits.unreachable_after = std::chrono::seconds(5);
    return limits;
  }();
  int high_water = 1000;
};

class Host {
 public:
  virtual ~Host() = default;
  virtual Recorder& recorder() = 0;
  virtual const Node& node() const = 0;
  virtual void act(std::function<void(Outbox&)> turn) = 0;
  NodeId id() const { return node().node(); }
  Incarnation incarnation() const { return node().incarnation(); }
  const LinkCounters& links() const { return node().links().counters(); }
};

class RawPeer {
 public:
  virtual ~RawPeer() = default;
  virtual Channel& channel() = 0;
  // Frames that came, with the connection they came on.
  std::vector<std::pair<ConnectionId, Frame>> frames;
};

class LinkRig {
 public:
  virtual ~LinkRig() = default;
  // A name started again is a new life at the same address.
  virtual Host& start(const std::string& name, const HostOptions& options = {}) = 0;
  // Kill: nothing is said to anybody.
  virtual void stop(const std::string& name) = 0;
  virtual Result<void> try_bind(const std::string& address) = 0;
  virtual std::string address(const std::string& name) = 0;
  virtual std::unique_ptr<RawPeer> raw() = 0;
  // Runs until it holds or the limit is over; whether it holds.
  virtual bool until(const std::function<bool()>& goal, Duration limit = std::chrono::seconds(10)) = 0;
  void run_for(Duration duration) {
    until([] { return false; }, duration);
  }
};

// "Zmq": real loops on loopback, all driven in the test's thread. "Sim": a SimWorld.
std::unique_ptr<LinkRig> make_rig(std::string_view kind);

}  // namespace baton
