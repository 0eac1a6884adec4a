// SPDX-License-Identifier: Apache-2.0
// Admission: who gets in, and who has waited for too long. A refusal is cheap and early and says when to come again; whatever has been
// admitted is computed unless its own time is up.
#include <algorithm>
#include <utility>

#include "actors/coordinator.h"
#include "protocol/validate.h"

namespace baton {
namespace {

// "12.3 s"
std::string seconds_of(Duration duration) {
  const auto tenths = duration.count() / 100'000'000;
  return std::to_string(tenths / 10) + '.' + std::to_string(tenths % 10) + " s";
}

std::string come_again(Duration wait) { return wait == Duration{} ? ": try again later" : ": try again in " + seconds_of(wait); }

}  // namespace

Result<void> Coordinator::admissible(const AdmitJob& job) const {
  if (draining_) return fail(ErrorCode::kUnavailable, "the cluster is being stopped");
  RETURN_IF_ERROR(validate(job.sampling));
  if (job.prompt.empty()) return fail(ErrorCode::kInvalidArgument, "the prompt is empty");
  if (model_.vocab_size == 0) return {};  // no worker yet: the workers check again
  RETURN_IF_ERROR(validate_ids(job.sampling, model_.vocab_size));
  const std::uint64_t tokens = job.prompt.size() + std::uint64_t{job.sampling.max_tokens};
  if (tokens > model_.max_model_len)
    return fail(ErrorCode::kInvalidArgument, "the prompt has " + std::to_string(job.prompt.size()) + " tokens; with max_tokens " +
                                                 std::to_string(job.sampling.max_tokens) + " that is more than the context of " +
                                                 std::to_string(model_.max_model_len) + ": lower max_tokens or shorten the prompt");
  return {};
}

// Beyond the queue's bounds, or so far back in it that it would be served too late to be of use.
std::optional<Coordinator::Refusal> Coordinator::crowded_out(const AdmitJob& job) const {
  const auto forecast = forecast_.predict(job.prompt.size());
  const Duration wait = forecast ? forecast->wait : Duration{};
  if (const auto waiting = queue_.size() + suspects_.size(); waiting >= options_.jobs_max)
    return Refusal{&AdmissionStatus::refused_full, ErrorCode::kResourceExhausted,
                   std::to_string(waiting) + " jobs are waiting, the limit (scheduling.max_num_queued_reqs)" + come_again(wait), wait};
  if (queued_tokens_ > 0 && queued_tokens_ + job.prompt.size() > options_.queued_tokens_max)
    return Refusal{&AdmissionStatus::refused_full, ErrorCode::kResourceExhausted,
                   std::to_string(queued_tokens_) + " tokens are waiting, near the limit (scheduling.max_num_queued_tokens)" + come_again(wait), wait};
  if (!forecast) return std::nullopt;
  std::string why;
  if (const Duration own = time_limit(job.time_limit_ns); misses(*forecast, ttft_share(own))) why = "the time limit of the whole job is " + seconds_of(own);
  if (options_.ttft_limit > Duration{} && misses(*forecast, options_.ttft_limit)) why = "the limit is " + seconds_of(options_.ttft_limit) + " (scheduling.max_predicted_ttft)";
  if (why.empty()) return std::nullopt;
  return Refusal{&AdmissionStatus::refused_predicted, ErrorCode::kOverloaded,
                 "the first token would come in about " + seconds_of(forecast->ttft) + "; " + why + come_again(wait), wait};
}

void Coordinator::refuse(JobId id, const Refusal& refusal, Outbox& out) {
  note_overload("jobs are refused: " + refusal.message, out);
  ++(admission_.*refusal.counter);
  out.send(out.sender(), JobFailed{id, 0, refusal.code, refusal.message, static_cast<std::uint64_t>(refusal.retry_after.count())});
  arm(out);
}

// Its time would pass before its first token, behind what that worker has; whoever has tokens already goes on with the rest.
bool Coordinator::too_late(const Job& job, NodeId prefill, Time now) const {
  if (job.emitted.count() > 0) return false;
  const auto forecast = forecast_.predict_at(prefill, job.prompt.size());
  return forecast && misses(*forecast, job.deadline - now);
}

// Its time is up, or would be.
void Coordinator::expire(JobId id, Job& job, Outbox& out) {
  withdraw(id, job, out);
  if (job.phase != Phase::kQueued || job.emitted.count() > 0) {
    fail_job(id, job, ErrorCode::kDeadlineExceeded, "the job was not finished within its time limit", out);
  } else {
    note_overload("jobs run out of time before a worker has room for them", out);
    ++admission_.expired;
    fail_job(id, job, ErrorCode::kDeadlineExceeded,
             "the job's time limit of " + seconds_of(time_limit(job.time_limit_ns)) + " left no time for it when it had waited for a worker; nothing of it was computed", out);
  }
  forget_if_released(id);
}

// One event when it begins and one when it is over: a thousand refusals must not push out what happened to the cluster.
void Coordinator::note_overload(const std::string& what, Outbox& out) {
  if (!overload_) {
    overload_ = Overload{out.now(), admission_};
    events_.note(EventKind::kOverloaded, options_.cluster_name, what, out.now());
  }
  timers_.set({Deadline::kOverload, 0}, out.now() + options_.overload_calm);
}

void Coordinator::end_overload(Outbox& out) {
  const Overload over = *std::exchange(overload_, std::nullopt);
  const auto more = [&](std::uint64_t AdmissionStatus::*counter) { return std::to_string(admission_.*counter - over.before.*counter); };
  events_.note(EventKind::kRelieved, options_.cluster_name,
               "in " + seconds_of(out.now() - over.since - options_.overload_calm) + " " + more(&AdmissionStatus::admitted) + " jobs were admitted, " +
                   more(&AdmissionStatus::refused_predicted) + " refused because their first token would have come too late, " +
                   more(&AdmissionStatus::refused_full) + " because the queue was full, " + more(&AdmissionStatus::expired) + " ran out of time in it",
               out.now());
}

AdmissionStatus Coordinator::admission() const {
  AdmissionStatus status = admission_;
  status.resumed = retries_.again;
  status.out_of_retries = retries_.out_of_budget;
  status.queued = static_cast<std::uint32_t>(queue_.size() + suspects_.size());
  status.queued_tokens = queued_tokens_;
  if (const auto forecast = forecast_.predict(1)) status.wait_ns = static_cast<std::uint64_t>(forecast->wait.count());
  return status;
}

// The forecast's account of its prompt is closed: the first token is here, or this attempt brings none.
void Coordinator::stop_computing(Job& job, bool computed, Time now) {
  if (const std::uint64_t tokens = std::exchange(job.computing, 0); tokens > 0) forecast_.end(job.prefill, tokens, computed, now);
}

// Its role or state has changed.
void Coordinator::follow_worker(NodeId node) {
  const Member& member = workers_.at(node);
  forecast_.set_open(node, member.state == WorkerState::kReady && member.hello.role != Role::kDecode);
}

}  // namespace baton
