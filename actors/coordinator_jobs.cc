// SPDX-License-Identifier: Apache-2.0
// Jobs: their beginning, placement, ends.
#include <algorithm>
#include <utility>

#include "actors/coordinator.h"
#include "protocol/validate.h"
#include "runtime/base/check.h"

namespace baton {

void Coordinator::on(const AdmitJob& admit, Outbox& out) {
  const auto edge = edges_.find(out.sender().node);
  if (edge == edges_.end() || edge->second.actor != out.sender()) return;
  if (const auto known = jobs_.find(admit.job); known != jobs_.end()) {
    // Asked again after a coordinator that may have died between writing it down and saying so.
    if (known->second.edge == out.sender() && known->second.acknowledged) out.send(out.sender(), JobAdmitted{admit.job, known->second.sampling.seed});
    return;
  }
  if (const auto ok = admissible(admit); !ok) {
    out.send(out.sender(), JobFailed{admit.job, 0, ok.error().code, ok.error().message});
    return;
  }
  if (const auto refusal = crowded_out(admit)) return refuse(admit.job, *refusal, out);
  ++admission_.admitted;
  retry_budget_.admitted(out.now());
  Job job;
  job.order = next_order_++;
  job.edge = out.sender();
  job.prompt = admit.prompt;
  job.sampling = admit.sampling;
  job.cache_salt = admit.cache_salt;
  job.client = admit.client;
  job.time_limit_ns = admit.time_limit_ns;
  job.emitted = EmittedTokens(job.sampling.logprobs.has_value());
  if (!admit.seed_given) job.sampling.seed = out.random().next();
  edge->second.jobs.insert(admit.job);
  job.deadline = out.now() + time_limit(job.time_limit_ns);
  timers_.set({Deadline::kJob, admit.job.value}, job.deadline);
  Job& kept = jobs_.emplace(admit.job, std::move(job)).first->second;
  // It begins at once, and is promised once it is written down, or the disk has hung for so long that it is not waited for.
  if (journal_ == nullptr) {
    acknowledge(admit.job, true, out);
  } else {
    timers_.set({Deadline::kJournal, admit.job.value}, out.now() + options_.journal_time_limit);
    journal_job(admit.job, kept, [this, id = admit.job](bool ok, Outbox& later) { acknowledge(id, ok, later); });
  }
  enqueue(admit.job, kept);
  dispatch(out);
  arm(out);
}

Duration Coordinator::time_limit(std::uint64_t asked_ns) const {
  if (asked_ns == 0) return options_.request_time_limit;
  return std::min(options_.request_time_limit, Duration(static_cast<std::int64_t>(std::min<std::uint64_t>(asked_ns, INT64_MAX))));
}

// A journal that cannot be written costs the promise to outlive the coordinator, not the service.
void Coordinator::acknowledge(JobId id, bool ok, Outbox& out) {
  if (ok != journal_works_) {
    journal_works_ = ok;
    events_.note(ok ? EventKind::kRecovered : EventKind::kDegraded, "journal",
                 ok ? "it can be written again" : "it cannot be written, or hangs: jobs do not outlive the coordinator; see its log and its disk", out.now());
  }
  timers_.cancel({Deadline::kJournal, id.value});
  const auto it = jobs_.find(id);
  if (it == jobs_.end() || it->second.phase == Phase::kEnded || std::exchange(it->second.acknowledged, true)) return;
  out.send(it->second.edge, JobAdmitted{id, it->second.sampling.seed});
}

void Coordinator::enqueue(JobId id, Job& job) {
  job.phase = Phase::kQueued;
  queue_of(job)[job.order] = id;
  queued_tokens_ += job.prompt.size();
}

// Suspects first: they are few and wait for a worker without one.
void Coordinator::dispatch(Outbox& out) {
  const std::uint64_t placed = dispatch(suspects_, out) + dispatch(queue_, out);
  forecast_.dispatched(placed, queued_tokens_, out.now());
}

// Returns how many prompt tokens were placed. Who has no time left costs no prefill.
std::uint64_t Coordinator::dispatch(std::map<std::uint64_t, JobId>& queue, Outbox& out) {
  std::uint64_t placed = 0;
  while (!queue.empty()) {
    const JobId id = queue.begin()->second;
    Job& job = jobs_.at(id);
    const auto choice = choose(job);
    if (job.deadline <= out.now() || (choice && too_late(job, choice->prefill, out.now()))) {
      expire(id, job, out);
      continue;
    }
    if (!choice) break;
    queue.erase(queue.begin());
    queued_tokens_ -= job.prompt.size();
    placed += job.prompt.size();
    place(id, job, *choice, out);
  }
  return placed;
}

// Whoever has computed its prompt before has it in its cache, most likely.
std::optional<LeastLoaded::Choice> Coordinator::choose(const Job& job) const {
  if (job.moved_to != NodeId{} && placement_.has_room(job.moved_to)) return LeastLoaded::Choice{job.moved_to, job.moved_to};
  // Nobody is placed beside a suspect where there is another place, and no suspect beside another.
  const auto apart = placement_.choose(job.prefill, probation_);
  return apart || job.deaths > 0 || probation_.empty() ? apart : placement_.choose(job.prefill);
}

// Both halves are told in one turn, in one order for all workers: see the head of worker.h.
void Coordinator::place(JobId id, Job& job, const LeastLoaded::Choice& choice, Outbox& out) {
  const std::uint32_t left = job.sampling.max_tokens - std::min(job.sampling.max_tokens, job.emitted.count());
  job.epoch = next_epoch(job);
  job.phase = Phase::kPlaced;
  job.known = job.emitted.count();
  job.moved_to = {};
  job.prefill = choice.prefill;
  job.decode = left <= 1 ? choice.prefill : choice.decode;
  Member& prefill = workers_.at(job.prefill);
  Member& decode = workers_.at(job.decode);
  const bool apart = job.prefill != job.decode;
  if (job.deaths > 0) {
    job.on_probation = true;
    probation_.insert({job.prefill, job.decode});
  }
  SamplingParams sampling = job.sampling;
  if (job.known > 0) sampling.prompt_logprobs.reset();  // they were before the first token
  out.send(job.edge, JobPlaced{id, job.epoch, prefill.hello.name, decode.hello.name});
  out.send(prefill.actor, StartPrefill{id, job.epoch, job.edge, apart ? decode.actor : ActorRef{}, job.prompt, sampling, job.cache_salt, job.emitted.ids()});
  if (apart) out.send(decode.actor, StartDecode{id, job.epoch, job.edge, prefill.actor, job.prompt, sampling, job.cache_salt, job.emitted.ids()});
  const std::uint64_t to_compute = job.prompt.size() + job.known;
  const auto charge = [&](Member& member, NodeId node, std::uint64_t tokens) {
    placement_.assign(node, tokens);
    job.holders[{node, job.epoch}] = tokens;
    member.jobs.insert(id);
  };
  charge(prefill, job.prefill, apart ? to_compute : to_compute + left);
  job.computing = to_compute;
  forecast_.begin(job.prefill, to_compute, out.now());
  if (apart) charge(decode, job.decode, left);
}

// Tells everybody who still has the job to drop it, attempts up to now included. They answer with a release each.
void Coordinator::withdraw(JobId id, const Job& job, Outbox& out) {
  for (const auto& [holder, tokens] : job.holders) out.send(workers_.at(holder.first).actor, CancelJob{id, job.epoch});
}

void Coordinator::fail_job(JobId id, Job& job, ErrorCode code, const std::string& message, Outbox& out) {
  out.send(job.edge, JobFailed{id, job.epoch, code, message.substr(0, 2048)});
  end(id, job, out);
}

void Coordinator::end(JobId id, Job& job, Outbox& out) {
  if (job.phase == Phase::kQueued) {
    queue_of(job).erase(job.order);
    queued_tokens_ -= job.prompt.size();
  }
  end_probation(job);
  drop_move(job, out);
  stop_computing(job, false, out.now());
  job.phase = Phase::kEnded;
  job.recovery.reset();
  if (journal_ != nullptr) journal_->erase({kJobRecord, id.value});
  timers_.cancel({Deadline::kJob, id.value});
  timers_.cancel({Deadline::kDelivery, id.value});
  timers_.cancel({Deadline::kJournal, id.value});
  if (const auto edge = edges_.find(job.edge.node); edge != edges_.end() && edge->second.actor == job.edge) edge->second.jobs.erase(id);
}

void Coordinator::forget_if_released(JobId id) {
  const auto it = jobs_.find(id);
  if (it != jobs_.end() && it->second.phase == Phase::kEnded && it->second.holders.empty()) jobs_.erase(it);
}

void Coordinator::on(const CancelJob& cancel, Outbox& out) {
  const auto it = jobs_.find(cancel.job);
  if (it == jobs_.end() || it->second.phase == Phase::kEnded || it->second.edge != out.sender()) return;
  withdraw(cancel.job, it->second, out);
  end(cancel.job, it->second, out);
  forget_if_released(cancel.job);
  dispatch(out);
  arm(out);
}

void Coordinator::on(const JobFailed& failed, Outbox& out) {
  if (!from_member(out)) return;
  if (moves_.contains(failed.job)) end_move(failed.job, false, out);
  if (const auto it = jobs_.find(failed.job); it != jobs_.end() && it->second.recovery) forget_place(*it->second.recovery, out.sender().node);
  const auto it = jobs_.find(failed.job);
  if (it == jobs_.end() || it->second.phase != Phase::kPlaced || it->second.epoch != failed.epoch) return;
  withdraw(failed.job, it->second, out);
  fail_job(failed.job, it->second, failed.code, failed.message, out);
  forget_if_released(failed.job);
  arm(out);
}

void Coordinator::on(const TokenBatch& batch, Outbox& out) {
  if (!from_member(out)) return;
  take_batch(batch, out.sender().node, out);
  note_drained(out.sender().node, out);
  dispatch(out);
  arm(out);
}

void Coordinator::take_token(const TokenItem& item, Outbox& out) {
  const auto it = jobs_.find(item.job);
  if (it == jobs_.end()) return;
  Job& job = it->second;
  // One that is being recovered goes on at its worker meanwhile; whichever attempt it is, its tokens are the same.
  const bool wanted = job.recovery || (job.epoch == item.epoch && job.phase == Phase::kPlaced);
  if (!wanted) return;
  if (job.emitted.note(item)) {
    if (job.emitted.count() > job.known) stop_computing(job, true, out.now());
    if (job.deaths == 0 || job.emitted.count() <= job.known) return;
    job.deaths = 0;  // it can be computed
    return end_probation(job);
  }
  withdraw(item.job, job, out);
  fail_job(item.job, job, ErrorCode::kCorrupt, "two attempts disagree about token " + std::to_string(item.index), out);
  forget_if_released(item.job);
}

void Coordinator::take_batch(const TokenBatch& batch, NodeId worker, Outbox& out) {
  for (const TokenItem& item : batch.tokens) take_token(item, out);
  for (const JobFinish& finish : batch.finished) take_finish(finish, worker, out);
  if (workers_.contains(worker)) forecast_.answered(worker, out.now());
  for (const JobRelease& release : batch.released) released(release, worker, out.now());
}

void Coordinator::take_finish(const JobFinish& finish, NodeId worker, Outbox& out) {
  const auto it = jobs_.find(finish.job);
  if (it == jobs_.end()) return;
  Job& job = it->second;
  if (job.recovery) {
    job.recovery->finished = true;
    forget_place(*job.recovery, worker);
    return settle(finish.job, job, out);
  }
  if (job.epoch != finish.epoch || job.phase != Phase::kPlaced) return;
  // A prefill worker whose first token was the last: the decode half must let go of its blocks.
  for (const auto& [holder, tokens] : job.holders)
    if (holder.first != worker) out.send(workers_.at(holder.first).actor, CancelJob{finish.job, finish.epoch});
  end_probation(job);
  drop_move(job, out);
  stop_computing(job, true, out.now());
  job.phase = Phase::kFinished;
  job.finish = finish;
  watch_delivery(finish.job, out);
}

// An edge that has everything closes the job at once. One that does not may have lost its link to the worker.
void Coordinator::watch_delivery(JobId id, Outbox& out) {
  timers_.set({Deadline::kDelivery, id.value}, out.now() + 2 * options_.heartbeat_miss * options_.heartbeat_interval);
}

void Coordinator::on(const JobClosed& closed, Outbox& out) {
  const auto it = jobs_.find(closed.job);
  if (it == jobs_.end() || it->second.phase == Phase::kEnded || it->second.edge != out.sender()) return;
  if (it->second.phase != Phase::kFinished) withdraw(closed.job, it->second, out);
  end(closed.job, it->second, out);
  forget_if_released(closed.job);
  dispatch(out);
  arm(out);
}

void Coordinator::released(const JobRelease& release, NodeId worker, Time now) {
  const auto it = jobs_.find(release.job);
  if (it == jobs_.end()) return;
  auto& holders = it->second.holders;
  const auto holder = holders.find({worker, release.epoch});
  if (holder == holders.end()) return;
  if (worker == it->second.prefill && release.epoch == it->second.epoch) stop_computing(it->second, false, now);
  placement_.unassign(worker, holder->second);
  holders.erase(holder);
  if (holders.lower_bound({worker, 0}) == holders.upper_bound({worker, UINT32_MAX})) workers_.at(worker).jobs.erase(release.job);
  forget_if_released(release.job);
}

}  // namespace baton
