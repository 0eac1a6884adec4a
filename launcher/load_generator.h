// SPDX-License-Identifier: Apache-2.0
// Load on a running cluster through its jobs socket: so many streams, each with a connection and a thread of its own, work
// through made-up prompts of exact length, one job at a time. Tokens are timed where the client sees them. Blocks until all
// jobs ended; bounded by what is asked for.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "runtime/base/result.h"

namespace baton {

struct LoadPlan {
  std::string jobs_address;
  std::uint32_t requests = 32;                      // different prompts
  std::uint32_t concurrency = 4;                    // streams
  std::vector<std::uint32_t> prompt_tokens = {512};  // prompt i has the length i modulo their number; each >= 1
  std::uint32_t max_tokens = 64;                    // generated, exactly: the end of a sequence is ignored
  std::uint32_t shared_prefix = 0;                  // so many first tokens are the same in all prompts
  std::uint32_t repeat = 1;                         // each prompt is sent so often, one after the other
  std::uint64_t seed = 1;                           // other prompts; the same seed makes the same ones
};

// One job. Times in seconds.
struct JobTimes {
  std::uint32_t repetition = 0;       // 0: the prompt's first time
  double ttft = 0;                    // from handing it over to its first token
  double total = 0;
  std::vector<double> token_gaps;     // between tokens; k tokens that come together share the gap before them
  std::uint32_t prompt_tokens = 0;
  std::uint32_t completion_tokens = 0;
  std::uint64_t kv_bytes_moved = 0;
  std::string error;                  // not empty: it did not end as it should
};

struct LoadTimes {
  double seconds = 0;  // from the first hand-over to the last end
  std::vector<JobTimes> jobs;
};

// An error if a stream cannot connect; what goes wrong with a job stands in its times. `interrupted` is asked a few times a
// second: once true, running jobs are cancelled and no others begin.
Result<LoadTimes> run_load(const LoadPlan& plan, const std::function<bool()>& interrupted);

}  // namespace baton
