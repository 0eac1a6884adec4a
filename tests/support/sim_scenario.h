// SPDX-License-Identifier: Apache-2.0
// SimScenario: one seed of the swarm. The seed draws the topology, the sizes, which faults exist and when they strike. Phase 1 is
// safety under faults; then everything heals and phase 2 demands liveness: every job ends, every block comes home. The verdict
// lists what went wrong; an empty list is a pass. Deterministic: equal seeds give equal hashes.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "actors/coordinator.h"
#include "runtime/base/time.h"

namespace baton {

struct SimVerdict {
  std::vector<std::string> complaints;
  std::uint64_t hash = 0;
  std::uint64_t events = 0;
  std::uint64_t faults = 0;
  std::uint64_t jobs = 0;
  std::uint64_t finished = 0;
  std::uint64_t failed = 0;
  std::uint64_t transferred = 0;
  Duration worst_gap{};  // SimUsers::worst_gap()
  std::uint64_t tokens = 0;
  std::uint64_t late_bytes = 0;
  Coordinator::Retries retries;
  AdmissionStatus admission;  // of the coordinator's last life
  std::uint64_t control_kills = 0;  // of the coordinator, with or without the edge
  std::uint64_t reattached = 0;     // jobs whose client came back for their answer
  std::uint64_t preemptions = 0;  // of the workers' last lives
  std::uint64_t prefix_hits = 0;  // tokens, of the same
  double virtual_seconds = 0;
};

struct SimScenarioOptions {
  bool faults = true;
  std::uint32_t jobs = 30;
};

SimVerdict run_scenario(std::uint64_t seed, const SimScenarioOptions& options = {});

}  // namespace baton
