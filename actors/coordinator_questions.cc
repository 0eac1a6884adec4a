// SPDX-License-Identifier: Apache-2.0
// What users ask about the cluster and its jobs.
#include <algorithm>
#include <utility>

#include "actors/coordinator.h"

namespace baton {
namespace {

constexpr std::size_t kProblemsMax = 64;
constexpr std::size_t kTracesMax = 4096;
constexpr std::size_t kTrafficPairsMax = 8192;  // in a report: a message has a limit

}  // namespace

void Coordinator::on(const StatusRequest& request, Outbox& out) {
  StatusReport report;
  report.tag = request.tag;
  report.name = options_.cluster_name;
  report.coordinator_pid = options_.pid;
  report.model_name = model_.model_name;
  report.max_model_len = model_.max_model_len;
  report.block_tokens = model_.geometry.block_tokens;
  report.jobs = static_cast<std::uint32_t>(std::count_if(jobs_.begin(), jobs_.end(), [](const auto& job) { return job.second.phase != Phase::kEnded; }));
  report.admission = admission();
  std::size_t pairs = 0;
  for (const auto& [node, member] : workers_) {
    WorkerStatus status{member.hello.name, member.hello.pool, member.hello.role, member.state, member.hello.pid, member.last, member.hello.blocks_total, {}};
    for (const auto& [peer, link] : member.traffic)
      if (request.traffic && ++pairs <= kTrafficPairsMax) status.traffic.push_back(link);
    report.workers.push_back(std::move(status));
  }
  report.traffic_left_out = static_cast<std::uint32_t>(pairs - std::min(pairs, kTrafficPairsMax));
  std::sort(report.workers.begin(), report.workers.end(), [](const WorkerStatus& a, const WorkerStatus& b) { return a.name < b.name; });
  out.send(out.sender(), report);
}

void Coordinator::on(const FsckRequest& request, Outbox& out) {
  const std::uint64_t id = next_fsck_++;
  Fsck& fsck = fscks_[id];
  fsck.asker = out.sender();
  fsck.report.tag = request.tag;
  for (const auto& [node, member] : workers_) {
    fsck.missing.insert(node);
    out.send(member.actor, FsckRequest{id});
  }
  FsckAccount own;
  own.worker = "coordinator";
  own.problems = check_integrity();
  if (own.problems.size() > kProblemsMax) own.problems.resize(kProblemsMax);
  own.sequences = static_cast<std::uint32_t>(jobs_.size());
  fsck.report.accounts.push_back(std::move(own));
  timers_.set({Deadline::kFsck, id}, out.now() + std::chrono::seconds(2));
  if (fsck.missing.empty()) answer_fsck(id, out);
  arm(out);
}

void Coordinator::on(const FsckReport& report, Outbox& out) {
  const auto it = fscks_.find(report.tag);
  if (!from_member(out) || it == fscks_.end() || it->second.missing.erase(out.sender().node) == 0) return;
  for (const FsckAccount& account : report.accounts) it->second.report.accounts.push_back(account);
  if (it->second.missing.empty()) answer_fsck(report.tag, out);
}

void Coordinator::answer_fsck(std::uint64_t id, Outbox& out) {
  const auto it = fscks_.find(id);
  if (it == fscks_.end()) return;
  it->second.report.complete = it->second.missing.empty();
  out.send(it->second.asker, it->second.report);
  timers_.cancel({Deadline::kFsck, id});
  fscks_.erase(it);
}

void Coordinator::start(Time now) { events_.note(EventKind::kStarted, options_.cluster_name, "coordinator, pid " + std::to_string(options_.pid), now); }

void Coordinator::drain(Time now) {
  if (!std::exchange(draining_, true)) events_.note(EventKind::kDraining, options_.cluster_name, "being stopped: no job is admitted any more, " + std::to_string(jobs_.size()) + " go on", now);
}

void Coordinator::on(const EventsRequest& request, Outbox& out) {
  EventsReport report = events_.report(request.after, out.now());
  report.tag = request.tag;
  report.life = out.self().incarnation.value;
  out.send(out.sender(), report);
}

// ---- timelines -----------------------------------------------------------------------------------------------------

bool Coordinator::from_edge(const Outbox& out) const {
  const auto it = edges_.find(out.sender().node);
  return it != edges_.end() && it->second.actor == out.sender();
}

void Coordinator::on(const JobEnded& ended, Outbox& out) {
  if (from_edge(out)) ended_.note(ended);
}

// A job that goes on is known, by its client's name, to its edge alone.
void Coordinator::on(const TraceRequest& request, Outbox& out) {
  if (!from_edge(out) || traces_.size() >= kTracesMax) return;
  if (const JobTimeline* timeline = ended_.find(request.id)) {
    out.send(out.sender(), TraceReport{request.tag, true, *timeline});
    return;
  }
  const std::uint64_t id = next_trace_++;
  Trace& trace = traces_[id];
  trace.asker = out.sender();
  trace.tag = request.tag;
  for (const auto& [node, edge] : edges_) {
    if (edge.actor == out.sender()) continue;
    trace.missing.insert(node);
    out.send(edge.actor, TraceRequest{id, request.id});
  }
  timers_.set({Deadline::kTrace, id}, out.now() + std::chrono::seconds(2));
  if (trace.missing.empty()) answer_trace(id, {}, out);
  arm(out);
}

void Coordinator::on(const TraceReport& report, Outbox& out) {
  const auto it = traces_.find(report.tag);
  if (!from_edge(out) || it == traces_.end() || it->second.missing.erase(out.sender().node) == 0) return;
  if (report.found || it->second.missing.empty()) answer_trace(report.tag, report, out);
}

void Coordinator::answer_trace(std::uint64_t id, TraceReport report, Outbox& out) {
  const auto it = traces_.find(id);
  if (it == traces_.end()) return;
  report.tag = it->second.tag;
  out.send(it->second.asker, report);
  timers_.cancel({Deadline::kTrace, id});
  traces_.erase(it);
}

}  // namespace baton
