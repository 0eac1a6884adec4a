// SPDX-License-Identifier: Apache-2.0
// Figures that reports of the control protocol carry: of the traffic between workers, and of admission. Plain data.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace baton {

inline constexpr std::size_t kTrafficPerHeartbeat = 16;
// What one worker has sent to another since it began. A transfer is one push of blocks.
struct LinkTraffic {
  std::string peer;       // the receiving worker's name
  std::string transport;  // "shm", "tcp", …: of the latest transfer
  std::uint64_t transfers = 0;
  std::uint64_t failures = 0;
  std::uint64_t bytes = 0;       // of transfers that did not fail
  std::uint64_t busy_ns = 0;     // with at least one under way
  std::uint64_t latency_ns = 0;  // from each one's push to its acknowledgement, summed
};

// What became of the jobs that came, since the coordinator began; and what waits now.
struct AdmissionStatus {
  std::uint64_t admitted = 0;
  std::uint64_t refused_predicted = 0;  // their first token would have come too late
  std::uint64_t refused_full = 0;       // the queue was full
  std::uint64_t expired = 0;            // out of time before a worker had them
  std::uint64_t resumed = 0;            // attempts that were lost and made again
  std::uint64_t out_of_retries = 0;     // not made again: the budget was spent
  std::uint32_t queued = 0;             // jobs without a worker, now
  std::uint64_t queued_tokens = 0;      // of their prompts
  std::uint64_t wait_ns = 0;            // until a job that came now would be the next of its prefill worker; 0: nothing is ahead, or nothing known
};

}  // namespace baton
