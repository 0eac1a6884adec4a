// SPDX-License-Identifier: Apache-2.0
// A coordinator's life after another's: the journal says which jobs there are, workers say what they go on with, edges say whose
// streams are open. A job goes on where it is as soon as a worker has it whole and its edge is here. What nobody has claimed when the
// workers have had time to come back is resumed; what no edge has claimed when the edges have is ended.
#include <algorithm>
#include <charconv>
#include <utility>

#include "actors/coordinator.h"

namespace baton {
namespace {

constexpr Epoch kEpochsPerLife = 1u << 12;  // attempts of a job within one life of the coordinator

const char* count_word(std::size_t count) { return count == 1 ? "" : "s"; }

}  // namespace

// Before the first turn.
void Coordinator::recover(const JournalRecords& records, Time now) {
  std::uint64_t life = 0;
  for (const auto& [key, record] : records) {
    if (key.kind == kLifeRecord && std::from_chars(record.data(), record.data() + record.size(), life).ec == std::errc{}) ++life;
    if (key.kind == kRoleRecord && record.size() > 1) roles_[record.substr(1)] = static_cast<Role>(std::min<unsigned>(static_cast<unsigned char>(record[0]), 2));
    JobRecord kept;
    if (key.kind != kJobRecord || !decode(PayloadView(JobRecord::kKind, record), kept)) continue;
    Job job;
    job.order = kept.order;
    job.edge = {kept.edge, kept.edge_life, 0, 0};
    job.prompt = std::move(kept.admit.prompt);
    job.sampling = std::move(kept.admit.sampling);
    job.cache_salt = std::move(kept.admit.cache_salt);
    job.client = std::move(kept.admit.client);
    job.emitted = EmittedTokens(job.sampling.logprobs.has_value());
    job.phase = Phase::kRecovering;
    job.recovery.emplace();
    job.time_limit_ns = kept.admit.time_limit_ns;
    job.acknowledged = true;  // or its edge asks again
    job.deadline = now + time_limit(job.time_limit_ns);
    timers_.set({Deadline::kJob, kept.admit.job.value}, job.deadline);
    next_order_ = std::max(next_order_, job.order + 1);
    jobs_.emplace(kept.admit.job, std::move(job));
  }
  first_epoch_ = static_cast<Epoch>(std::min<std::uint64_t>(life, UINT32_MAX / kEpochsPerLife - 1)) * kEpochsPerLife;
  if (journal_ != nullptr) journal_->put({kLifeRecord, 0}, std::to_string(life), {});
  if (life == 0) return;
  for (auto& [id, job] : jobs_) job.epoch = first_epoch_;
  timers_.set({Deadline::kRecovery, kWorkersBack}, now + options_.recovery_time);
  timers_.set({Deadline::kRecovery, kEdgesBack}, now + options_.edge_recovery_time);
  events_.note(EventKind::kRecovered, options_.cluster_name, std::to_string(jobs_.size()) + " job" + count_word(jobs_.size()) + " from the journal", now);
}

// An edge is here. The same life says next which streams it has; another one is told of them.
void Coordinator::claim_jobs(const ActorRef& edge, Outbox& out) {
  std::vector<JobId> lost, adopted;
  for (auto& [id, job] : jobs_) {
    if (job.edge.node != edge.node || !job.recovery || job.recovery->edge_here) continue;
    const bool same_life = job.edge.incarnation == edge.incarnation;
    if (!same_life && job.client.empty()) {
      lost.push_back(id);
      continue;
    }
    job.edge = edge;
    edges_.at(edge.node).jobs.insert(id);
    if (!same_life) adopted.push_back(id);
  }
  for (const JobId id : lost) end_recovered(id, out);
  for (const JobId id : adopted) {
    Job& job = jobs_.at(id);
    job.recovery->edge_here = job.recovery->adopted = true;
    out.send(edge, AdoptJob{id, job.prompt, job.sampling, job.client});
    journal_job(id, job, {});
    settle(id, job, out);
    resume_unclaimed(id, out);
  }
}

// Its client is gone.
void Coordinator::end_recovered(JobId id, Outbox& out) {
  Job& job = jobs_.at(id);
  withdraw(id, job, out);
  end(id, job, out);
  forget_if_released(id);
}

void Coordinator::on(const EdgeReport& report, Outbox& out) {
  const auto edge = edges_.find(out.sender().node);
  if (edge == edges_.end() || edge->second.actor != out.sender()) return;
  for (const OpenStream& stream : report.streams) {
    const auto job = jobs_.find(stream.job);
    if (job == jobs_.end() || job->second.edge != out.sender() || job->second.phase == Phase::kEnded) {
      out.send(out.sender(), JobFailed{stream.job, 0, ErrorCode::kUnavailable, "the coordinator was lost, and the job with its journal: submit it again"});
      continue;
    }
    // Where lives were not counted, because the journal was lost, an attempt may be one that the edge does not listen to.
    const bool deaf = stream.epoch > job->second.epoch && job->second.phase != Phase::kResuming;
    if (deaf) job->second.epoch = stream.epoch;
    if (deaf && job->second.phase == Phase::kPlaced) lose_attempt(stream.job, job->second, "its edge knows of a later attempt", out);
    if (!job->second.recovery) continue;
    job->second.recovery->edge_here = true;
    job->second.recovery->edge_epoch = stream.epoch;
    settle(stream.job, job->second, out);
    resume_unclaimed(stream.job, out);
  }
  if (!report.last) return;
  // Of those that it did not name the client has gone, or has everything.
  std::vector<JobId> closed;
  for (const JobId id : edge->second.jobs)
    if (jobs_.at(id).recovery && !jobs_.at(id).recovery->edge_here) closed.push_back(id);
  for (const JobId id : closed) end_recovered(id, out);
  dispatch(out);
  arm(out);
}

void Coordinator::on(const JobReport& report, Outbox& out) {
  if (!from_member(out)) return;
  Member& member = workers_.at(out.sender().node);
  for (const HeldJob& held : report.jobs) take_held(held, member, out);
  dispatch(out);
  arm(out);
}

void Coordinator::take_held(const HeldJob& held, Member& member, Outbox& out) {
  const NodeId node = member.actor.node;
  const auto it = jobs_.find(held.job);
  const bool wanted = it != jobs_.end() && (it->second.phase == Phase::kRecovering || (it->second.phase == Phase::kPlaced && it->second.epoch == held.epoch));
  if (!wanted) {
    if (!held.finished) out.send(member.actor, CancelJob{held.job, held.epoch});
    return;
  }
  Job& job = it->second;
  if (!held.finished) hold(held, job, member);
  for (std::uint32_t i = 0; i < held.tokens.size(); ++i) {
    if (job.emitted.note({held.job, held.epoch, i, held.tokens[i]}, false)) continue;
    withdraw(held.job, job, out);
    fail_job(held.job, job, ErrorCode::kCorrupt, "two workers disagree about token " + std::to_string(i), out);
    forget_if_released(held.job);
    return;
  }
  if (job.phase == Phase::kPlaced) {
    if (held.finished) take_finish(held.finish, node, out);
    return;
  }
  Recovery& recovery = *job.recovery;
  job.epoch = std::max(job.epoch, held.epoch);
  // Of several attempts the latest counts.
  const auto note = [&](std::optional<std::pair<NodeId, Epoch>>& place) {
    if (!place || place->second < held.epoch) place = {node, held.epoch};
  };
  if (held.finished) recovery.finished = true;
  else if (held.kind == HeldKind::kWhole) note(recovery.whole);
  else note(held.kind == HeldKind::kPrefillHalf ? recovery.prefill : recovery.decode);
  if (!recovery.whole && recovery.prefill && recovery.decode && recovery.prefill->second == recovery.decode->second) recovery.whole = recovery.decode;
  settle(held.job, job, out);
}

// Charged as if it had been placed there.
void Coordinator::hold(const HeldJob& held, Job& job, Member& member) {
  const NodeId node = member.actor.node;
  if (job.holders.contains({node, held.epoch})) return;
  const std::uint64_t tokens = job.prompt.size();
  placement_.assign(node, tokens);
  job.holders[{node, held.epoch}] = tokens;
  member.jobs.insert(held.job);
}

// What that worker had reported is gone.
void Coordinator::forget_place(Recovery& recovery, NodeId node) {
  for (auto* place : {&recovery.whole, &recovery.prefill, &recovery.decode})
    if (*place && (*place)->first == node) place->reset();
}

// Goes on with a job that was found, if everything that is needed for it is here.
void Coordinator::settle(JobId id, Job& job, Outbox& out) {
  if (!job.recovery || !job.recovery->edge_here || (!job.recovery->whole && !job.recovery->finished)) return;
  const Recovery recovery = *std::exchange(job.recovery, std::nullopt);
  // A worker that was cut off before the coordinator died may have an attempt that the edge does not listen to any more; and one that
  // has reported may have died since, or finished it.
  const bool in_time = recovery.whole && recovery.whole->second >= recovery.edge_epoch && job.holders.contains(*recovery.whole);
  if (recovery.adopted || !in_time) {
    // The edge is another one, which workers do not know, and needs tokens from the beginning; or the end alone is missing. Whoever has
    // the KV goes on.
    if (recovery.whole && workers_.contains(recovery.whole->first) && workers_.at(recovery.whole->first).hello.role != Role::kPrefill) job.moved_to = recovery.whole->first;
    withdraw(id, job, out);
    return resume(id, job, out);
  }
  job.phase = Phase::kPlaced;
  job.decode = recovery.whole->first;
  job.epoch = recovery.whole->second;
  job.prefill = recovery.prefill && recovery.prefill->second == job.epoch ? recovery.prefill->first : job.decode;
  job.known = job.emitted.count();
  for (const auto& [holder, tokens] : job.holders)  // earlier attempts, of workers that were cut off
    if (holder.second < job.epoch) out.send(workers_.at(holder.first).actor, CancelJob{id, holder.second});
}

// Whoever has not come back by now is not waited for.
void Coordinator::end_recovery(std::uint64_t whose, Outbox& out) {
  std::vector<JobId> open;
  for (const auto& [id, job] : jobs_)
    if (job.recovery) open.push_back(id);
  if (whose == kEdgesBack) {
    for (const JobId id : open)
      if (!jobs_.at(id).recovery->edge_here) end_recovered(id, out);
    return;
  }
  workers_are_back_ = true;
  for (const JobId id : open) resume_unclaimed(id, out);
}

void Coordinator::resume_unclaimed(JobId id, Outbox& out) {
  Job& job = jobs_.at(id);
  if (!workers_are_back_ || !job.recovery || !job.recovery->edge_here) return;
  job.recovery.reset();
  ++retries_.again;
  withdraw(id, job, out);
  resume(id, job, out);
}

void Coordinator::journal_job(JobId id, const Job& job, std::function<void(bool, Outbox&)> durable) {
  if (journal_ == nullptr) return;
  JobRecord record;
  record.admit.job = id;
  record.admit.prompt = job.prompt;
  record.admit.sampling = job.sampling;
  record.admit.cache_salt = job.cache_salt;
  record.admit.client = job.client;
  record.admit.time_limit_ns = job.time_limit_ns;
  record.edge = job.edge.node;
  record.edge_life = job.edge.incarnation;
  record.order = job.order;
  std::string bytes;
  encode(record, bytes);
  journal_->put({kJobRecord, id.value}, std::move(bytes), std::move(durable));
}

}  // namespace baton
