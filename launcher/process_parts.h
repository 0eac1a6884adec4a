// SPDX-License-Identifier: Apache-2.0
// What the mains of all processes of a cluster share: how they log, fail, end and drain, and what an edge needs of the model.
// Each object is used from its process's main thread and loop as said there.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "actors/process_control.h"
#include "config/topology.h"
#include "engine/oracle_engine.h"
#include "models/chat_template.h"
#include "models/tokenizer.h"
#include "runtime/actor/real_loop.h"
#include "runtime/base/log.h"
#include "runtime/base/result.h"

namespace baton {

void set_logging(const Topology& topology);
OracleOptions oracle_options(const Topology& topology);
// Says why the process cannot start; the exit status.
int failed(const char* component, const Error& error);

// The actors' wish to end, as the end of a loop.
class LoopExit final : public ProcessControl {
 public:
  explicit LoopExit(const char* component) : component_(component) {}
  void attach(RealLoop& loop) { loop_ = &loop; }
  void exit(int code, const std::string& reason) override {
    if (code_.exchange(code) == kRunning) log_error(component_, "ends", {{"reason", reason}});
    loop_->stop();
  }
  int code() const { return code_ == kRunning ? 0 : code_.load(); }

 private:
  static constexpr int kRunning = -1;
  const char* component_;
  RealLoop* loop_ = nullptr;
  std::atomic<int> code_{kRunning};
};

// After the first signal: looks, on the loop, whether the work is done, until it is or time is up. A second signal: at once.
class Drain {
 public:
  Drain(const char* component, Duration limit, std::function<void()> begin, std::function<bool()> done)
      : component_(component), limit_(limit), begin_(std::move(begin)), done_(std::move(done)) {}
  ~Drain() { finish(); }
  // Before the loop goes: the thread posts to it, and stops it, until it has ended.
  void finish();
  void signalled(RealLoop& loop);

 private:
  const char* component_;
  const Duration limit_;
  const std::function<void()> begin_;
  const std::function<bool()> done_;
  std::atomic<bool> over_{false};
  std::thread thread_;
};

struct EdgeModel {
  std::unique_ptr<Tokenizer> tokenizer;
  std::uint32_t max_model_len = 0;
  std::shared_ptr<const ChatTemplate> chat_template;  // null: the model has none, or none that can be read (which is logged)
};
Result<EdgeModel> load_edge_model(const Topology& topology);

}  // namespace baton
