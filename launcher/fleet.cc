// SPDX-License-Identifier: Apache-2.0
#include "launcher/fleet.h"

#include <signal.h>

#include <algorithm>

#include "config/memory.h"
#include "config/suggest.h"
#include "config/units.h"
#include "launcher/environment.h"
#include "launcher/exit_code.h"
#include "launcher/remote_worker.h"
#include "launcher/state_folder.h"
#include "runtime/base/log.h"

namespace baton {
namespace {

constexpr std::ptrdiff_t kStartsAtOnce = 4;  // more would fight for the machine with those that serve
constexpr Duration kLookPause = std::chrono::milliseconds(50);
constexpr Duration kAnswerLimit = std::chrono::seconds(2);
constexpr Duration kUndrainLimit = std::chrono::seconds(10);
constexpr Duration kEndLimit = std::chrono::seconds(10);  // of a worker that is drained

std::string folder_of(const std::string& path) { return path.substr(0, path.rfind('/')); }

bool prefills(PoolRole role) { return role != PoolRole::kDecode; }
bool decodes(PoolRole role) { return role != PoolRole::kPrefill; }

std::string milliseconds_of(Duration duration) { return format_duration(std::chrono::duration_cast<std::chrono::milliseconds>(duration)); }

}  // namespace

std::optional<ProcessSpec> worker_process(const Topology& topology, const WorkerSlot& slot, const std::vector<std::string>& set, const std::string& text) {
  const std::string& state = topology.coordinator.state;
  const PoolSection& pool = topology.pools[slot.pool];
  const StartedBy by = who_starts(topology, pool);
  if (by == StartedBy::kHand) return std::nullopt;
  std::vector<std::string> arguments = {"worker", slot.name, "--topology", state + "/topology.yaml", "--base-folder", folder_of(topology.file)};
  for (const std::string& each : set) arguments.insert(arguments.end(), {"--set", each});
  ProcessSpec spec{slot.name, std::move(arguments), state + "/logs/" + slot.name + ".log"};
  if (by == StartedBy::kSsh) return through_ssh(node_of(topology, pool), own_executable(), text, std::move(spec));
  return spec;
}

Fleet::Fleet(const LoadedTopology& loaded, std::vector<std::string> set, Supervisor& supervisor, CoordinatorLine& line, Ports ports)
    : loaded_(loaded), topology_(loaded.topology), set_(std::move(set)), supervisor_(supervisor), line_(line), ports_(std::move(ports)) {
  for (WorkerSlot& slot : worker_slots(topology_)) workers_[{slot.pool, slot.replica}].slot = slot;
}

std::vector<WorkerSlot> Fleet::workers() const {
  std::vector<WorkerSlot> slots;
  for (const auto& [key, worker] : workers_) slots.push_back(worker.slot);
  return slots;
}

std::size_t Fleet::size_of(std::size_t pool) const {
  return static_cast<std::size_t>(std::count_if(workers_.begin(), workers_.end(), [&](const auto& each) {
    return each.first.first == pool && (each.second.part == Part::kServes || each.second.part == Part::kStarts);
  }));
}

std::optional<std::size_t> Fleet::find_pool(const std::string& name) const {
  for (std::size_t i = 0; i < topology_.pools.size(); ++i)
    if (topology_.pools[i].name == name) return i;
  return std::nullopt;
}

// A worker's own topology must have its name. Where the pool has an `autoscale`, it says the same.
std::vector<std::string> Fleet::settings_for(std::size_t pool, std::uint32_t replicas) const {
  const PoolSection& section = topology_.pools[pool];
  if (replicas <= section.replicas) return {};
  const std::string path = "pools." + section.name + '.';
  const std::string number = '=' + std::to_string(replicas);
  std::vector<std::string> settings = {path + "replicas" + number};
  if (section.autoscale_min != 0) settings.insert(settings.end(), {path + "autoscale.min" + number, path + "autoscale.max" + number});
  return settings;
}

// ---- scaling -------------------------------------------------------------------------------------------------------

// Why nothing is changed at all.
std::optional<ScaleReply> Fleet::refusal(const ScaleRequest& request) const {
  std::vector<std::string> set = set_;
  bool grows = false;
  std::uint64_t further = 0;  // of this machine
  for (const PoolSize& wanted : request.pools) {
    const auto pool = find_pool(wanted.pool);
    if (!pool) {
      std::vector<std::string> names;
      std::string list;
      for (const PoolSection& each : topology_.pools) {
        names.push_back(each.name);
        list += (list.empty() ? "" : ", ") + each.name;
      }
      const std::string hint = did_you_mean(wanted.pool, names);
      return ScaleReply{"no pool is named " + wanted.pool + "; there " + (names.size() == 1 ? "is " : "are ") + list + (hint.empty() ? "" : " (" + hint + ')'), kBadUsage};
    }
    if (who_starts(topology_, topology_.pools[*pool]) == StartedBy::kHand)
      return ScaleReply{"workers of pool " + wanted.pool + " are started by hand: start or drain them yourself, or give their node `ssh`", kFailed};
    if (wanted.replicas <= size_of(*pool)) continue;
    grows = true;
    if (who_starts(topology_, topology_.pools[*pool]) == StartedBy::kLauncher) further += wanted.replicas - size_of(*pool);
    for (std::string& each : settings_for(*pool, wanted.replicas)) set.push_back(std::move(each));
  }
  if (!grows) return std::nullopt;
  LoadOptions options = load_options(set);
  options.base_folder = folder_of(topology_.file);
  const LoadResult checked = parse_topology(loaded_.text, topology_.file, options);
  // What those that serve have is taken already.
  const std::uint64_t room = available_memory(), memory = further * topology_.kv_cache.memory;
  if (checked && room != 0 && memory > room)
    return ScaleReply{std::to_string(further) + " more workers want " + format_bytes(memory) + " of KV, this machine has " + format_bytes(room) + " to give; nothing was changed", kFailed};
  if (checked) return std::nullopt;
  return ScaleReply{render(checked.error()) + "nothing was changed", kBadConfiguration};
}

void Fleet::scale(std::uint64_t connection, const ScaleRequest& request) {
  if (operation_) return ports_.reply(connection, {"another `baton scale` is under way: try again when it is done", kFailed});
  if (const auto refused = refusal(request)) return ports_.reply(connection, *refused);
  operation_.emplace();
  operation_->connection = connection;
  operation_->request = request;
  operation_->begun = launcher_now();
  operation_->deadline = operation_->begun + request.limit;
  step();
}

Result<void> Fleet::grow(const PoolSize& wanted) {
  const std::size_t pool = *find_pool(wanted.pool);
  const auto starting = [this] { return std::count_if(workers_.begin(), workers_.end(), [](const auto& each) { return each.second.part == Part::kStarts; }); };
  for (std::uint32_t replica = 0; size_of(pool) < wanted.replicas && starting() < kStartsAtOnce; ++replica) {
    if (workers_.contains({pool, replica})) continue;
    const WorkerSlot slot{wanted.pool + '-' + std::to_string(replica), pool, replica};
    std::vector<std::string> set = set_;
    for (std::string& each : settings_for(pool, replica + 1)) set.push_back(std::move(each));
    RETURN_IF_ERROR(ports_.start(*worker_process(topology_, slot, set, loaded_.text)));
    workers_[{pool, replica}] = {slot, Part::kStarts, kNever};
    changed_ = true;
    log_info("launcher", "a further worker", {{"name", slot.name}, {"pid", supervisor_.pid(slot.name)}});
  }
  return {};
}

void Fleet::look(const StatusReport& report) {
  for (auto& [key, worker] : workers_) {
    if (worker.part != Part::kStarts) continue;
    const bool ready = std::any_of(report.workers.begin(), report.workers.end(), [&](const WorkerStatus& each) {
      return each.name == worker.slot.name && each.state == WorkerState::kReady;
    });
    if (!ready) continue;
    worker.part = Part::kServes;
    tell(worker.slot.name + " is ready (" + milliseconds_of(launcher_now() - operation_->begun) + ')');
  }
}

// The coordinator hears of them in this order, and counts what is left after each.
void Fleet::shrink() {
  operation_->shrinking = true;
  for (const PoolSize& wanted : operation_->request.pools) {
    const std::size_t pool = *find_pool(wanted.pool);
    for (auto it = workers_.rbegin(); it != workers_.rend() && size_of(pool) > wanted.replicas; ++it) {
      Worker& worker = it->second;
      if (it->first.first != pool || worker.part != Part::kServes) continue;
      worker.part = Part::kDrains;
      ClusterCommand drain;
      drain.worker = worker.slot.name;
      operation_->drains[line_.ask(drain, operation_->deadline - launcher_now())] = it->first;
    }
  }
}

void Fleet::take(std::uint64_t number, const CoordinatorLine::Answer& answer) {
  const auto* report = std::get_if<StatusReport>(&answer);
  if (const auto loss = losses_.find(number); loss != losses_.end()) {
    const WorkerSlot lost = loss->second;
    losses_.erase(loss);
    judge_loss(lost, report != nullptr ? *report : StatusReport{});
  }
  if (!operation_) return;
  if (number == operation_->status) {
    operation_->status = 0;
    if (report != nullptr) look(*report);
  }
  if (const auto drain = operation_->drains.find(number); drain != operation_->drains.end()) {
    const Key key = drain->second;
    operation_->drains.erase(drain);
    take_drain(key, answer);
  }
}

// A worker that is not in the cluster, or fell out of it, has nothing to drain.
void Fleet::take_drain(const Key& key, const CoordinatorLine::Answer& answer) {
  const auto it = workers_.find(key);
  if (it == workers_.end() || it->second.part != Part::kDrains) return;
  const auto* done = std::get_if<ClusterCommandDone>(&answer);
  if (done != nullptr && (done->ok || done->code == ErrorCode::kNotFound || done->code == ErrorCode::kWorkerLost)) return end_worker(it->second);
  take_back(it->second.slot.name + (done != nullptr ? " stays: " + done->message : " was not drained in time"));
}

void Fleet::take_back(const std::string& why) {
  if (operation_->refusal.empty()) operation_->refusal = why;
  operation_->drains.clear();
  for (auto& [key, worker] : workers_) {
    if (worker.part != Part::kDrains) continue;
    worker.part = Part::kServes;
    ClusterCommand undrain;
    undrain.action = ClusterAction::kUndrain;
    undrain.worker = worker.slot.name;
    line_.ask(undrain, kUndrainLimit);
  }
}

void Fleet::end_worker(Worker& worker) {
  worker.part = Part::kEnds;
  worker.kill_at = launcher_now() + kEndLimit;
  supervisor_.signal(worker.slot.name, SIGTERM);
}

void Fleet::remove(const Key& key) {
  supervisor_.forget(workers_.at(key).slot.name);
  workers_.erase(key);
  changed_ = true;
}

void Fleet::step() {
  if (!operation_) return;
  const Time now = launcher_now();
  for (const PoolSize& wanted : operation_->request.pools) {
    if (operation_->shrinking || now >= operation_->deadline) break;
    if (const Result<void> grown = grow(wanted); !grown) return finish(kFailed, grown.error().message);
  }
  std::string awaited;
  std::vector<Key> gone;
  for (auto& [key, worker] : workers_) {
    if (worker.part == Part::kServes) continue;
    awaited += (awaited.empty() ? "" : ", ") + worker.slot.name;
    if (worker.part == Part::kEnds && now >= worker.kill_at) supervisor_.signal(worker.slot.name, SIGKILL);
    if (worker.part == Part::kEnds && supervisor_.pid(worker.slot.name) == 0) gone.push_back(key);
  }
  for (const Key& key : gone) {
    tell(workers_.at(key).slot.name + " has left (" + milliseconds_of(now - operation_->begun) + ')');
    remove(key);
  }
  if (awaited.empty() && !operation_->shrinking) shrink();
  else if (awaited.empty()) operation_->refusal.empty() ? finish(kDone, summary()) : finish(kFailed, operation_->refusal);
  else if (operation_->shrinking) return;  // drains have a limit, and so have ends
  else if (now >= operation_->deadline) finish(kNotReadyInTime, "not all are ready in time; what was started goes on: " + awaited + "; `baton status` shows it, a smaller number takes it back");
  else if (operation_->status == 0 && now >= operation_->look_at) {
    operation_->look_at = now + kLookPause;
    operation_->status = line_.ask(StatusRequest{}, kAnswerLimit);
  }
}

void Fleet::finish(int exit_status, const std::string& text) {
  for (auto& [key, worker] : workers_)
    if (worker.part == Part::kStarts) worker.part = Part::kServes;
  log_info("launcher", "scaled", {{"exit_status", exit_status}, {"result", text}});
  ports_.reply(operation_->connection, {text, exit_status});
  operation_.reset();
}

std::string Fleet::summary() const {
  std::string text;
  for (const PoolSize& wanted : operation_->request.pools) {
    const std::size_t count = size_of(*find_pool(wanted.pool));
    text += (text.empty() ? "" : ", ") + wanted.pool + ": " + std::to_string(count) + (count == 1 ? " worker" : " workers");
  }
  return text + " (" + milliseconds_of(launcher_now() - operation_->begun) + ')';
}

// ---- ends ----------------------------------------------------------------------------------------------------------

void Fleet::note_end(const ProcessEnd& end) {
  const auto it = std::find_if(workers_.begin(), workers_.end(), [&](const auto& each) { return each.second.slot.name == end.name; });
  if (it == workers_.end()) return;
  // What fails before it was ready once fails again.
  if (it->second.part == Part::kStarts) {
    supervisor_.signal(end.name, SIGKILL);
    remove(it->first);
    const std::string log = ports_.log_path(end.name);
    return finish(kNotReadyInTime, end.name + " ended before it was ready: " + end.how + "\n  last lines of " + log + ":\n" + last_lines_of_file(log, 12));
  }
  if (!end.for_good) return;
  const Worker lost = it->second;
  remove(it->first);
  if (lost.part != Part::kEnds) give_up(lost, end);
}

void Fleet::give_up(const Worker& worker, const ProcessEnd& end) {
  gave_up_ = true;
  const std::string log = ports_.log_path(end.name);
  ports_.say(end.name + " keeps ending (" + end.how + ") and is given up\n  last lines of " + log + ":\n" + last_lines_of_file(log, 12));
  losses_[line_.ask(StatusRequest{}, kAnswerLimit)] = worker.slot;
}

// Others serve its roles if they are ready, whatever role they were given, or are being started again.
void Fleet::judge_loss(const WorkerSlot& lost, const StatusReport& report) {
  bool prefill = false, decode = false;
  const auto counts = [&](PoolRole role) {
    prefill |= prefills(role);
    decode |= decodes(role);
  };
  for (const WorkerStatus& each : report.workers)
    if (each.state == WorkerState::kReady && each.name != lost.name) counts(static_cast<PoolRole>(each.role));
  for (const auto& [key, worker] : workers_)
    if (worker.part == Part::kServes) counts(topology_.pools[key.first].role);
  const PoolRole role = topology_.pools[lost.pool].role;
  const std::string& pool = topology_.pools[lost.pool].name;
  if ((prefill || !prefills(role)) && (decode || !decodes(role))) {
    ports_.say("the cluster goes on without " + lost.name + "; `baton scale " + pool + '=' + std::to_string(size_of(lost.pool) + 1) + "` starts it anew\n");
    return;
  }
  cannot_serve_ = "without " + lost.name + " no worker can " + (prefill || !prefills(role) ? "decode" : "prefill");
}

}  // namespace baton
