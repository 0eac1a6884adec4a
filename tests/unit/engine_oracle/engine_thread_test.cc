// SPDX-License-Identifier: Apache-2.0
#include "engine/engine_thread.h"

#include <gtest/gtest.h>

#include <condition_variable>
#include <deque>
#include <mutex>
#include <vector>

#include "engine/oracle_engine.h"
#include "tests/support/test_outbox.h"

namespace baton {
namespace {

// Collects posted turns; the test's thread runs them, as a loop would.
class Inbox final : public Executor {
 public:
  void post(std::uint32_t, std::function<void(Outbox&)> turn) override {
    {
      const std::lock_guard lock(mutex_);
      turns_.push_back(std::move(turn));
    }
    arrived_.notify_one();
  }
  void run_one(Outbox& out) {
    std::unique_lock lock(mutex_);
    arrived_.wait(lock, [this] { return !turns_.empty(); });
    auto turn = std::move(turns_.front());
    turns_.pop_front();
    lock.unlock();
    turn(out);
  }

 private:
  std::mutex mutex_;
  std::condition_variable arrived_;
  std::deque<std::function<void(Outbox&)>> turns_;
};

BatchPlan plan_of(std::uint64_t step) {
  SequencePlan sequence;
  sequence.sequence = step;
  sequence.tokens = {1, 2, 3};
  sequence.blocks = {0};
  sequence.sample = true;
  return {step, {sequence}};
}

TEST(EngineThread, StepsComeHomeInOrderOnTheLoopsThread) {
  const OracleOptions options;
  std::vector<std::byte> pool(oracle_info(options).geometry.block_bytes());
  const auto engine = make_oracle_engine(options, pool);
  Inbox inbox;
  TestOutbox out;
  EngineThread thread(*engine, inbox, 0);
  std::vector<std::uint64_t> steps;
  for (std::uint64_t step = 1; step <= 200; ++step) {
    thread.submit(plan_of(step), [&](StepResult result, Outbox&) { steps.push_back(result.step); });
    inbox.run_one(out);
  }
  ASSERT_EQ(steps.size(), 200u);
  EXPECT_EQ(steps.back(), 200u);
}

TEST(EngineThread, EndsWhileAStepIsUnderWay) {
  OracleOptions options;
  options.step_time = std::chrono::milliseconds(20);
  std::vector<std::byte> pool(oracle_info(options).geometry.block_bytes());
  const auto engine = make_oracle_engine(options, pool);
  Inbox inbox;
  EngineThread thread(*engine, inbox, 0);
  thread.submit(plan_of(1), [](StepResult, Outbox&) {});
}

}  // namespace
}  // namespace baton
