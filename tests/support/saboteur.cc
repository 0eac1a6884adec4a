// SPDX-License-Identifier: Apache-2.0
#include "tests/support/saboteur.h"

#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "runtime/actor/real_loop.h"

namespace baton::test {
namespace {

// Of lifecycle.max_restarts, as it is where a topology does not say.
constexpr RestartBudget kBudget{};
constexpr Duration kMargin = std::chrono::seconds(1);        // between our clock and the launcher's view
constexpr Duration kFencing = std::chrono::milliseconds(700);  // a longer freeze may cost the worker its life
constexpr Duration kSettles = std::chrono::milliseconds(500);  // a thawed worker learns that it was given up
constexpr Duration kGlance = std::chrono::milliseconds(50);    // at the cluster, which has other things to do
constexpr Duration kAnswerLimit = std::chrono::seconds(5);
constexpr Duration kReach = std::chrono::milliseconds(300);     // of a coordinator that may not be there yet
constexpr Duration kPatience = std::chrono::seconds(120);      // without a chance for a fault

}  // namespace

bool RestartLedger::allows(const std::string& process, Time now) const {
  const auto ends = ends_.find(process);
  if (ends == ends_.end()) return true;
  const auto recent = std::count_if(ends->second.begin(), ends->second.end(), [&](Time end) { return now - end <= budget_.window + kMargin; });
  return static_cast<std::uint32_t>(recent) < budget_.restarts;
}

Saboteur::Saboteur(ClusterProcess& cluster, SabotagePlan plan, std::map<std::string, ChaosRole> workers, std::function<std::vector<std::string>()> streaming)
    : cluster_(cluster), plan_(std::move(plan)), streaming_(std::move(streaming)), ledger_(kBudget), random_(plan_.seed), client_(cluster.connect()) {
  for (const auto& [name, role] : workers) workers_.push_back({name, role, false, 0, kNever, {}, 0});
  thread_ = std::thread([this] { work(); });
}

Saboteur::~Saboteur() {
  if (thread_.joinable()) thread_.join();
}

std::vector<Fault> Saboteur::finish() {
  thread_.join();
  comes_true(
      [&] {
        look();
        return all_up();
      },
      std::chrono::seconds(30));
  for (const Worker& worker : workers_)
    if (worker.down) ADD_FAILURE() << worker.name << " did not come back";
  return faults_;
}

bool Saboteur::all_up() const {
  return std::none_of(workers_.begin(), workers_.end(), [](const Worker& worker) { return worker.down; });
}

// Frozen ones go on when it is time; those are up again that the coordinator shows as ready under the pid they have now.
void Saboteur::look() {
  const Time now = real_now();
  for (Worker& worker : workers_) {
    if (worker.thaw > now) continue;
    kill(worker.pid, SIGCONT);
    worker.thaw = kNever;
    worker.since = now;
  }
  if (now - looked_ < kGlance || !reach(now)) return;
  looked_ = now;
  take_events();
  const auto report = client_->status(kAnswerLimit);
  if (!report) return;
  for (Worker& worker : workers_) {
    if (worker.role == ChaosRole::kCoordinator) {
      const bool dead = worker.down && faults_[worker.fault].frozen == Duration{} && cluster_.pid(worker.name) == worker.pid;
      worker.down = dead || worker.thaw != kNever;  // it answers
      continue;
    }
    const bool killed = worker.down && faults_[worker.fault].frozen == Duration{};
    if (!worker.down || worker.thaw != kNever || (!killed && real_now() - worker.since < kSettles)) continue;
    const pid_t pid = cluster_.pid(worker.name);
    worker.down = (killed && pid == worker.pid) || std::none_of(report->workers.begin(), report->workers.end(), [&](const WorkerStatus& each) {
                    return each.name == worker.name && each.state == WorkerState::kReady && static_cast<pid_t>(each.pid) == pid;
                  });
  }
}

// One of this moment's coordinator; none of a frozen one, which is not asked.
bool Saboteur::reach(Time now) {
  const auto coordinator = std::find_if(workers_.begin(), workers_.end(), [](const Worker& worker) { return worker.role == ChaosRole::kCoordinator; });
  if (coordinator == workers_.end() || !coordinator->down) return client_ != nullptr;
  if (coordinator->thaw > now && coordinator->thaw != kNever) return false;
  const bool killed = faults_[coordinator->fault].frozen == Duration{};
  if (killed && client_ != nullptr) {
    client_.reset();
    event_ = 0;  // another life counts again
  }
  if (client_ != nullptr) return true;
  auto client = JobsClient::connect(cluster_.jobs(), kReach);
  if (client) client_ = std::move(*client);
  return client_ != nullptr;
}

void Saboteur::take_events() {
  const auto report = client_->events(event_, kAnswerLimit);
  if (!report) return;
  const Time now = real_now();
  for (const ClusterEvent& event : report->events) {
    event_ = event.seq;
    if (event.kind == EventKind::kRedispatched) resumed_ += std::strtoull(event.detail.c_str(), nullptr, 10);  // "12 jobs placed again"
    if (event.kind == EventKind::kQuarantined) ++quarantined_;
    if (event.kind != EventKind::kLost) continue;
    for (Worker& worker : workers_)
      if (worker.name == event.subject && worker.down && !faults_[worker.fault].noticed)
        faults_[worker.fault].noticed = now - Duration(static_cast<std::int64_t>(event.age_ns));
  }
}

// Any worker whose role keeps another one, or has none but this; whose launcher would start it again.
Saboteur::Worker* Saboteur::choose(Time now) {
  std::vector<Worker*> able;
  for (Worker& worker : workers_) {
    const bool chosen = std::find(plan_.roles.begin(), plan_.roles.end(), worker.role) != plan_.roles.end();
    const bool alone = std::none_of(workers_.begin(), workers_.end(), [&](const Worker& each) { return each.role == worker.role && each.down; });
    if (chosen && alone && ledger_.allows(worker.name, now)) able.push_back(&worker);
  }
  return able.empty() ? nullptr : able[random_() % able.size()];
}

// A stream that decodes there by the last word of the edge; none while the coordinator cannot be asked.
std::vector<std::string> Saboteur::decoded_by(const std::string& worker) {
  std::vector<std::string> found;
  const bool mute = std::any_of(workers_.begin(), workers_.end(), [](const Worker& each) { return each.role == ChaosRole::kCoordinator && each.down; });
  if (mute || client_ == nullptr) return found;
  for (const std::string& name : streaming_()) {
    const auto report = client_->trace(name, kAnswerLimit);
    if (report && report->found && report->timeline.state == JobState::kDecode && !report->timeline.attempts.empty() &&
        report->timeline.attempts.back().decode_worker == worker)
      found.push_back(name);
  }
  return found;
}

void Saboteur::strike(Worker& worker, Duration freeze) {
  Fault fault;
  fault.victim = worker.name;
  fault.frozen = freeze;
  if (worker.role == ChaosRole::kDecode || worker.role == ChaosRole::kBoth) fault.streams = decoded_by(worker.name);
  if (worker.role == ChaosRole::kCoordinator) fault.streams = streaming_();
  worker.pid = cluster_.pid(worker.name);
  fault.at = real_now();
  if (worker.pid <= 0 || kill(worker.pid, freeze == Duration{} ? SIGKILL : SIGSTOP) != 0) return;  // it is looked for again
  worker.down = true;
  worker.since = fault.at;
  worker.thaw = freeze == Duration{} ? kNever : fault.at + freeze;
  worker.fault = faults_.size();
  if (freeze == Duration{} || freeze > kFencing) ledger_.note(worker.name, worker.thaw == kNever ? fault.at : worker.thaw);
  faults_.push_back(std::move(fault));
}

void Saboteur::work() {
  std::vector<bool> freezes(plan_.kills + plan_.freezes, false);
  std::fill(freezes.begin(), freezes.begin() + plan_.freezes, true);
  std::shuffle(freezes.begin(), freezes.end(), random_);
  const double mean = std::chrono::duration<double>(plan_.load).count() / static_cast<double>(std::max<std::size_t>(freezes.size(), 1));
  std::exponential_distribution<double> pause(1 / std::max(mean, 0.001));
  const auto next_pause = [&] {  // one draw would otherwise decide how long the whole run takes
    return plan_.at_rest ? Duration(std::chrono::seconds(1)) : std::chrono::duration_cast<Duration>(std::chrono::duration<double>(std::min(pause(random_), 3 * mean)));
  };
  Time due = real_now() + next_pause();
  Time last = real_now();
  while (faults_.size() < freezes.size()) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
    look();
    const Time now = real_now();
    if (plan_.at_rest && !all_up()) due = std::max(due, now + next_pause());
    if (now - last > kPatience || cluster_.pid("launcher") == 0) break;  // nobody to hit any more
    if (now < due || streaming_().empty()) continue;
    Worker* worker = choose(now);
    if (worker == nullptr) continue;
    const auto span = static_cast<std::uint64_t>((plan_.longest - plan_.shortest).count()) + 1;
    strike(*worker, freezes[faults_.size()] ? plan_.shortest + Duration(static_cast<std::int64_t>(random_() % span)) : Duration{});
    last = real_now();
    due = std::max(due + next_pause(), last);  // a pause that was spent waiting for a victim is over
  }
  comes_true(
      [&] {
        look();
        return std::none_of(workers_.begin(), workers_.end(), [](const Worker& worker) { return worker.thaw != kNever; });
      },
      plan_.longest + std::chrono::seconds(10));
  done_ = true;
}

}  // namespace baton::test
