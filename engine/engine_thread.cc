// SPDX-License-Identifier: Apache-2.0
#include "engine/engine_thread.h"

#include <utility>

#include "runtime/base/check.h"
#include "runtime/base/thread_name.h"

namespace baton {

EngineThread::EngineThread(Engine& engine, Executor& executor, std::uint32_t slot)
    : engine_(engine), executor_(executor), slot_(slot), thread_([this] { run(); }) {}

EngineThread::~EngineThread() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

void EngineThread::submit(BatchPlan plan, std::function<void(StepResult, Outbox&)> done) {
  {
    const std::lock_guard lock(mutex_);
    CHECK(!work_, "a step was submitted while one is waiting");
    work_.emplace(Work{std::move(plan), std::move(done)});
  }
  wake_.notify_one();
}

void EngineThread::run() {
  name_this_thread("baton-engine");
  for (;;) {
    Work work;
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [this] { return stopping_ || work_.has_value(); });
      if (stopping_) return;
      work = std::move(*work_);
      work_.reset();
    }
    StepResult result = engine_.step(work.plan);
    executor_.post(slot_, [done = std::move(work.done), result = std::move(result)](Outbox& out) mutable { done(std::move(result), out); });
  }
}

}  // namespace baton
