// SPDX-License-Identifier: Apache-2.0
// Handing KV over. Decode opens a transfer and grants; prefill pushes finished blocks and says what they are; decode adopts
// the sequence only when the transfer has closed complete and every digest of what landed equals the digest of what was sent.
// Anything else is a miss: decode computes the prompt itself. No block is written, reused or read in between.
#include <algorithm>
#include <span>
#include <utility>
#include <variant>

#include "actors/worker.h"
#include "kvstore/transfer_plan.h"
#include "runtime/base/check.h"

namespace baton {

// ---- decode half ---------------------------------------------------------------------------------------------------

void Worker::open_transfer(Sequence& sequence, Outbox& out) {
  const auto peer = peers_.find(sequence.peer.node);
  if (peer == peers_.end() || peer->second.actor != sequence.peer) {
    recompute(sequence, "the prefill worker left before it began", out);
    return;
  }
  sequence.phase = SequencePhase::kAwaitingKv;
  sequence.incoming.first_block = sequence.published;  // what was found here need not come
  sequence.incoming.transfer = TransferId{out.random().next(), out.random().next()};
  sequence.incoming.open = true;
  by_transfer_[sequence.incoming.transfer] = sequence.id;
  plane_.open(sequence.incoming.transfer, {sequence.peer.node, sequence.peer.incarnation},
              make_places(info_.geometry, sequence.blocks, sequence.start_length(), sequence.incoming.first_block), options_.grant_time_limit);
  send_grant(sequence, out);
}

// Said again from time to time while the prefill worker has nothing to say: an idle link does not notice that it is dead.
void Worker::send_grant(const Sequence& sequence, Outbox& out) {
  Grant grant;
  grant.transfer = sequence.incoming.transfer;
  grant.job = sequence.job;
  grant.epoch = sequence.epoch;
  grant.group = info_.geometry.group;
  grant.first_block = sequence.incoming.first_block;
  grant.blocks.assign(sequence.blocks.begin() + sequence.incoming.first_block, sequence.blocks.end());
  grant.time_limit_ns = static_cast<std::uint64_t>(options_.grant_time_limit.count());
  out.send(sequence.peer, grant);
  overdue_.set(sequence.id, out.now() + options_.transfer_time_limit);
  arm(out);
}

// The time limit starts with the first sign of the hand-over, not with the grant, and anew with each: it must measure neither the
// prefill queue nor how long a prompt takes to compute. Before it closes a transfer it asks once, with the grant.
void Worker::watch_incoming(Sequence& sequence, Outbox& out) {
  if (!sequence.incoming.begun) sequence.incoming.begun = out.now();
  sequence.incoming.asked = false;
  overdue_.set(sequence.id, out.now() + options_.transfer_time_limit);
  arm(out);
}

void Worker::on_event(const PieceArrived& arrived, Outbox& out) {
  const auto it = by_transfer_.find(arrived.transfer);
  if (it == by_transfer_.end()) return;
  Sequence& sequence = sequences_.at(it->second);
  const std::uint32_t first = sequence.incoming.first_block + arrived.first_place;
  for (std::size_t i = 0; i < arrived.digests.size(); ++i) sequence.incoming.landed[first + static_cast<std::uint32_t>(i)] = arrived.digests[i];
  const std::uint64_t bytes = arrived.digests.size() * info_.geometry.block_bytes();
  sequence.incoming.bytes += bytes;
  stats_.kv_bytes_received += bytes;
  sequence.incoming.transport = plane_.transport(arrived.from);
  if (sequence.phase != SequencePhase::kAwaitingKv) return;
  watch_incoming(sequence, out);
  if (sequence.fetch) check_fetch(sequence, out);
}

void Worker::on(const KvHandoff& handoff, Outbox& out) {
  Sequence* sequence = find(handoff.job, handoff.epoch);
  const bool expected = sequence != nullptr && sequence->phase == SequencePhase::kAwaitingKv &&
                        sequence->incoming.transfer == handoff.transfer && sequence->peer == out.sender();
  if (!expected) {
    if (handoff.last) out.send(out.sender(), TransferResult{handoff.transfer, handoff.job, handoff.epoch, false, "not awaited"});
    return;
  }
  const std::uint64_t blocks = info_.geometry.blocks_for(sequence->start_length());
  for (std::size_t i = 0; i < handoff.handles.size() && handoff.first_block + i < blocks; ++i)
    sequence->incoming.handles[handoff.first_block + static_cast<std::uint32_t>(i)] = handoff.handles[i];
  if (handoff.last) {
    sequence->incoming.last_received = true;
    sequence->incoming.first = {handoff.first_token, handoff.first_logprob, handoff.first_top};
  }
  watch_incoming(*sequence, out);
  check_incoming(*sequence, out);
  flush(out);
  maybe_step(out);
}

void Worker::on_event(const TransferClosed& closed, Outbox& out) {
  const auto it = by_transfer_.find(closed.transfer);
  if (it == by_transfer_.end()) return;
  Sequence& sequence = sequences_.at(it->second);
  by_transfer_.erase(it);
  sequence.incoming.open = false;
  const auto places = info_.geometry.blocks_for(sequence.start_length()) - sequence.incoming.first_block;
  sequence.incoming.complete = sequence.incoming.landed.size() == places;
  if (sequence.phase != SequencePhase::kAwaitingKv) let_go(sequence, out);
  else if (sequence.incoming.complete || sequence.fetch) check_incoming(sequence, out);
  else recompute(sequence, closed.reason, out);
}

// The data plane may go on writing until it says that it does not.
void Worker::close_incoming(Sequence& sequence) {
  if (!sequence.incoming.open || sequence.phase == SequencePhase::kPreempted) return;  // preempted: it is being closed already
  plane_.close(sequence.incoming.transfer);
  blocks_.quarantine(std::span(sequence.blocks).subspan(sequence.incoming.first_block), sequence.id);
}

// What has landed in a logical block is what the peer says it sent.
bool Worker::is_as_sent(const Sequence& sequence, std::uint32_t block) const {
  const auto handle = sequence.incoming.handles.find(block);
  const auto landed = sequence.incoming.landed.find(block);
  return handle != sequence.incoming.handles.end() && landed != sequence.incoming.landed.end() && handle->second.worker == sequence.peer.node &&
         handle->second.incarnation == sequence.peer.incarnation && handle->second.group == info_.geometry.group &&
         handle->second.tokens == tokens_in_block(info_.geometry, sequence.start_length(), block) && handle->second.digest == landed->second;
}

// Adopts the sequence, or finds the miss, once everything that can be known is known.
void Worker::check_incoming(Sequence& sequence, Outbox& out) {
  if (sequence.fetch) return check_fetch(sequence, out);
  IncomingKv& incoming = sequence.incoming;
  if (incoming.open) return;
  const bool peer_gone = !peers_.contains(sequence.peer.node) || peers_.at(sequence.peer.node).actor != sequence.peer;
  if (!incoming.last_received) {
    if (peer_gone) recompute(sequence, "the prefill worker left before it said what it sent", out);
    return;
  }
  const std::uint32_t blocks = info_.geometry.blocks_for(sequence.start_length());
  if (incoming.first.token < 0 || static_cast<std::uint32_t>(incoming.first.token) >= info_.vocab_size) {
    recompute(sequence, "the first token is outside the vocabulary", out);
    return;
  }
  for (std::uint32_t i = incoming.first_block; i < blocks; ++i) {
    if (!is_as_sent(sequence, i)) {
      recompute(sequence, "block " + std::to_string(i) + " is not what was sent", out);
      return;
    }
  }
  adopt(sequence, out);
}

// So many logical blocks are verified, so they are as good as computed here: others may use them too.
void Worker::take_in(Sequence& sequence, std::uint32_t blocks) {
  sequence.computed = std::min(sequence.start_length(), blocks * info_.geometry.block_tokens);
  publish(sequence);
  for (std::uint32_t i = sequence.incoming.first_block; i < sequence.published; ++i) blocks_.note_digest(sequence.blocks[i], sequence.incoming.landed.at(i));
  know_digests(sequence);
}

// From here on the sequence is a local one.
void Worker::adopt(Sequence& sequence, Outbox& out) {
  IncomingKv& incoming = sequence.incoming;
  overdue_.cancel(sequence.id);
  out.send(sequence.peer, TransferResult{incoming.transfer, sequence.job, sequence.epoch, true, {}});
  sequence.kind = SequenceKind::kLocal;
  take_in(sequence, info_.geometry.blocks_for(sequence.start_length()));
  incoming.landed.clear();
  incoming.handles.clear();
  if (incoming.begun) sequence.handed_over = out.now() - *incoming.begun;
  sequence.first_at = out.now();
  emit(sequence, incoming.first);  // again: prefill may die with its own batch undelivered
  sequence.generated.push_back(incoming.first.token);
  sequence.phase = SequencePhase::kRunning;
}

// The prompt will be computed here, whatever the prefill worker still does about it.
void Worker::forgo_transfer(Sequence& sequence, const std::string& why, Outbox& out) {
  CHECK(!sequence.incoming.open);
  if (sequence.incoming.transfer != TransferId{})
    out.send(sequence.peer, TransferResult{sequence.incoming.transfer, sequence.job, sequence.epoch, false, why.substr(0, kReasonBytesMax)});
  if (sequence.incoming.begun) sequence.handed_over = out.now() - *sequence.incoming.begun;
  sequence.missed = true;
  sequence.incoming = {};
  sequence.kind = SequenceKind::kLocal;
}

// A miss. The sequence has its blocks and its prompt, so this worker computes what it did not get; tokens that prefill already
// sent come out again with equal content.
void Worker::recompute(Sequence& sequence, const std::string& why, Outbox& out) {
  if (sequence.fetch) return end_fetch(sequence, why, out);
  overdue_.cancel(sequence.id);
  forgo_transfer(sequence, why, out);
  sequence.computed = sequence.published * info_.geometry.block_tokens;
  sequence.generated.resize(sequence.emitted);
  sequence.phase = SequencePhase::kRunning;
}

// ---- prefill half --------------------------------------------------------------------------------------------------

void Worker::on(const Grant& grant, Outbox& out) {
  if (buried(grant.job, grant.epoch)) return;  // the decode half learns of the end from the coordinator
  Sequence* sequence = find(grant.job, grant.epoch);
  if (sequence == nullptr) {
    // The coordinator's StartPrefill travels on another link and may still be under way.
    if (early_grants_.size() < kEarlyGrantsMax) early_grants_[{grant.job, grant.epoch}] = {grant, out.sender(), out.now()};
    return;
  }
  OutgoingKv& outgoing = sequence->outgoing;
  const bool again = outgoing.grant && outgoing.grant->transfer == grant.transfer && sequence->peer == out.sender();
  if (again && !outgoing.last_sent && !outgoing.declined) {
    // Cached blocks are pushed long before the prompt's turn: whoever has them and asks is told that the rest will come.
    out.send(out.sender(), KvHandoff{grant.transfer, grant.job, grant.epoch, outgoing.blocks_pushed, {}});
    return;
  }
  const bool fits = sequence->kind == SequenceKind::kPrefillHalf && sequence->peer == out.sender() && !outgoing.grant &&
                    grant.group == info_.geometry.group;
  if (!fits) return;
  outgoing.grant = grant;
  hand_over(*sequence, out);
}

// Pushes what is finished, wanted and granted. Called after each chunk, after each find in the cache and when the grant comes.
void Worker::hand_over(Sequence& sequence, Outbox& out) {
  OutgoingKv& outgoing = sequence.outgoing;
  if (!outgoing.grant || outgoing.last_sent || outgoing.declined) return;
  const std::uint32_t blocks = info_.geometry.blocks_for(sequence.start_length());
  if (outgoing.grant->blocks.empty() || outgoing.grant->blocks.size() + outgoing.grant->first_block != blocks) {
    outgoing.grant.reset();  // nonsense from a peer: as good as none
    return;
  }
  outgoing.blocks_pushed = std::max(outgoing.blocks_pushed, outgoing.grant->first_block);
  // Fewer than were pushed before: it was preempted and is not that far again. What was pushed has landed, and is the same.
  const auto finished = std::max(static_cast<std::uint32_t>(outgoing.digests.size()), outgoing.blocks_pushed);
  if (finished > outgoing.blocks_pushed || sequence.phase == SequencePhase::kHandingOver)
    push_blocks(sequence, finished - outgoing.blocks_pushed, out);
}

void Worker::push_blocks(Sequence& sequence, std::uint32_t count, Outbox& out) {
  OutgoingKv& outgoing = sequence.outgoing;
  KvHandoff handoff;
  handoff.transfer = outgoing.grant->transfer;
  handoff.job = sequence.job;
  handoff.epoch = sequence.epoch;
  handoff.first_block = outgoing.blocks_pushed;
  for (std::uint32_t i = outgoing.blocks_pushed; i < outgoing.blocks_pushed + count; ++i)
    handoff.handles.push_back({out.self().node, out.self().incarnation, info_.geometry.group, sequence.blocks[i],
                               blocks_.generation(sequence.blocks[i]),
                               tokens_in_block(info_.geometry, sequence.start_length(), i), outgoing.digests[i]});
  if (count > 0) {
    const std::uint64_t ticket = next_ticket_++;
    const PeerKey to{sequence.peer.node, sequence.peer.incarnation};
    by_ticket_[ticket] = {sequence.id, to};
    if (const auto peer = peers_.find(to.node); peer != peers_.end()) traffic_.begin(ticket, peer->second.name, count * info_.geometry.block_bytes(), out.now());
    ++outgoing.pushes_pending;
    plane_.push(ticket, to, handoff.transfer,
                plan_pieces(info_.geometry, sequence.blocks, outgoing.grant->blocks, outgoing.grant->first_block, outgoing.blocks_pushed, count));
    stats_.kv_bytes_sent += count * info_.geometry.block_bytes();
    outgoing.blocks_pushed += count;
  }
  if (sequence.phase == SequencePhase::kHandingOver) {
    handoff.last = true;
    handoff.first_token = sequence.first.token;
    handoff.first_logprob = sequence.first.logprob;
    handoff.first_top = sequence.first.top;
    outgoing.last_sent = true;
    overdue_.set(sequence.id, out.now() + 2 * options_.transfer_time_limit);
    arm(out);
  }
  out.send(sequence.peer, handoff);
}

void Worker::on(const TransferResult& result, Outbox& out) {
  Sequence* sequence = find(result.job, result.epoch);
  const bool awaited = sequence != nullptr && sequence->phase == SequencePhase::kAwaitingKv && sequence->incoming.transfer == result.transfer &&
                       sequence->peer == out.sender() && !result.ok;
  if (awaited) {
    // Nothing more will come. Where the transfer is open, word of its closing follows.
    if (sequence->incoming.open) plane_.close(result.transfer);
    else recompute(*sequence, result.reason, out);
    flush(out);
    maybe_step(out);
    return;
  }
  const bool ours = sequence != nullptr && sequence->kind == SequenceKind::kPrefillHalf && sequence->outgoing.grant &&
                    sequence->outgoing.grant->transfer == result.transfer && sequence->peer == out.sender();
  if (!ours) return;
  if (sequence->phase == SequencePhase::kRunning) {
    sequence->outgoing.declined = true;  // in the middle of the prompt; the first token still comes from here
    plane_.abandon(result.transfer);
    return;
  }
  sequence->outgoing.result_received = result.ok;
  end(*sequence, out);
  flush(out);
  maybe_step(out);
}

void Worker::on_event(const PushDone& done, Outbox& out) {
  const auto it = by_ticket_.find(done.ticket);
  if (it == by_ticket_.end()) return;
  Sequence& sequence = sequences_.at(it->second.first);
  traffic_.end(done.ticket, done.ok, plane_.transport(it->second.second), out.now());
  by_ticket_.erase(it);
  --sequence.outgoing.pushes_pending;
  const bool under_way = sequence.phase == SequencePhase::kRunning || sequence.phase == SequencePhase::kHandingOver;
  if (!done.ok && under_way && !sequence.outgoing.declined) give_up_push(sequence, out);
  else let_go(sequence, out);
}

// The peer is told at once, so that it computes what it will not get instead of waiting until its time limit.
void Worker::give_up_push(Sequence& sequence, Outbox& out) {
  const TransferId transfer = sequence.outgoing.grant->transfer;
  out.send(sequence.peer, TransferResult{transfer, sequence.job, sequence.epoch, false, "a push failed"});
  if (sequence.phase == SequencePhase::kHandingOver) return end(sequence, out);
  sequence.outgoing.declined = true;  // in the middle of the prompt; the first token still comes from here
  plane_.abandon(transfer);
}

// Membership is the coordinator's to decide; as long as the peer is in, its address is valid. Dialled with the next heartbeat:
// where the transport cannot reach it at all, dialling at once would go round for ever.
void Worker::on_event(const PeerFailed& failed, Outbox&) { redial_.insert(failed.peer); }

void Worker::redial() {
  for (const PeerKey& key : std::exchange(redial_, {})) {
    const auto peer = peers_.find(key.node);
    if (peer != peers_.end() && peer->second.actor.incarnation == key.incarnation && !peer->second.data_address.empty())
      plane_.connect(key, peer->second.data_address);
  }
}

void Worker::on_data_plane(const DataPlaneEvent& event, Outbox& out) {
  std::visit([&](const auto& specific) { on_event(specific, out); }, event);
  flush(out);
  maybe_step(out);
}

void Worker::transfer_overdue(std::uint64_t id, Outbox& out) {
  const auto it = sequences_.find(id);
  if (it == sequences_.end()) return;
  Sequence& sequence = it->second;
  if (sequence.phase == SequencePhase::kAwaitingKv) {
    IncomingKv& incoming = sequence.incoming;
    const bool ask = !incoming.begun || (incoming.open && !incoming.last_received && !std::exchange(incoming.asked, true));
    if (ask) send_grant(sequence, out);
    else if (incoming.open) plane_.close(incoming.transfer);
    else recompute(sequence, "the hand-over was not finished in time", out);
  } else if (sequence.phase == SequencePhase::kHandingOver) {
    end(sequence, out);  // the source lease is over: the push is abandoned first, the blocks follow
  }
}

}  // namespace baton
