// SPDX-License-Identifier: Apache-2.0
// TtftForecast: when a job that came now would get its first token. Two queues are ahead of it: that of the coordinator, which drains
// at the pace at which jobs are placed, whatever limits it (prompts, decode's places, KV), and what its prefill worker has been
// given and not answered with a first token. Both paces are measured in whole prompts, so that what prefix caches save, and what
// the streams beside them cost, is in them.
//
// A pace is believed only where it was measured under a backlog: a worker with little to do is not slow because it does little. What
// is measured without one can only raise it (as BBR treats samples that the application limits). Nothing was measured: no forecast.
// Prompts are taken to be computed in order: a long one that shares its steps with many short ones (scheduling/batching.h) is later
// than foretold, the short ones are sooner.
//
// Pure book-keeping in integers, owned by the coordinator: one entry per worker. O(log workers) per placement and per first token.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "protocol/messages.h"
#include "runtime/base/time.h"

namespace baton {

class TtftForecast {
 public:
  struct Forecast {
    Duration wait{};  // for what is ahead of it
    Duration ttft{};  // that, and its own prompt
  };

  // Closed until set_open. step_tokens: what it computes in one step; less is no backlog.
  void add(NodeId worker, std::uint32_t step_tokens);
  void remove(NodeId worker);
  // Whether new prompts go there.
  void set_open(NodeId worker, bool open);
  // A prompt was given to it; its first token is here (`computed`), or it will not come.
  void begin(NodeId worker, std::uint64_t tokens, Time now);
  void end(NodeId worker, std::uint64_t tokens, bool computed, Time now);
  // What one of its steps has answered has been told.
  void answered(NodeId worker, Time now);
  // A round of dispatching is over: prompt tokens that were placed in it, and those that still wait.
  void dispatched(std::uint64_t placed, std::uint64_t queued, Time now);

  // Of a job with so many prompt tokens, behind everything that waits.
  std::optional<Forecast> predict(std::uint64_t tokens) const;
  // Of one that this worker got now.
  std::optional<Forecast> predict_at(NodeId worker, std::uint64_t tokens) const;

 private:
  // Tokens per 1000 s, so that a slow model's few tokens are whole numbers; 0: not measured.
  using Pace = std::uint64_t;
  struct Worker {
    std::uint32_t step_tokens = 1;
    bool open = false;
    std::uint64_t given = 0;  // tokens without an answer
    Pace pace = 0;
    Duration busy{};          // of the present window, without the stretch that goes on
    Time busy_since{};        // while given > 0: that stretch
    std::uint64_t done = 0;   // in the window
    bool backlog = true;      // all through the window
  };
  static Pace pace_of(std::uint64_t tokens, Duration in);
  static Duration time_for(std::uint64_t tokens, Pace pace);
  static void learn(Pace& pace, Pace sample);
  bool behind(const Worker& worker) const { return worker.given >= worker.step_tokens || (worker.given > 0 && queued_ > 0); }
  void rank(NodeId id, const Worker& worker);
  void unrank(NodeId id, const Worker& worker);
  static Duration wait_at(const Worker& worker) { return time_for(worker.given, worker.pace); }

  std::map<NodeId, Worker> workers_;
  std::set<std::pair<Duration, NodeId>> ranked_;  // open ones, by what waits there
  Pace open_pace_ = 0;                            // of them together
  std::uint64_t queued_ = 0;
  Pace drain_ = 0;                   // of the queue
  std::optional<Time> drain_since_;  // the present window; none: the queue is empty
  std::uint64_t drained_ = 0;        // in it
};

// Whether a job behind others would get its first token too late. Where nothing is ahead of it it never does: refusing it would leave
// workers idle, and a pace that was measured wrong would never be measured again.
inline bool misses(const TtftForecast::Forecast& forecast, Duration limit) { return forecast.wait > Duration{} && forecast.ttft > limit; }

// What of a job's time limit may pass before its first token. The rest is for the others: jobs that are let in up to the very limit are
// all served at it, and end without an answer.
inline Duration ttft_share(Duration time_limit) { return time_limit / 4 * 3; }

}  // namespace baton
