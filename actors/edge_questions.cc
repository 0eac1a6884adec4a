// SPDX-License-Identifier: Apache-2.0
// What clients ask about the cluster, which the coordinator answers, and about their jobs, which are here as long as they run.
#include <algorithm>
#include <iterator>
#include <utility>

#include "actors/edge.h"

namespace baton {
namespace {

constexpr std::size_t kQuestionsMax = 4096;
constexpr std::size_t kReasonBytesMax = 1024;

}  // namespace

// Silence is the client's time limit. A question that is asked again keeps its number, by which the coordinator knows it.
template <class Asked>
void Edge::ask_coordinator(Asked asked, Outbox& out) {
  if (!joined_) return;
  const auto known = std::find_if(questions_.begin(), questions_.end(),
                                  [&](const auto& each) { return each.second.tag == asked.tag && each.second.asker == out.sender(); });
  if (known == questions_.end() && questions_.size() >= kQuestionsMax) return;
  const std::uint64_t number = known != questions_.end() ? known->first : next_question_++;
  questions_[number] = {out.sender(), std::exchange(asked.tag, number)};
  out.send(coordinator_, asked);
}

template <class Report>
void Edge::pass_on(Report report, Outbox& out) {
  const auto it = questions_.find(report.tag);
  if (out.sender() != coordinator_ || it == questions_.end()) return;
  report.tag = it->second.tag;
  out.send(it->second.asker, report);
  questions_.erase(it);
}

void Edge::on(const StatusRequest& request, Outbox& out) { ask_coordinator(request, out); }
void Edge::on(const StatusReport& report, Outbox& out) { pass_on(report, out); }
void Edge::on(const FsckRequest& request, Outbox& out) { ask_coordinator(request, out); }
void Edge::on(const FsckReport& report, Outbox& out) { pass_on(report, out); }
void Edge::on(const EventsRequest& request, Outbox& out) { ask_coordinator(request, out); }
void Edge::on(const EventsReport& report, Outbox& out) { pass_on(report, out); }
void Edge::on(const TraceReport& report, Outbox& out) { pass_on(report, out); }
void Edge::on(const ClusterCommand& command, Outbox& out) { ask_coordinator(command, out); }
void Edge::on(const ClusterCommandDone& done, Outbox& out) { pass_on(done, out); }

void Edge::on(const TraceRequest& request, Outbox& out) {
  const auto it = by_id_.find(request.id);
  if (it == by_id_.end() && out.sender() != coordinator_) return ask_coordinator(request, out);
  TraceReport report;
  report.tag = request.tag;
  report.found = it != by_id_.end();
  if (report.found) report.timeline = timeline_of(requests_.at(it->second), out.now());
  out.send(out.sender(), report);
}

// ---- timelines -----------------------------------------------------------------------------------------------------

// A decode worker that says the first token again may be sooner heard than the prefill worker that knows how long it took.
void Edge::take_timing(Stream& stream, const TokenTiming& timing) {
  if (timing.index >= std::size(stream.timings) || stream.timings[timing.index]) return;
  stream.timings[timing.index] = timing;
  Request& request = requests_.at(stream.request);
  if (request.timed != stream.choice || timing.index >= stream.delivered.size()) return;
  (timing.index == 0 ? request.marks.prefill : request.marks.decode) = timing;
}

// Called when the token with that index is delivered. Of several choices the first to speak is timed.
void Edge::mark_token(const Stream& stream, Request& request, std::uint32_t index, Time now) {
  if (!request.timed) request.timed = stream.choice;
  if (index > 1 || *request.timed != stream.choice) return;
  JobMarks& marks = request.marks;
  (index == 0 ? marks.first : marks.second) = now;
  (index == 0 ? marks.prefill : marks.decode) = stream.timings[index];
}

JobTimeline Edge::timeline_of(const Request& request, Time now) const {
  const ClientDone& summary = request.summary;
  JobTimeline timeline = job_timeline(request.marks, summary.prefill_worker != summary.decode_worker, now);
  timeline.prompt_tokens = request.prompt_tokens;
  timeline.completion_tokens = summary.completion_tokens;
  for (const std::uint32_t choice : request.open)
    if (const auto stream = streams_.find(request.jobs[choice]); stream != streams_.end())
      timeline.completion_tokens += static_cast<std::uint32_t>(stream->second.delivered.size());
  timeline.attempts = request.attempts;
  // A prefill worker tells of its own with the first token; where it goes on to decode, the end counts them once more.
  const bool counted = !timeline.apart && request.preemptions > 0;
  timeline.preemptions = request.preemptions + (request.marks.prefill && !counted ? request.marks.prefill->preemptions : 0);
  return timeline;
}

// From here on the coordinator answers for it.
JobTimeline Edge::report_end(const Request& request, JobState state, FinishReason reason, const std::string& error, Outbox& out) {
  JobEnded ended{request.id, timeline_of(request, out.now())};
  ended.timeline.state = state;
  ended.timeline.reason = reason;
  ended.timeline.error = error.substr(0, kReasonBytesMax);
  out.send(coordinator_, ended);
  return ended.timeline;
}

}  // namespace baton
