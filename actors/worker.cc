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
  heartbeat_interval_ = Duration(static_cast<std::int64_t>(accepted.heartbeat_interval_ns));
  heartbeat_miss_ = std::max(accepted.heartbeat_miss, 1u);
  last_heard_ = out.now();
  heartbeat(out);
}

void Worker::on(const JoinRefused& refused, Outbox& out) {
  if (out.sender().node != options_.coordinator_node) return;
  process_.exit(1, "the coordinator refused this worker: " + refused.message);
}

void Worker::on(const PeersJoined& joined, Outbox& out) {
  if (out.sender() != coordinator_) return;
  for (const PeerCard& card : joined.peers) {
    if (card.actor.node == out.self().node) continue;
    out.introduce(card.actor.node, card.control_address);
    if (!card.data_address.empty()) plane_.connect({card.actor.node, card.actor.incarnation}, card.data_address);
    has_data_peers_ |= !card.data_address.empty();
    peers_[card.actor.node] = card;
  }
}

void Worker::on(const PeerLeft& left, Outbox& out) {
  if (out.sender() != coordinator_) return;
  out.fence(left.actor.node, left.actor.incarnation);
  lose_peer(left.actor.node, left.actor.incarnation, out);
}

void Worker::lose_peer(NodeId node, Incarnation life, Outbox& out) {
  const auto card = peers_.find(node);
  if (card != peers_.end() && card->second.actor.incarnation == life) peers_.erase(card);
  cut_edges_.erase({node, life});
  std::erase_if(early_grants_, [&](const auto& entry) { return entry.second.second.node == node && entry.second.second.incarnation == life; });
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
  if (out.sender() != coordinator_) return;
  last_heard_ = out.now();
  if (beats_unanswered_ > 0) --beats_unanswered_;
  if (leave_acks_ > 0) --leave_acks_;
}

void Worker::on(const LinkDown& down, Outbox& out) {
  if (down.node != options_.coordinator_node) {
    // It may live on for others, but these two lives never speak again: what one awaits of the other will not come.
    const auto peer = peers_.find(down.node);
    if (peer == peers_.end() || peer->second.actor.incarnation != down.incarnation) return;
    if (!peer->second.data_address.empty()) return lose_peer(down.node, down.incarnation, out);
    // An edge: the way to it leads through the coordinator now.
    if (cut_edges_.size() < kCutEdgesMax && cut_edges_.insert({down.node, down.incarnation}).second)
      out.send(coordinator_, RelayedBatch{peer->second.actor, {}});
    return;
  }
  // A life that has ended the link never takes it up again, so neither a member nor a newcomer can go on as who it is.
  const bool over = joined_ ? down.incarnation == coordinator_.incarnation : down.incarnation.value != 0;
  if (over) process_.exit(1, "lost the coordinator: " + down.reason);
  else if (!joined_) say_hello(out);
}

void Worker::heartbeat(Outbox& out) {
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
  if (joined_ && now - last_heard_ > 2 * heartbeat_miss_ * heartbeat_interval_) {
    // It has given our jobs to others by now; whatever we still said about them would be dropped.
    process_.exit(1, "the coordinator at " + options_.coordinator_address + " has been silent for too long");
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
  if (out.sender() == coordinator_) role_ = change.role;
}

void Worker::leave(Outbox& out) {
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
