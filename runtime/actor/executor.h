// SPDX-License-Identifier: Apache-2.0
// Executor: how work finished elsewhere (engine thread, data thread, simulated device) comes home as a turn of an actor.
// post() may be called from any thread in the real loop; the function runs on the loop's thread, in order of posting,
// with an Outbox of the actor in `slot`. In the simulator it runs at the current virtual time.
#pragma once

#include <cstdint>
#include <functional>

#include "runtime/actor/outbox.h"

namespace baton {

class Executor {
 public:
  virtual ~Executor() = default;
  virtual void post(std::uint32_t slot, std::function<void(Outbox&)> turn) = 0;
};

}  // namespace baton
