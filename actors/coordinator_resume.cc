// SPDX-License-Identifier: Apache-2.0
// What becomes of a job whose worker is gone: it is resumed behind what its client has, or refused because workers die of it.
#include <algorithm>
#include <utility>

#include "actors/coordinator.h"

namespace baton {
namespace {

constexpr std::size_t kTokensPerMessage = 4096;  // a whole stream may be longer than one message can be

}  // namespace

// A worker died that had the job. Of many that were on it one may be the cause, so each of those that had not got on since they were
// placed is suspected once; only one that was alone among suspects there is blamed again.
void Coordinator::blame(Job& job) {
  if (job.emitted.count() > job.known) job.deaths = 0;
  else if (job.deaths == 0 || job.on_probation) ++job.deaths;
}

void Coordinator::end_probation(Job& job) {
  if (!std::exchange(job.on_probation, false)) return;
  probation_.erase(job.prefill);
  probation_.erase(job.decode);
}

// What others have broken once is made good whatever it costs. An attempt that brought tokens is not work done twice. What is lost again
// and again without any draws on the budget: a cluster whose workers keep failing must not spend itself on the same jobs.
bool Coordinator::may_be_tried_again(Job& job, Time now) {
  if (job.emitted.count() > job.known) job.losses = 0;
  return ++job.losses == 1 || retry_budget_.draw(now);
}

// The present attempt cannot go on.
void Coordinator::lose_attempt(JobId id, Job& job, const std::string& reason, Outbox& out) {
  withdraw(id, job, out);
  const bool wanted = options_.resume && job.deaths < options_.deaths_max;
  if (wanted && may_be_tried_again(job, out.now())) {
    ++retries_.again;
    out_of_retries_ = false;
    return resume(id, job, out);
  }
  ++retries_.given_up;
  if (wanted) return spare(id, job, reason, out);
  if (!options_.resume) return fail_job(id, job, ErrorCode::kWorkerLost, reason + " (lifecycle.on_worker_loss is fail)", out);
  ++retries_.quarantined;
  events_.note(EventKind::kQuarantined, "job " + to_hex(id.value), "workers died of it " + std::to_string(job.deaths) + " times; the last time: " + reason, out.now());
  fail_job(id, job, ErrorCode::kQuarantined, "workers died while they computed this request, " + std::to_string(job.deaths) + " times in a row; it is not tried again", out);
}

// Its next attempt is not made.
void Coordinator::spare(JobId id, Job& job, const std::string& reason, Outbox& out) {
  ++retries_.out_of_budget;
  const std::string spent = std::to_string(retry_budget_.drawn(out.now())) + " attempts were made again lately, and no more than " +
                            std::to_string(retry_budget_.most(out.now())) + " may be (a tenth of the jobs that were admitted)";
  if (!std::exchange(out_of_retries_, true)) events_.note(EventKind::kOutOfRetries, options_.cluster_name, spent + "; the last loss: " + reason, out.now());
  fail_job(id, job, ErrorCode::kRetriesExhausted, reason + "; that is " + std::to_string(job.losses) + " attempts in a row without a token, and " + spent + ": try again later", out);
}

void Coordinator::resume(JobId id, Job& job, Outbox& out) {
  end_probation(job);
  drop_move(job, out);
  stop_computing(job, false, out.now());
  timers_.cancel({Deadline::kDelivery, id.value});
  job.phase = Phase::kResuming;
  out.send(job.edge, ResumeQuery{id, next_epoch(job)});
}

// What both know is where the next attempt begins. The edge may have tokens that the dead worker's last batch brought to it alone, and
// may lack such that came here alone.
void Coordinator::on(const ResumePoint& point, Outbox& out) {
  const auto it = jobs_.find(point.job);
  if (it == jobs_.end() || it->second.phase != Phase::kResuming || it->second.edge != out.sender() || point.epoch != next_epoch(it->second)) return;
  Job& job = it->second;
  // Log-probabilities of the prompt come from whoever computes it, before the first token.
  if (point.prompt_due) {
    job.emitted.clear();
    enqueue(point.job, job);
    dispatch(out);
    return arm(out);
  }
  for (std::uint32_t i = 0; i < point.tokens.size(); ++i) {
    if (job.emitted.note({point.job, point.epoch, i, point.tokens[i]}, false)) continue;
    fail_job(point.job, job, ErrorCode::kCorrupt, "two attempts disagree about token " + std::to_string(i), out);
    forget_if_released(point.job);
    return;
  }
  const auto there = static_cast<std::uint32_t>(point.tokens.size());
  job.emitted.keep_complete(there);
  send_missing(point.job, job, there, out);
  enqueue(point.job, job);
  dispatch(out);
  arm(out);
}

void Coordinator::send_missing(JobId id, const Job& job, std::uint32_t from, Outbox& out) {
  TokenBatch batch;
  for (std::uint32_t i = from; i < job.emitted.count(); ++i) {
    if (!job.emitted.complete(i)) continue;
    batch.tokens.push_back(job.emitted.item(id, job.phase == Phase::kResuming ? next_epoch(job) : job.epoch, i));
    if (batch.tokens.size() == kTokensPerMessage) out.send(job.edge, std::exchange(batch, {}));
  }
  if (job.phase == Phase::kFinished) batch.finished.push_back(job.finish);
  if (!batch.tokens.empty() || !batch.finished.empty()) out.send(job.edge, batch);
}

// A worker or its link is gone whose last batch the edge may have missed. The coordinator has had the same batch, so it sends
// the stream itself; the edge drops what it knows. Should a position be missing here too, the job is resumed; likewise
// one that wants its prompt's log-probabilities, for the coordinator has never seen those.
void Coordinator::deliver_again(JobId id, Job& job, const std::string& reason, Outbox& out) {
  timers_.cancel({Deadline::kDelivery, id.value});
  if (job.emitted.count() < job.finish.tokens || !job.emitted.complete() || job.sampling.prompt_logprobs) return lose_attempt(id, job, reason, out);
  send_missing(id, job, 0, out);
  watch_delivery(id, out);
}

// A worker and an edge have lost their link, both are here. What was on its way between them may be lost; what the coordinator has never
// had is computed again.
void Coordinator::on(const RelayedBatch& relayed, Outbox& out) {
  const auto edge = edges_.find(relayed.edge.node);
  if (!from_member(out) || edge == edges_.end() || edge->second.actor != relayed.edge) return;
  const TokenBatch& batch = relayed.batch;
  if (!batch.tokens.empty() || !batch.finished.empty() || !batch.prompt.empty() || !batch.timings.empty()) {
    out.send(relayed.edge, batch);
    return;
  }
  const Member& member = workers_.at(out.sender().node);
  const std::string why = "worker " + member.hello.name + " cannot reach " + edge->second.card.name;
  const std::set<JobId> jobs = member.jobs;
  for (const JobId id : jobs) {
    Job& job = jobs_.at(id);
    if (job.edge != relayed.edge || (job.phase != Phase::kPlaced && job.phase != Phase::kFinished)) continue;
    if (job.sampling.prompt_logprobs) lose_attempt(id, job, why, out);
    else send_missing(id, job, 0, out);
  }
  dispatch(out);
  arm(out);
}

}  // namespace baton
