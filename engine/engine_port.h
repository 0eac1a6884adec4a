// SPDX-License-Identifier: Apache-2.0
// EnginePort: how a worker actor reaches its engine without waiting for it. At most one step is under way; its result comes
// back as a turn of the actor (Executor). Real: EngineThread. Simulated: the step runs on virtual time.
#pragma once

#include <functional>

#include "runtime/actor/outbox.h"
#include "scheduling/batch_plan.h"

namespace baton {

class EnginePort {
 public:
  virtual ~EnginePort() = default;
  // Precondition: no step is under way. `done` runs on the actor's loop.
  virtual void submit(BatchPlan plan, std::function<void(StepResult, Outbox&)> done) = 0;
};

}  // namespace baton
