// SPDX-License-Identifier: Apache-2.0
// Changes while the cluster serves: roles, drains, and the moves of jobs that drains ask for.
#include <algorithm>
#include <utility>

#include "actors/coordinator.h"

namespace baton {
namespace {

constexpr std::size_t kDrainersMax = 1024;
constexpr std::uint32_t kMovesAtOnce = 8;  // of one worker: the streams that wait for their turn go on meanwhile

const char* word(Role role) { return role == Role::kPrefill ? "prefill" : role == Role::kDecode ? "decode" : "both"; }

std::string count_of(std::size_t number, const char* what) { return std::to_string(number) + ' ' + what + (number == 1 ? "" : "s"); }

}  // namespace

void Coordinator::on(const ClusterCommand& command, Outbox& out) {
  if (!from_edge(out)) return;
  const Asker asker{out.sender(), command.tag};
  const auto answer = [&](const Result<void>& done, const std::string& message) {
    if (done) out.send(asker.edge, ClusterCommandDone{asker.tag, true, ErrorCode::kInternal, message});
    else out.send(asker.edge, ClusterCommandDone{asker.tag, false, done.error().code, done.error().message});
  };
  const Result<NodeId> node = find_worker(command.worker);
  if (!node) return answer(tl::unexpected(node.error()), {});
  Member& member = workers_.at(*node);
  switch (command.action) {
    case ClusterAction::kDrain: {
      if (member.state == WorkerState::kReady) {
        if (const auto ok = can_do_without(*node, std::nullopt); !ok) return answer(ok, {});
        start_drain(*node, "as asked", out);
      }
      // Whoever has no answer yet asks again.
      const bool fresh = std::find(member.drainers.begin(), member.drainers.end(), asker) == member.drainers.end();
      if (fresh && member.drainers.size() >= kDrainersMax)
        return answer(fail(ErrorCode::kResourceExhausted, std::to_string(kDrainersMax) + " others wait for the end of this drain already"), {});
      if (fresh) member.drainers.push_back(asker);
      note_drained(*node, out);
      break;
    }
    case ClusterAction::kUndrain:
      if (member.leaving) return answer(fail(ErrorCode::kUnavailable, command.worker + " ends: its process was asked to"), {});
      end_drain(*node, out);
      answer({}, command.worker + " takes jobs");
      break;
    case ClusterAction::kRole:
      if (const auto ok = can_do_without(*node, command.role); !ok) return answer(ok, {});
      change_role(*node, command.role, out);
      answer({}, command.worker + " is " + word(command.role) + " now, " + count_of(member.jobs.size(), "job") + " on it go on");
      break;
    case ClusterAction::kProcessEnded:
      if (options_.supervisor_key.empty() || command.key != options_.supervisor_key)
        return answer(fail(ErrorCode::kInvalidArgument, "only the launcher of this cluster says that a process has ended"), {});
      if (member.hello.pid == command.pid) lose_worker(*node, command.crashed ? Loss::kDied : Loss::kSilent, "its process ended: " + command.detail, out);
      answer({}, {});
      break;
  }
  dispatch(out);
  arm(out);
}

void Coordinator::on(const WorkerLeaving&, Outbox& out) {
  if (!from_member(out)) return;
  Member& member = workers_.at(out.sender().node);
  member.leaving = true;
  if (member.state == WorkerState::kReady) start_drain(out.sender().node, "its process was asked to end", out);
  note_drained(out.sender().node, out);
  dispatch(out);
  arm(out);
}

Result<NodeId> Coordinator::find_worker(const std::string& name) const {
  for (const auto& [node, member] : workers_)
    if (member.hello.name == name) return node;
  std::string names;
  for (const auto& [node, member] : workers_) names += (names.empty() ? "" : ", ") + member.hello.name;
  return fail(ErrorCode::kNotFound, "no worker '" + name.substr(0, 256) + "' is in the cluster; it has " + (names.empty() ? "none" : names.substr(0, 2048)));
}

// Whether jobs can be prefilled and decoded when that worker is another one, or (nothing) does not count.
Result<void> Coordinator::can_do_without(NodeId node, std::optional<Role> becomes) const {
  bool prefill = false, decode = false;
  for (const auto& [each, member] : workers_) {
    if (member.state != WorkerState::kReady || (each == node && !becomes)) continue;
    const Role role = each == node ? *becomes : member.hello.role;
    prefill |= role != Role::kDecode;
    decode |= role != Role::kPrefill;
  }
  if (prefill && decode) return {};
  return fail(ErrorCode::kUnavailable, std::string("then no worker would ") + (prefill ? "decode" : "prefill") +
                                           ": start another one first (baton scale), or give one that role (baton role)");
}

void Coordinator::change_role(NodeId node, Role role, Outbox& out) {
  Member& member = workers_.at(node);
  if (const auto known = roles_.find(member.hello.name); journal_ != nullptr && (known == roles_.end() || known->second != role))
    journal_->put({kRoleRecord, node.value}, static_cast<char>(role) + member.hello.name, {});
  roles_[member.hello.name] = role;
  if (member.hello.role == role) return;
  events_.note(EventKind::kRole, member.hello.name, std::string(word(member.hello.role)) + " -> " + word(role), out.now());
  member.hello.role = role;
  placement_.set_role(node, role);
  follow_worker(node);
  out.send(member.actor, RoleChange{role});
}

// ---- drains --------------------------------------------------------------------------------------------------------

void Coordinator::start_drain(NodeId node, const std::string& why, Outbox& out) {
  Member& member = workers_.at(node);
  member.state = WorkerState::kDraining;
  placement_.set_open(node, false);
  follow_worker(node);
  events_.note(EventKind::kDraining, member.hello.name, why + "; " + count_of(member.jobs.size(), "job") + " on it", out.now());
  move_jobs(node, out);
}

void Coordinator::end_drain(NodeId node, Outbox& out) {
  Member& member = workers_.at(node);
  if (member.state == WorkerState::kReady) return;
  member.state = WorkerState::kReady;
  placement_.set_open(node, true);
  follow_worker(node);
  events_.note(EventKind::kDraining, member.hello.name, "its drain was taken back", out.now());
  for (const Asker& asker : std::exchange(member.drainers, {}))
    out.send(asker.edge, ClusterCommandDone{asker.tag, false, ErrorCode::kCancelled, "the drain of " + member.hello.name + " was taken back"});
}

void Coordinator::note_drained(NodeId node, Outbox& out) {
  const auto it = workers_.find(node);
  if (it == workers_.end()) return;
  Member& member = it->second;
  if (member.state == WorkerState::kDraining && member.jobs.empty()) {
    member.state = WorkerState::kDrained;
    events_.note(EventKind::kDrained, member.hello.name, "no job is on it any more", out.now());
  }
  if (member.state != WorkerState::kDrained) return;
  for (const Asker& asker : std::exchange(member.drainers, {}))
    out.send(asker.edge, ClusterCommandDone{asker.tag, true, ErrorCode::kInternal, member.hello.name + " is drained"});
}

// ---- moves ---------------------------------------------------------------------------------------------------------

// Streams that decode on a draining worker. Prompts that are being computed there are finished, their streams decode elsewhere.
void Coordinator::move_jobs(NodeId node, Outbox& out) {
  const auto it = workers_.find(node);
  if (it == workers_.end() || it->second.state != WorkerState::kDraining) return;
  const std::set<JobId> jobs = it->second.jobs;
  for (const JobId id : jobs) {
    if (it->second.moves >= kMovesAtOnce) return;
    Job& job = jobs_.at(id);
    if (job.phase != Phase::kPlaced || job.decode != node || job.fetch != JobId{}) continue;
    if (!move_job(id, job, node, out)) return;
  }
}

// False: nobody has room for it now.
bool Coordinator::move_job(JobId id, Job& job, NodeId from, Outbox& out) {
  const std::optional<NodeId> to = placement_.choose_decode();
  if (!to) return false;
  Member& source = workers_.at(from);
  if (job.emitted.count() == 0 || !copying_is_shorter(cost_of_move(job, source))) {
    ++retries_.moved;
    withdraw(id, job, out);
    resume(id, job, out);
    return true;
  }
  const JobId fetch{out.random().next()};
  std::vector<TokenId> text = job.prompt;
  text.insert(text.end(), job.emitted.ids().begin(), job.emitted.ids().end());
  out.send(source.actor, StartPrefill{fetch, 1, {}, workers_.at(*to).actor, text, {}, job.cache_salt, {}, true});
  out.send(workers_.at(*to).actor, StartDecode{fetch, 1, {}, source.actor, std::move(text), {}, job.cache_salt, {}, true});
  moves_[fetch] = {id, job.epoch, from, *to};
  job.fetch = fetch;
  ++source.moves;
  timers_.set({Deadline::kMove, fetch.value}, out.now() + options_.move_time_limit);
  return true;
}

MoveCost Coordinator::cost_of_move(const Job& job, const Member& from) const {
  MoveCost cost;
  cost.tokens = job.prompt.size() + job.emitted.count();
  cost.kv_bytes = std::uint64_t{model_.geometry.blocks_for(cost.tokens)} * model_.geometry.block_bytes();
  cost.tokens_per_second = prefill_speed_;
  std::uint64_t bytes = 0, busy_ns = 0;
  for (const auto& [peer, link] : from.traffic) {
    bytes += link.bytes;
    busy_ns += link.busy_ns;
  }
  if (busy_ns > 0) cost.bytes_per_second = static_cast<std::uint64_t>(static_cast<unsigned __int128>(bytes) * 1'000'000'000 / busy_ns);
  return cost;
}

void Coordinator::drop_move(Job& job, Outbox& out) {
  const auto it = moves_.find(job.fetch);
  if (it == moves_.end()) return;
  for (const NodeId node : {it->second.from, it->second.to})
    if (const auto member = workers_.find(node); member != workers_.end()) out.send(member->second.actor, CancelJob{job.fetch, 1});
  if (const auto source = workers_.find(it->second.from); source != workers_.end()) --source->second.moves;
  timers_.cancel({Deadline::kMove, job.fetch.value});
  moves_.erase(it);
  job.fetch = {};
}

void Coordinator::on(const PrefixFetched& fetched, Outbox& out) {
  const auto it = moves_.find(fetched.job);
  if (!from_member(out) || it == moves_.end() || it->second.to != out.sender().node) return;
  end_move(fetched.job, fetched.tokens > 0, out);
  dispatch(out);
  arm(out);
}

// The stream stops where it is and goes on at the other worker: with its KV, or by computing it anew.
void Coordinator::end_move(JobId fetch, bool fetched, Outbox& out) {
  const Move move = moves_.at(fetch);
  Job& job = jobs_.at(move.job);
  drop_move(job, out);
  if (job.phase == Phase::kPlaced && job.epoch == move.epoch && job.decode == move.from) {
    ++retries_.moved;
    if (fetched) ++retries_.fetched;
    if (fetched) job.moved_to = move.to;
    withdraw(move.job, job, out);
    resume(move.job, job, out);
  }
  move_jobs(move.from, out);
}

}  // namespace baton
