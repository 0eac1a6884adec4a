// SPDX-License-Identifier: Apache-2.0
#include "launcher/load_progress.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

namespace baton {
namespace {

constexpr const char* kWords[] = {"reads the model", "lays out weights", "reserves KV", "joins"};
constexpr int kShares[] = {5, 75, 15, 5};  // of the bar, in percent: about where the time goes
constexpr int kPhases = 4;
constexpr int kBarWidth = 24;
constexpr std::size_t kLineBytes = 8;  // "1 053   "

std::string path_of(const std::string& state, const std::string& worker) { return state + "/progress/" + worker; }

int percent_of_all(const LoadState& state) {
  int before = 0;
  const int phase = static_cast<int>(state.phase);
  for (int i = 0; i < phase; ++i) before += kShares[i];
  return before + kShares[phase] * state.percent / 100;
}

}  // namespace

LoadProgress::LoadProgress(const std::string& state, const std::string& worker)
    : file_(open(path_of(state, worker).c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600)) {}

LoadProgress::~LoadProgress() {
  if (file_ >= 0) close(file_);
}

void LoadProgress::say(LoadState now) {
  if (file_ < 0 || said_ == now) return;
  said_ = now;
  char line[kLineBytes + 1];
  std::snprintf(line, sizeof line, "%d %03d   ", static_cast<int>(now.phase), std::clamp(now.percent, 0, 100));
  if (pwrite(file_, line, kLineBytes, 0) != static_cast<ssize_t>(kLineBytes)) {
    close(file_);  // a full disk is no reason not to load
    file_ = -1;
  }
}

std::optional<LoadState> read_load_progress(const std::string& state, const std::string& worker) {
  const int file = open(path_of(state, worker).c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  if (file < 0) return std::nullopt;
  char line[kLineBytes + 1] = {};
  const ssize_t count = pread(file, line, kLineBytes, 0);
  close(file);
  int phase = -1, percent = -1;
  if (count != static_cast<ssize_t>(kLineBytes) || std::sscanf(line, "%d %d", &phase, &percent) != 2) return std::nullopt;
  if (phase < 0 || phase >= kPhases || percent < 0 || percent > 100) return std::nullopt;
  return LoadState{static_cast<LoadPhase>(phase), percent};
}

void forget_load_progress(const std::string& state, const std::string& worker) { unlink(path_of(state, worker).c_str()); }

std::string render_load_progress(const std::vector<std::pair<std::string, std::optional<LoadState>>>& workers) {
  std::size_t longest = 0;
  for (const auto& [name, state] : workers) longest = std::max(longest, name.size());
  std::string text;
  for (const auto& [name, state] : workers) {
    const int percent = state ? percent_of_all(*state) : 0;
    const auto filled = static_cast<std::size_t>(percent * kBarWidth / 100);
    char number[16];
    std::snprintf(number, sizeof number, "%3d %%", percent);
    text += "  " + name + std::string(longest - name.size(), ' ') + "  [" + std::string(filled, '#') + std::string(kBarWidth - filled, '.') + "] " + number + "  " +
            (state ? kWords[static_cast<int>(state->phase)] : "starts") + '\n';
  }
  return text;
}

}  // namespace baton
