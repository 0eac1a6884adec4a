// SPDX-License-Identifier: Apache-2.0
// LoadProgress: how far a worker is before it joins, for whoever waits at a terminal. It writes STATE/progress/NAME, a line of
// fixed length; the launcher of the same machine reads it. A worker whose launcher is elsewhere, or that cannot write, says nothing.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace baton {

// In this order. What a CPU has: nothing is uploaded, and weights are laid out once for all workers of a machine.
enum class LoadPhase { kRead, kLayOut, kReserve, kJoin };

struct LoadState {
  LoadPhase phase = LoadPhase::kRead;
  int percent = 0;  // of the phase
  friend bool operator==(const LoadState&, const LoadState&) = default;
};

class LoadProgress {
 public:
  LoadProgress(const std::string& state, const std::string& worker);
  ~LoadProgress();
  LoadProgress(const LoadProgress&) = delete;
  LoadProgress& operator=(const LoadProgress&) = delete;
  void say(LoadState now);

 private:
  int file_ = -1;
  std::optional<LoadState> said_;
};

// nullopt: it has said nothing yet.
std::optional<LoadState> read_load_progress(const std::string& state, const std::string& worker);
// Before a start: what an earlier one left.
void forget_load_progress(const std::string& state, const std::string& worker);

// A line per worker with a bar over all phases.
std::string render_load_progress(const std::vector<std::pair<std::string, std::optional<LoadState>>>& workers);

}  // namespace baton
