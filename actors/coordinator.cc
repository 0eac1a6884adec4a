// SPDX-License-Identifier: Apache-2.0
// Members: who is in and who is lost. Jobs are in coordinator_jobs.cc, what users ask in coordinator_questions.cc.
#include "actors/coordinator.h"

#include <algorithm>

namespace baton {
namespace {

constexpr std::size_t kCardsPerMessage = 64;
constexpr std::size_t kTrafficPeersMax = 4096;

}  // namespace

// The first worker sets what all must share; a worker that differs would return other tokens under a success status.
Result<void> Coordinator::compatible(const WorkerHello& hello) const {
  if (hello.protocol_max < kProtocolMin || hello.protocol_min > kProtocolMax)
    return fail(ErrorCode::kIncompatible, "it speaks protocol " + std::to_string(hello.protocol_min) + " to " +
                                              std::to_string(hello.protocol_max) + ", this coordinator " + std::to_string(kProtocolMin) +
                                              " to " + std::to_string(kProtocolMax) + ": run the same version of baton on all nodes");
  const std::uint64_t model_hash = options_.model_hash != 0 ? options_.model_hash : model_.model_hash;
  if (model_hash != 0 && hello.model_hash != model_hash)
    return fail(ErrorCode::kIncompatible, "its model '" + hello.model_name + "' has hash " + to_hex(hello.model_hash) + ", the cluster's has " +
                                              to_hex(model_hash) + ": give every node the same model file");
  if (model_.vocab_size == 0) return {};
  if (!(hello.geometry == model_.geometry))
    return fail(ErrorCode::kIncompatible, "its KV geometry (layers " + std::to_string(hello.geometry.layers) + ", block of " +
                                              std::to_string(hello.geometry.block_tokens) + " tokens, " +
                                              std::string(to_string(hello.geometry.dtype)) + ") is not the cluster's");
  if (hello.numerics_fingerprint != model_.numerics_fingerprint)
    return fail(ErrorCode::kIncompatible, "its numerics differ (fingerprint " + to_hex(hello.numerics_fingerprint) + ", the cluster's " +
                                              to_hex(model_.numerics_fingerprint) + "): set the same `numerics` everywhere");
  if (hello.max_model_len != model_.max_model_len)
    return fail(ErrorCode::kIncompatible, "its max_model_len is " + std::to_string(hello.max_model_len) + ", the cluster's " +
                                              std::to_string(model_.max_model_len));
  return {};
}

JoinAccepted Coordinator::join_accepted() const {
  return {kProtocolMax, static_cast<std::uint64_t>(options_.heartbeat_interval.count()), options_.heartbeat_miss};
}

void Coordinator::on(const WorkerHello& hello, Outbox& out) {
  const ActorRef actor = out.sender();
  const auto known = workers_.find(actor.node);
  if (known != workers_.end()) {
    if (known->second.actor == actor) {
      // It has not heard of us for a while. It is as good as a heartbeat.
      out.send(actor, join_accepted());
      timers_.set({Deadline::kWorker, actor.node.value}, out.now() + options_.heartbeat_miss * options_.heartbeat_interval);
      return;
    }
    lose_worker(actor.node, Loss::kDied, "it was started again", out);
  }
  if (const auto ok = compatible(hello); !ok) {
    out.send(actor, JoinRefused{ok.error().code, ok.error().message});
    events_.note(EventKind::kRefused, hello.name, ok.error().message, out.now());
    return;
  }
  if (model_.vocab_size == 0) model_ = hello;
  Member member;
  member.actor = actor;
  member.hello = hello;
  member.last.blocks_free = hello.blocks_total;
  out.introduce(actor.node, hello.control_address);
  out.send(actor, join_accepted());
  workers_[actor.node] = std::move(member);
  events_.note(EventKind::kJoined, hello.name, "worker, pool " + hello.pool + ", pid " + std::to_string(hello.pid), out.now());
  // Twice what runs at once: enough that a worker never starves while the coordinator hears of a free place.
  placement_.add(actor.node, hello.role, 2 * std::max(hello.max_num_seqs, 1u));
  forecast_.add(actor.node, hello.max_num_batched_tokens);
  follow_worker(actor.node);
  if (const auto role = roles_.find(hello.name); role != roles_.end()) change_role(actor.node, role->second, out);
  welcome({actor, hello.name, hello.control_address, hello.data_address}, actor, out);
  timers_.set({Deadline::kWorker, actor.node.value}, out.now() + options_.heartbeat_miss * options_.heartbeat_interval);
  timers_.set({Deadline::kPulse, 0}, out.now() + options_.heartbeat_interval);
  dispatch(out);
  arm(out);
}

void Coordinator::on(const EdgeHello& hello, Outbox& out) {
  const ActorRef actor = out.sender();
  const auto known = edges_.find(actor.node);
  if (known != edges_.end()) {
    if (known->second.actor == actor) return;
    lose_edge(actor.node, "it was started again", out);
  }
  if (hello.protocol_max < kProtocolMin || hello.protocol_min > kProtocolMax) {
    out.send(actor, JoinRefused{ErrorCode::kIncompatible, "no common protocol version: run the same version of baton on all nodes"});
    events_.note(EventKind::kRefused, hello.name, "no common protocol version", out.now());
    return;
  }
  out.introduce(actor.node, hello.control_address);
  out.send(actor, join_accepted());
  const PeerCard card{actor, hello.name, hello.control_address, {}};
  edges_[actor.node] = Edge{actor, card, {}};
  events_.note(EventKind::kJoined, hello.name, "edge", out.now());
  welcome(card, actor, out);
  claim_jobs(actor, out);
  dispatch(out);
  arm(out);
}

// Tells the members of the newcomer and the newcomer of the members.
void Coordinator::welcome(const PeerCard& card, const ActorRef& actor, Outbox& out) {
  std::vector<PeerCard> others;
  const PeersJoined newcomer{{card}};
  for (const auto& [node, member] : workers_) {
    if (member.actor == actor) continue;
    others.push_back({member.actor, member.hello.name, member.hello.control_address, member.hello.data_address});
    out.send(member.actor, newcomer);
  }
  for (const auto& [node, edge] : edges_) {
    if (edge.actor == actor) continue;
    others.push_back(edge.card);
    out.send(edge.actor, newcomer);
  }
  // In several messages: a card may be large, and a message may not.
  for (std::size_t first = 0; first < others.size(); first += kCardsPerMessage) {
    const auto begin = others.begin() + static_cast<std::ptrdiff_t>(first);
    out.send(actor, PeersJoined{{begin, begin + static_cast<std::ptrdiff_t>(std::min(kCardsPerMessage, others.size() - first))}});
  }
}

void Coordinator::broadcast_left(const ActorRef& actor, const std::string& reason, Outbox& out) {
  const PeerLeft left{actor, reason.substr(0, 1024)};
  for (const auto& [node, member] : workers_) out.send(member.actor, left);
  for (const auto& [node, edge] : edges_) out.send(edge.actor, left);
}

void Coordinator::lose_worker(NodeId node, Loss loss, const std::string& reason, Outbox& out) {
  const auto it = workers_.find(node);
  if (it == workers_.end()) return;
  const Member lost = std::move(it->second);
  workers_.erase(it);
  placement_.remove(node);
  forecast_.remove(node);
  timers_.cancel({Deadline::kWorker, node.value});
  out.fence(node, lost.actor.incarnation);
  broadcast_left(lost.actor, reason, out);  // before anything is placed anew
  events_.note(lost.leaving && lost.jobs.empty() ? EventKind::kLeft : EventKind::kLost, lost.hello.name, reason, out.now());
  const Retries before = retries_;
  for (const JobId id : lost.jobs) {
    Job& job = jobs_.at(id);
    if (loss == Loss::kDied && job.phase == Phase::kPlaced && job.holders.contains({node, job.epoch})) blame(job);
    if (job.prefill == node) job.computing = 0;  // the forecast has forgotten it with the worker
    std::erase_if(job.holders, [node](const auto& holder) { return holder.first.first == node; });
    if (job.recovery) forget_place(*job.recovery, node);
    // A decode half whose prefill half is lost goes on by itself: it computes what it did not get. But not what its prefill half may
    // have died of, or each attempt would cost two workers.
    if (job.phase == Phase::kPlaced && (job.decode == node || job.deaths > 0)) lose_attempt(id, job, "worker " + lost.hello.name + " was lost: " + reason, out);
    forget_if_released(id);
  }
  // What it had finished may not have reached the edge, even where it holds nothing any more.
  std::vector<JobId> finished;
  for (const auto& [id, job] : jobs_)
    if (job.phase == Phase::kFinished && (job.decode == node || job.prefill == node)) finished.push_back(id);
  for (const JobId id : finished) {
    deliver_again(id, jobs_.at(id), reason, out);
    forget_if_released(id);
  }
  for (auto& [id, fsck] : fscks_) fsck.missing.erase(node);
  for (const Asker& asker : lost.drainers)
    out.send(asker.edge, ClusterCommandDone{asker.tag, false, ErrorCode::kWorkerLost, lost.hello.name + " was lost before it was drained: " + reason});
  std::vector<JobId> fetches;
  for (const auto& [fetch, move] : moves_)
    if (move.from == node || move.to == node) fetches.push_back(fetch);
  for (const JobId fetch : fetches) {
    const Move move = moves_.at(fetch);
    drop_move(jobs_.at(move.job), out);
    move_jobs(move.from, out);
  }
  note_retries(before, lost.hello.name, out);
  dispatch(out);
}

// One event for all jobs of a loss: what happened to a thousand jobs must not push out what happened to the cluster.
void Coordinator::note_retries(const Retries& before, const std::string& subject, Outbox& out) {
  const std::uint64_t again = retries_.again - before.again;
  const std::uint64_t given_up = retries_.given_up - before.given_up;
  if (again + given_up == 0) return;
  const auto jobs = [](std::uint64_t count) { return std::to_string(count) + (count == 1 ? " job" : " jobs"); };
  events_.note(EventKind::kRedispatched, subject, jobs(again) + " placed again" + (given_up == 0 ? "" : ", " + jobs(given_up) + " given up"), out.now());
}

void Coordinator::lose_edge(NodeId node, const std::string& reason, Outbox& out) {
  const auto it = edges_.find(node);
  if (it == edges_.end()) return;
  const Edge lost = std::move(it->second);
  edges_.erase(it);
  out.fence(node, lost.actor.incarnation);
  broadcast_left(lost.actor, reason, out);
  events_.note(EventKind::kLeft, lost.card.name, reason + (lost.jobs.empty() ? "" : "; " + std::to_string(lost.jobs.size()) + " jobs with it"), out.now());
  for (const JobId id : lost.jobs) {
    Job& job = jobs_.at(id);
    withdraw(id, job, out);
    end(id, job, out);
    forget_if_released(id);
  }
  dispatch(out);
}

void Coordinator::on(const LinkDown& down, Outbox& out) {
  if (const auto worker = workers_.find(down.node); worker != workers_.end() && worker->second.actor.incarnation == down.incarnation)
    lose_worker(down.node, down.how == LinkEnd::kReplaced ? Loss::kDied : Loss::kSilent, down.reason, out);
  if (const auto edge = edges_.find(down.node); edge != edges_.end() && edge->second.actor.incarnation == down.incarnation)
    lose_edge(down.node, down.reason, out);
  arm(out);
}

bool Coordinator::from_member(const Outbox& out) const {
  const auto it = workers_.find(out.sender().node);
  return it != workers_.end() && it->second.actor == out.sender();
}

void Coordinator::on(const Heartbeat& beat, Outbox& out) {
  if (!from_member(out)) return;
  Member& member = workers_.at(out.sender().node);
  for (const LinkTraffic& link : beat.traffic)
    if (member.traffic.contains(link.peer) || member.traffic.size() < kTrafficPeersMax) member.traffic[link.peer] = link;
  const Duration since = out.now() - member.beat_at;
  if (member.beat_at != Time{} && since > Duration{0}) {
    const std::uint64_t tokens = beat.prompt_tokens_computed - std::min(beat.prompt_tokens_computed, member.last.prompt_tokens_computed);
    const auto speed = static_cast<std::uint64_t>(static_cast<unsigned __int128>(tokens) * 1'000'000'000 / static_cast<std::uint64_t>(since.count()));
    prefill_speed_ = std::max(speed, prefill_speed_ - prefill_speed_ / 1024);
  }
  member.beat_at = out.now();
  member.last = beat;
  member.last.traffic.clear();
  timers_.set({Deadline::kWorker, out.sender().node.value}, out.now() + options_.heartbeat_miss * options_.heartbeat_interval);
  out.send(out.sender(), HeartbeatAck{});
  if (member.state == WorkerState::kDraining) move_jobs(out.sender().node, out);
  arm(out);
}

void Coordinator::arm(Outbox& out) {
  if (const Time next = timers_.next(); next != kNever) out.wake_at(next);
}

void Coordinator::tick(Outbox& out) {
  // If we ourselves were stopped for a while, silence proves nothing about the workers: their heartbeats may lie unread. Some timer is due
  // in every interval (kPulse), so that any such while is seen.
  const Duration patience = options_.heartbeat_miss * options_.heartbeat_interval;
  if (const Time due = timers_.next(); due != kNever && out.now() - due > std::max(options_.heartbeat_interval, patience / 4))
    for (const auto& [node, member] : workers_) timers_.set({Deadline::kWorker, node.value}, out.now() + patience);
  while (const auto due = timers_.pop_due(out.now())) {
    const auto [kind, id] = *due;
    if (kind == Deadline::kPulse) {
      if (!workers_.empty()) timers_.set({Deadline::kPulse, 0}, out.now() + options_.heartbeat_interval);
    } else if (kind == Deadline::kWorker) {
      lose_worker(NodeId{id}, Loss::kSilent, "no heartbeat for " + std::to_string(options_.heartbeat_miss) + " intervals", out);
    } else if (kind == Deadline::kFsck) {
      answer_fsck(id, out);
    } else if (kind == Deadline::kTrace) {
      answer_trace(id, {}, out);
    } else if (kind == Deadline::kJournal) {
      acknowledge(JobId{id}, false, out);
    } else if (kind == Deadline::kRecovery) {
      end_recovery(id, out);
    } else if (kind == Deadline::kOverload) {
      end_overload(out);
    } else if (kind == Deadline::kMove) {
      end_move(JobId{id}, false, out);
    } else if (kind == Deadline::kDelivery) {
      const Retries before = retries_;
      deliver_again(JobId{id}, jobs_.at(JobId{id}), "the edge did not hear its end", out);
      note_retries(before, "job " + to_hex(id), out);
      forget_if_released(JobId{id});
    } else if (const auto job = jobs_.find(JobId{id}); job != jobs_.end() && job->second.phase != Phase::kEnded) {
      expire(job->first, job->second, out);
    }
  }
  dispatch(out);
  arm(out);
}

std::vector<std::string> Coordinator::check_integrity() const {
  std::vector<std::string> problems;
  const auto name = [](JobId id) { return "job " + to_hex(id.value); };
  std::uint64_t queued_tokens = 0;
  for (const auto& [id, job] : jobs_) {
    const bool queued = queue_.contains(job.order) || suspects_.contains(job.order);
    if (job.on_probation && (job.phase != Phase::kPlaced || !probation_.contains(job.prefill))) problems.push_back(name(id) + " is on probation and not placed");
    if (job.fetch != JobId{} && (job.phase != Phase::kPlaced || !moves_.contains(job.fetch))) problems.push_back(name(id) + " moves and is not placed");
    if (queued != (job.phase == Phase::kQueued)) problems.push_back(name(id) + " is queued and placed at once, or neither");
    if (queued) queued_tokens += job.prompt.size();
    if (job.computing > 0 && (job.phase != Phase::kPlaced || !job.holders.contains({job.prefill, job.epoch}))) problems.push_back(name(id) + " is counted as a prompt that nobody computes");
    if (job.phase == Phase::kEnded && job.holders.empty()) problems.push_back(name(id) + " has ended and nobody holds it, yet it is kept");
    for (const auto& [holder, tokens] : job.holders)
      if (!workers_.contains(holder.first) || !workers_.at(holder.first).jobs.contains(id)) problems.push_back(name(id) + " is held by a worker that does not know it");
    if (job.recovery.has_value() != (job.phase == Phase::kRecovering)) problems.push_back(name(id) + " is being recovered and is not, at once");
    if (job.phase != Phase::kEnded && !job.recovery && (!edges_.contains(job.edge.node) || !edges_.at(job.edge.node).jobs.contains(id)))
      problems.push_back(name(id) + " belongs to no edge");
    if (job.phase != Phase::kEnded && !timers_.contains({Deadline::kJob, id.value})) problems.push_back(name(id) + " has no deadline");
  }
  for (const auto& [node, member] : workers_)
    for (const JobId id : member.jobs)
      if (!jobs_.contains(id) || jobs_.at(id).holders.lower_bound({node, 0}) == jobs_.at(id).holders.upper_bound({node, UINT32_MAX})) problems.push_back(name(id) + " is listed at worker " + member.hello.name + " only");
  if (queued_tokens != queued_tokens_) problems.push_back("the count of queued tokens is off");
  return problems;
}

}  // namespace baton
