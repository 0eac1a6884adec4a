// SPDX-License-Identifier: Apache-2.0
#include "scheduling/ttft_forecast.h"

#include <algorithm>

#include "runtime/base/check.h"

namespace baton {
namespace {

using Wide = unsigned __int128;

constexpr Wide kPaceUnit = 1'000'000'000'000;                    // ns in the 1000 s that a pace counts
constexpr Duration kWorkerWindow = std::chrono::milliseconds(200);
constexpr Duration kQueueWindow = std::chrono::milliseconds(500);
constexpr Duration kLongest = std::chrono::hours(24);            // what is later is as good as never
constexpr std::uint64_t kOld = 4;                                // a window is a fourth of what is believed

}  // namespace

TtftForecast::Pace TtftForecast::pace_of(std::uint64_t tokens, Duration in) {
  const Wide pace = Wide{tokens} * kPaceUnit / static_cast<std::uint64_t>(std::max<std::int64_t>(in.count(), 1));
  return static_cast<Pace>(std::clamp<Wide>(pace, 1, UINT64_MAX / 1024));
}

Duration TtftForecast::time_for(std::uint64_t tokens, Pace pace) {
  if (pace == 0) return {};
  return Duration(static_cast<std::int64_t>(std::min<Wide>(Wide{tokens} * kPaceUnit / pace, static_cast<std::uint64_t>(kLongest.count()))));
}

void TtftForecast::learn(Pace& pace, Pace sample) {
  pace = pace == 0 ? sample : std::max<Pace>(pace - pace / kOld + sample / kOld, 1);
}

void TtftForecast::rank(NodeId id, const Worker& worker) {
  if (!worker.open) return;
  ranked_.emplace(wait_at(worker), id);
  open_pace_ += worker.pace;
}

void TtftForecast::unrank(NodeId id, const Worker& worker) {
  if (!worker.open) return;
  ranked_.erase({wait_at(worker), id});
  open_pace_ -= worker.pace;
}

void TtftForecast::add(NodeId worker, std::uint32_t step_tokens) {
  const auto [it, fresh] = workers_.emplace(worker, Worker{});
  CHECK(fresh, "a worker was added twice");
  it->second.step_tokens = std::max(step_tokens, 1u);
}

void TtftForecast::remove(NodeId worker) {
  const auto it = workers_.find(worker);
  if (it == workers_.end()) return;
  unrank(worker, it->second);
  workers_.erase(it);
}

void TtftForecast::set_open(NodeId worker, bool open) {
  Worker& entry = workers_.at(worker);
  unrank(worker, entry);
  entry.open = open;
  rank(worker, entry);
}

void TtftForecast::begin(NodeId worker, std::uint64_t tokens, Time now) {
  Worker& entry = workers_.at(worker);
  unrank(worker, entry);
  if (entry.given == 0) entry.busy_since = now;
  entry.given += tokens;
  if (entry.done == 0 && entry.busy == Duration{} && now == entry.busy_since) entry.backlog = behind(entry);  // the window begins
  rank(worker, entry);
}

void TtftForecast::end(NodeId worker, std::uint64_t tokens, bool computed, Time now) {
  Worker& entry = workers_.at(worker);
  CHECK(entry.given >= tokens, "a worker was given fewer prompts than it answers");
  unrank(worker, entry);
  entry.given -= tokens;
  if (entry.given == 0) entry.busy += now - entry.busy_since;
  if (computed) entry.done += tokens;
  else entry.backlog &= behind(entry);
  rank(worker, entry);
}

// Windows end with steps: what a step answers at once took all of its time.
void TtftForecast::answered(NodeId worker, Time now) {
  Worker& entry = workers_.at(worker);
  const Duration busy = entry.given == 0 ? entry.busy : entry.busy + (now - entry.busy_since);
  if (entry.done > 0 && busy >= kWorkerWindow) {
    const Pace sample = pace_of(entry.done, busy);
    unrank(worker, entry);
    if (entry.backlog) learn(entry.pace, sample);
    else if (entry.pace != 0) entry.pace = std::max(entry.pace, sample);
    rank(worker, entry);
    entry.busy = {};
    entry.busy_since = now;
    entry.done = 0;
    entry.backlog = true;
  }
  entry.backlog &= behind(entry);
}

// A window ends with a placement: between two of them nothing is known.
void TtftForecast::dispatched(std::uint64_t placed, std::uint64_t queued, Time now) {
  queued_ = queued;
  if (drain_since_) {
    drained_ += placed;
    if (placed > 0 && now - *drain_since_ >= kQueueWindow) {
      learn(drain_, pace_of(drained_, now - *drain_since_));
      drain_since_ = now;
      drained_ = 0;
    }
    if (queued == 0) drain_since_.reset();
  } else if (queued > 0) {
    drain_since_ = now;
    drained_ = 0;
  }
}

std::optional<TtftForecast::Forecast> TtftForecast::predict(std::uint64_t tokens) const {
  if (ranked_.empty()) return std::nullopt;
  const Pace drain = drain_ != 0 ? drain_ : open_pace_;
  if (open_pace_ == 0 && (queued_ == 0 || drain == 0)) return std::nullopt;
  const Worker& worker = workers_.at(ranked_.begin()->second);
  const Duration wait = time_for(queued_, drain) + wait_at(worker);
  return Forecast{wait, wait + time_for(tokens, worker.pace)};
}

std::optional<TtftForecast::Forecast> TtftForecast::predict_at(NodeId worker, std::uint64_t tokens) const {
  const Worker& entry = workers_.at(worker);
  if (entry.pace == 0) return std::nullopt;
  return Forecast{wait_at(entry), time_for(entry.given + tokens, entry.pace)};
}

}  // namespace baton
