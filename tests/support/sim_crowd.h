// SPDX-License-Identifier: Apache-2.0
// SimCrowd: clients that do not wait for each other. Jobs arrive at random, so many a second in each phase, whatever the cluster does; who
// is refused comes again when told to, twice at most, as OpenAI's SDKs do. Every answer is held against the oracle. One simulated
// process; notes of each job when its client saw what, and in between how long the coordinator's queue was.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "launcher/sim_wire.h"
#include "tests/support/expected_answer.h"

namespace baton {

struct SimCrowdPhase {
  Duration length{};
  std::uint32_t per_second = 0;
};

struct SimCrowdOptions {
  std::vector<SimCrowdPhase> phases;
  std::uint32_t prompt_min = 64, prompt_max = 192;
  std::uint32_t tokens = 8;
  std::uint64_t time_limit_ns = 0;
  std::uint32_t attempts = 3;  // of a client that is refused
};

class SimCrowd {
 public:
  struct Job {
    ClientSubmit submit;
    Time sent{};   // the last attempt
    Time first{};  // its first token; Time{}: none
    std::vector<TokenId> got;
    std::uint32_t attempts = 0;
    bool finished = false;
    bool refused = false;  // for good
    bool expired = false;
  };

  SimCrowd(SimCluster& cluster, OracleOptions model, SimCrowdOptions options);

  bool all_ended() const { return sending_over_ && open_ == 0; }
  const std::map<std::uint64_t, Job>& jobs() const { return jobs_; }
  std::uint64_t count(bool Job::*what) const;
  // Prompt tokens of the jobs that got a first token.
  std::uint64_t answered_prompt_tokens() const;
  // Times to the first token of jobs whose last attempt was sent within [from, until), in rising order.
  std::vector<Duration> ttfts(Duration from, Duration until) const;
  // The last moment at which somebody came who then waited longer than that for a first token.
  Time last_slow(Duration limit) const;
  std::uint32_t most_queued() const { return most_queued_; }
  std::uint64_t most_queued_tokens() const { return most_queued_tokens_; }
  const std::vector<std::string>& complaints() const { return complaints_; }

 private:
  void enter(std::size_t phase);
  void wait(std::size_t phase, Time end);
  void arrive();
  void send(std::uint64_t tag);
  void look();
  void take(const JobClient::Inbox& answer);
  void take_error(const ClientError& error);
  void end(std::uint64_t tag, bool Job::*how);

  SimCluster& cluster_;
  const OracleOptions model_;
  const SimCrowdOptions options_;
  Random random_;
  std::map<std::uint64_t, Job> jobs_;
  JobClient* client_ = nullptr;
  SimNodeContext* context_ = nullptr;
  std::uint64_t open_ = 0;
  bool sending_over_ = false;
  std::uint32_t most_queued_ = 0;
  std::uint64_t most_queued_tokens_ = 0;
  std::vector<std::string> complaints_;
};

}  // namespace baton
