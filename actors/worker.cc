// SPDX-License-Identifier: Apache-2.0
// Membership and liveness of a worker. The rest of the class is in worker_steps.cc, worker_blocks.cc and worker_kv.cc.
#include "actors/worker.h"

#include <algorithm>
#include <utility>

#include "runtime/base/check.h"

namespace baton {

Worker::Worker(WorkerOptions options, const EngineInfo& engine_info, EnginePort& engine, DataPlane& plane, ProcessControl& process)
    : options_(std::move(options)),
      info_(engine_info),
      engine_(engine),
      plane_(plane),
      process_(process),
      coordinator_{options_.coordinator_node, {}, 0, 0},
      role_(options_.role),
      blocks_(options_.blocks_total, info_.geometry.block_tokens, options_.prefix_hash_mask) {}

void Worker::start(Outbox& out) {
  out.introduce(options_.coordinator_node, options_.coordinator_address);
  say_hello(out);
}

void Worker::say_hello(Outbox& out) {
  WorkerHello hello;
  hello.name = options_.name;
  hello.pool = options_.pool;
  hello.role = role_;
  hello.pid = options_.pid;
  hello.control_address = options_.control_address;
  hello.data_address = plane_.address();
  hello.model_hash = info_.model_hash;
  hello.model_name = info_.model_name;
  hello.geometry = info_.geometry;
  hello.numerics_fingerprint = info_.numerics_fingerprint;
  hello.vocab_size = info_.vocab_size;
  hello.max_model_len = info_.max_model_len;
  hello.blocks_total = options_.blocks_total;
  hello.max_num_seqs = options_.limits.max_num_seqs;
  hello.max_num_batched_tokens = options_.limits.max_num_batched_tokens;
  out.send(coordinator_, hello);
  // Said again until it is answered: on a link that is idle nobody learns that the other side has given us up.
  next_heartbeat_ = out.now() + kHelloInterval;
  arm(out);
}

void Worker::on(const JoinAccepted& accepted, Outbox& out) {
  if (out.sender().node != options_.coordinator_node || joined_) return;
  coordinator_ = out.sender();
  joined_ = true;
  if (std::exchange(orphaned_at_, std::nullopt)) {
    if (coordinator_ != former_) end_fetches(out);
    report_jobs(out);
  }
  heartbeat_interval_ = Duration(static_cast<std::int64_t>(accepted.heartbeat_interval_ns));
  heartbeat_miss_ = std::max(accepted.heartbeat_miss, 1u);
  last_heard_ = out.now();
  if (leaving_) leave(out);
  else heartbeat(out);
}

void Worker::on(const JoinRefused& refused, Outbox& out) {
  if (out.sender().node != options_.coordinator_node) return;
  process_.exit(1, "the coordinator refused this worker: " + refused.message);
}

void Worker::on(const PeersJoined& joined, Outbox& out) {
  if (!from_coordinator(out)) return;
  for (const PeerCard& card : joined.peers) {
    if (card.actor.node == out.self().node || cut_off_.contains({card.actor.node, card.actor.incarnation})) continue;
    out.introduce(card.actor.node, card.control_address);
    if (!card.data_address.empty()) plane_.connect({card.actor.node, card.actor.incarnation}, card.data_address);
    has_data_peers_ |= !card.data_address.empty();
    peers_[card.actor.node] = card;
  }
}

void Worker::on(const PeerLeft& left, Outbox& out) {
  if (!from_coordinator(out)) return;
  out.fence(left.actor.node, left.actor.incarnation);
  cut_off({left.actor.node, left.actor.incarnation});
  lose_peer(left.actor.node, left.actor.incarnation, out);
}

// Two lives that have ended their link never speak again, even where another coordinator, which does not know of it, introduces them:
// KV is not asked for there, and tokens go by the coordinator. False: known.
bool Worker::cut_off(const PeerKey& peer) { return cut_off_.size() < kCutPeersMax && cut_off_.insert(peer).second; }

void Worker::lose_peer(NodeId node, Incarnation life, Outbox& out) {
  const auto card = peers_.find(node);
  if (card != peers_.end() && card->second.actor.incarnation == life) peers_.erase(card);
  std::erase_if(early_grants_, [&](const auto& entry) { return entry.second.from.node == node && entry.second.from.incarnation == life; });
  // Ending a sequence removes it from the map, so the ids are gathered first.
  std::vector<std::uint64_t> affected;
  for (const auto& [id, sequence] : sequences_)
    if (sequence.peer.node == node && sequence.peer.incarnation == life && sequence.phase != SequencePhase::kEnding) affected.push_back(id);
  for (const std::uint64_t id : affected) {
    Sequence& sequence = sequences_.at(id);
    if (sequence.kind == SequenceKind::kPrefillHalf) {
      end(sequence, out);  // nobody to hand over to: the job is dispatched anew, or decode computes the prompt itself
    } else if (sequence.phase == SequencePhase::kAwaitingKv) {
      if (sequence.incoming.open) plane_.close(sequence.incoming.transfer);  // TransferClosed decides: complete or recompute
      else check_incoming(sequence, out);
    }
  }
  plane_.disconnect({node, life});
  flush(out);
  maybe_step(out);
}

void Worker::on(const HeartbeatAck&, Outbox& out) {
  if (!from_coordinator(out)) return;
  last_heard_ = out.now();
  if (beats_unanswered_ > 0) --beats_unanswered_;
  if (leave_acks_ > 0) --leave_acks_;
}

void Worker::on(const LinkDown& down, Outbox& out) {
  if (down.node != options_.coordinator_node) {
    // It may live on for others, but these two lives never speak again: what one awaits of the other will not come.
    const PeerKey cut{down.node, down.incarnation};
    const auto peer = peers_.find(down.node);
    const bool known = peer != peers_.end() && peer->second.actor.incarnation == down.incarnation;
    const bool news = cut_off(cut);
    if (known && !peer->second.data_address.empty()) return lose_peer(down.node, down.incarnation, out);
    // An edge: the way to it leads through the coordinator now.
    if (known && news) out.send(coordinator_, RelayedBatch{peer->second.actor, {}});
    return;
  }
  if (joined_) {
    if (down.incarnation == coordinator_.incarnation) lose_coordinator(out);
    return;
  }
  // A life that lives and has ended the link has given our jobs to others, and never takes the link up again.
  if (down.how == LinkEnd::kFenced) process_.exit(1, "the coordinator does not listen to this worker any more: " + down.reason);
  else say_hello(out);
}

// It has died, or cannot be reached. The next one is told what goes on here; edges get their tokens meanwhile. If it lives and has only
// lost this worker, it refuses the hello, and what still comes from here counts for nothing: its jobs have another epoch.
void Worker::lose_coordinator(Outbox& out) {
  joined_ = false;
  if (!orphaned_at_) orphaned_at_ = out.now();
  former_ = coordinator_;
  beats_unanswered_ = leave_acks_ = 0;
  coordinator_ = {options_.coordinator_node, {}, 0, 0};
  say_hello(out);
}

// One that was only slow goes on speaking, and what it says counts: links do not lose it.
bool Worker::from_coordinator(const Outbox& out) const { return out.sender() == coordinator_ || (orphaned_at_ && out.sender() == former_); }

// Another life of the coordinator does not know of them, and nobody waits for them.
void Worker::end_fetches(Outbox& out) {
  std::vector<std::uint64_t> fetches;
  for (const auto& [id, sequence] : sequences_)
    if (sequence.fetch && sequence.phase != SequencePhase::kEnding) fetches.push_back(id);
  for (const std::uint64_t id : fetches) end(sequences_.at(id), out);
}

void Worker::report_jobs(Outbox& out) {
  constexpr std::size_t kTokensPerReport = 1u << 16;
  JobReport report;
  std::size_t tokens = 0;
  const auto add = [&](HeldJob held) {
    tokens += held.tokens.size() + 16;
    report.jobs.push_back(std::move(held));
    if (tokens < kTokensPerReport) return;
    out.send(coordinator_, std::exchange(report, {}));
    tokens = 0;
  };
  for (const auto& [id, sequence] : sequences_) {
    if (sequence.phase == SequencePhase::kEnding || sequence.fetch) continue;
    const HeldKind kind = sequence.kind == SequenceKind::kLocal         ? HeldKind::kWhole
                          : sequence.kind == SequenceKind::kPrefillHalf ? HeldKind::kPrefillHalf
                                                                        : HeldKind::kDecodeHalf;
    add({sequence.job, sequence.epoch, kind, sequence.generated, false, {}});
  }
  for (HeldJob& held : unreported_) add(std::move(held));
  unreported_.clear();
  out.send(coordinator_, report);
  for (const PeerKey& peer : cut_off_) out.send(coordinator_, RelayedBatch{{peer.node, peer.incarnation, 0, 0}, {}});  // if it is an edge
}

void Worker::heartbeat(Outbox& out) {
  // Whoever waits says its grant again. A coordinator may have died before it could name the job here.
  std::erase_if(early_grants_, [&](const auto& entry) { return out.now() - entry.second.at > 3 * options_.transfer_time_limit; });
  stats_.running = stats_.waiting = 0;
  for (const auto& [id, sequence] : sequences_)
    ++(sequence.phase == SequencePhase::kRunning || sequence.phase == SequencePhase::kHandingOver ? stats_.running : stats_.waiting);
  stats_.blocks_free = blocks_.counts().available();
  stats_.traffic = traffic_.take_changed(kTrafficPerHeartbeat);
  out.send(coordinator_, stats_);
  ++beats_unanswered_;
  redial();
  next_heartbeat_ = out.now() + heartbeat_interval_;
  arm(out);
}

void Worker::arm(Outbox& out) {
  const Time next = std::min(next_heartbeat_, overdue_.next());
  if (next != kNever) out.wake_at(next);
}

void Worker::tick(Outbox& out) {
  const Time now = out.now();
  if (joined_ && now - last_heard_ > 2 * heartbeat_miss_ * heartbeat_interval_) lose_coordinator(out);
  if (orphaned_at_ && now - *orphaned_at_ > options_.coordinator_lease) {
    process_.exit(1, "no coordinator has been at " + options_.coordinator_address + " for too long");
    return;
  }
  while (const auto sequence = overdue_.pop_due(now)) transfer_overdue(*sequence, out);
  flush(out);
  maybe_step(out);
  if (now >= next_heartbeat_) joined_ ? heartbeat(out) : say_hello(out);
  arm(out);
}

void Worker::on(const FsckRequest& request, Outbox& out) {
  FsckReport report;
  report.tag = request.tag;
  report.complete = true;
  report.accounts.push_back(account());
  out.send(out.sender(), report);
}

void Worker::on(const RoleChange& change, Outbox& out) {
  if (from_coordinator(out)) role_ = change.role;
}

void Worker::leave(Outbox& out) {
  leaving_ = true;  // and said again to whoever coordinates next
  if (!joined_) return;
  out.send(coordinator_, WorkerLeaving{});
  heartbeat(out);  // is answered after all that the coordinator sent before it knew
  leave_acks_ = beats_unanswered_;
  leave_limit_ = out.now() + 2 * heartbeat_interval_;
}

FsckAccount Worker::account() const {
  FsckAccount account;
  account.worker = options_.name;
  const BlockCounts& counts = blocks_.counts();
  account.blocks_total = counts.total;
  account.free = counts.free;
  account.cached = counts.cached;
  account.held = counts.held;
  account.leased = counts.leased;
  account.quarantined = counts.quarantined;
  account.sequences = static_cast<std::uint32_t>(sequences_.size());
  account.transfers = static_cast<std::uint32_t>(by_transfer_.size() + by_ticket_.size() + early_grants_.size());
  std::map<BlockPool::Owner, std::vector<BlockId>> held_by;
  for (const auto& [id, sequence] : sequences_) {
    held_by[id] = sequence.blocks;
    if (sequence.phase == SequencePhase::kWaiting && !sequence.blocks.empty()) account.problems.push_back("job " + to_hex(sequence.job.value) + " waits for blocks it has");
    if (sequence.published > sequence.blocks.size() || sequence.computed < sequence.published * info_.geometry.block_tokens)
      account.problems.push_back("job " + to_hex(sequence.job.value) + " has published what it has not computed");
    if (sequence.phase != SequencePhase::kEnding && by_job_.at(sequence.job) != id) account.problems.push_back("job " + to_hex(sequence.job.value) + " runs twice");
  }
  for (const auto& [transfer, id] : by_transfer_)
    if (!sequences_.contains(id)) account.problems.push_back("transfer " + to_string(transfer) + " may write blocks of nobody");
  for (const auto& [ticket, push] : by_ticket_)
    if (!sequences_.contains(push.first)) account.problems.push_back("push " + std::to_string(ticket) + " reads blocks of nobody");
  for (std::string& problem : blocks_.check_integrity(held_by)) account.problems.push_back(std::move(problem));
  if (account.problems.size() > 64) account.problems.resize(64);
  return account;
}

}  // namespace baton
