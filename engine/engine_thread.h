// SPDX-License-Identifier: Apache-2.0
// EngineThread: the real EnginePort. One thread runs the engine's steps; it sleeps when there is none and is joined by the
// destructor, which waits for a step under way. Borrows engine and executor.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>

#include "engine/engine.h"
#include "engine/engine_port.h"
#include "runtime/actor/executor.h"

namespace baton {

class EngineThread final : public EnginePort {
 public:
  EngineThread(Engine& engine, Executor& executor, std::uint32_t slot);
  ~EngineThread() override;
  void submit(BatchPlan plan, std::function<void(StepResult, Outbox&)> done) override;

 private:
  struct Work {
    BatchPlan plan;
    std::function<void(StepResult, Outbox&)> done;
  };
  void run();

  Engine& engine_;
  Executor& executor_;
  const std::uint32_t slot_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::optional<Work> work_;
  bool stopping_ = false;
  std::thread thread_;  // last: starts when everything else is ready
};

}  // namespace baton
