// SPDX-License-Identifier: Apache-2.0
// SimHostile: a client process that sends the edge what no client of ours sends: parameters out of range, messages only members
// may send, kinds it has no business with, bytes that are no message. Nobody else may notice. It never hears an answer out.
#pragma once

#include <cstdint>

#include "launcher/sim_wire.h"

namespace baton {

class SimHostile {
 public:
  // `messages` of them, spread over `over`.
  SimHostile(SimCluster& cluster, std::uint32_t messages, Duration over);

 private:
  void say_something(Outbox& out);

  Random random_;
};

}  // namespace baton
