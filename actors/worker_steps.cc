// SPDX-License-Identifier: Apache-2.0
// Continuous batching, and the life of a sequence from its arrival to the release of its last block.
#include <algorithm>
#include <utility>

#include "actors/worker.h"
#include "protocol/validate.h"
#include "runtime/base/check.h"

namespace baton {
namespace {

// What StartPrefill and StartDecode have in common.
template <class Start>
Sequence sequence_of(const Start& start) {
  Sequence sequence;
  sequence.job = start.job;
  sequence.epoch = start.epoch;
  sequence.edge = start.edge;
  sequence.prompt = start.prompt;
  sequence.sampling = start.sampling;
  sequence.context.salt = start.cache_salt;
  sequence.generated = start.emitted;
  sequence.emitted = static_cast<std::uint32_t>(start.emitted.size());
  sequence.fetch = start.fetch;
  return sequence;
}

}  // namespace

Sequence* Worker::find(JobId job, Epoch epoch) {
  const auto it = by_job_.find(job);
  if (it == by_job_.end()) return nullptr;
  Sequence& sequence = sequences_.at(it->second);
  return sequence.epoch == epoch ? &sequence : nullptr;
}

void Worker::on(const StartPrefill& start, Outbox& out) {
  if (!from_coordinator(out)) return;
  Sequence sequence = sequence_of(start);
  sequence.peer = start.decode;
  sequence.kind = start.decode.valid() && start.decode != out.self() ? SequenceKind::kPrefillHalf : SequenceKind::kLocal;
  const auto early = early_grants_.find({start.job, start.epoch});
  if (early != early_grants_.end()) {
    if (early->second.from == start.decode) sequence.outgoing.grant = early->second.grant;
    early_grants_.erase(early);
  }
  add(std::move(sequence), out);
}

void Worker::on(const StartDecode& start, Outbox& out) {
  if (!from_coordinator(out)) return;
  Sequence sequence = sequence_of(start);
  sequence.peer = start.prefill;
  sequence.kind = SequenceKind::kDecodeHalf;
  add(std::move(sequence), out);
}

void Worker::add(Sequence sequence, Outbox& out) {
  if (buried(sequence.job, sequence.epoch) || find(sequence.job, sequence.epoch) != nullptr) return;
  if (const auto older = by_job_.find(sequence.job); older != by_job_.end()) end(sequences_.at(older->second), out);
  sequence.id = next_sequence_++;
  sequence.arrived = out.now();
  sequence.context.model_hash = info_.model_hash;
  sequence.context.numerics_fingerprint = info_.numerics_fingerprint;
  const std::uint64_t id = sequence.id;
  by_job_[sequence.job] = id;
  Sequence& added = sequences_.emplace(id, std::move(sequence)).first->second;
  const auto known = [this](TokenId token) { return token >= 0 && static_cast<std::uint32_t>(token) < info_.vocab_size; };
  const bool tokens_known = std::ranges::all_of(added.prompt, known) && std::ranges::all_of(added.generated, known);
  if (added.fetch) {
    if (tokens_known) begin_fetch(added, out);
    else end(added, out);
    flush(out);
    return;
  }
  const std::uint64_t tokens = added.prompt.size() + added.sampling.max_tokens;
  if (added.prompt.empty() || added.sampling.max_tokens == 0 || !tokens_known)
    fail_job(added, ErrorCode::kInvalidArgument, "the prompt is empty or has ids outside the vocabulary", out);
  else if (const auto valid = validate_ids(added.sampling, info_.vocab_size); !valid)
    fail_job(added, valid.error().code, valid.error().message, out);
  else if (tokens > info_.max_model_len || info_.geometry.blocks_for(tokens) > options_.blocks_total)
    fail_job(added, ErrorCode::kInvalidArgument, "the prompt and max_tokens need " + std::to_string(tokens) + " tokens of KV, " + options_.name + " has " +
                                                     std::to_string(std::min<std::uint64_t>(info_.max_model_len, std::uint64_t{options_.blocks_total} * info_.geometry.block_tokens)) +
                                                     ": lower max_tokens, or raise kv_cache.memory", out);
  else if (const auto reason = ended_by(added); reason && added.emitted > 0) {
    // Its last token was known, but not that it was the last.
    finish(added, *reason);
    end(added, out);
  }
  flush(out);
  maybe_step(out);
}

// Why nothing follows what has been generated.
std::optional<FinishReason> Worker::ended_by(const Sequence& sequence) const {
  if (sequence.generated.empty()) return std::nullopt;
  if (sequence.sampling.stops_at(sequence.generated.back(), info_.stop_tokens)) return FinishReason::kStop;
  if (sequence.generated.size() >= sequence.sampling.max_tokens) return FinishReason::kLength;
  return std::nullopt;
}

void Worker::maybe_step(Outbox& out) {
  admit_waiting(out);
  flush(out);
  if (step_running_) return;
  BatchPlan plan = plan_step(out);
  if (plan.sequences.empty()) return;
  plan.step = next_step_++;
  step_running_ = true;
  engine_.submit(std::move(plan), [this](StepResult result, Outbox& later) { step_done(result, later); });
}

// Shares are granted first and find their blocks then, oldest sequence first: what an older one takes from a younger one the
// younger one has not planned with yet. Where none that was granted something finds a block, those behind them may run.
BatchPlan Worker::plan_step(Outbox& out) {
  std::vector<Sequence*> runnable;
  for (auto& [id, sequence] : sequences_) {
    if (sequence.phase != SequencePhase::kRunning) continue;
    extend_prefix(sequence, out);
    runnable.push_back(&sequence);
  }
  BatchPlan plan;
  while (plan.sequences.empty() && !runnable.empty()) {
    std::vector<BatchCandidate> candidates;
    for (const Sequence* sequence : runnable)
      candidates.push_back({sequence->length() - sequence->computed, !sequence->generated.empty() && sequence->computed + 1 == sequence->length()});
    const std::vector<std::uint32_t> granted = plan_batch(candidates, options_.limits);
    std::vector<Sequence*> behind;
    for (std::size_t i = 0; i < runnable.size(); ++i) {
      if (runnable[i]->phase != SequencePhase::kRunning) continue;
      if (granted[i] == 0) {
        behind.push_back(runnable[i]);
        continue;
      }
      const std::uint32_t tokens = grow(*runnable[i], granted[i], out);
      if (tokens == 0) continue;
      if (!runnable[i]->began) runnable[i]->began = out.now();
      plan.sequences.push_back(plan_share(*runnable[i], tokens));
    }
    CHECK(behind.size() < runnable.size(), "a batch of nothing");
    runnable = std::move(behind);
  }
  return plan;
}

SequencePlan Worker::plan_share(Sequence& sequence, std::uint32_t tokens) {
  const std::uint32_t end_position = sequence.computed + tokens;
  CHECK(sequence.computed >= sequence.published * info_.geometry.block_tokens, "a step would write a block that others may read");
  SequencePlan share;
  share.sequence = sequence.id;
  share.first_position = sequence.computed;
  share.tokens = sequence.tokens(sequence.computed, tokens);
  share.blocks = sequence.blocks;
  share.sample = end_position == sequence.length();
  plan_sampling(sequence, share);
  // A block that is cached may be asked for by another worker at any time: its digest is made while it is at hand.
  const bool hands_over = sequence.kind == SequenceKind::kPrefillHalf;
  if (hands_over || (options_.prefix_caching && has_data_peers_)) {
    const std::uint32_t end = hands_over && share.sample ? info_.geometry.blocks_for(end_position) : end_position / info_.geometry.block_tokens;
    share.digest_begin = std::min(static_cast<std::uint32_t>(sequence.outgoing.digests.size()), end);
    share.digest_end = end;
  }
  sequence.in_step = true;
  in_step_[sequence.id] = tokens;
  return share;
}

void Worker::step_done(const StepResult& result, Outbox& out) {
  CHECK(step_running_ && result.sequences.size() == in_step_.size());
  step_running_ = false;
  ++stats_.progress;
  const std::map<std::uint64_t, std::uint32_t> computed = std::exchange(in_step_, {});
  for (const SequenceResult& share : result.sequences) {
    Sequence& sequence = sequences_.at(share.sequence);  // kept alive by in_step
    sequence.in_step = false;
    if (sequence.phase == SequencePhase::kEnding) settle(sequence, out);
    else take_result(sequence, share, computed.at(share.sequence), out);
  }
  flush(out);
  maybe_step(out);
}

void Worker::take_result(Sequence& sequence, const SequenceResult& result, std::uint32_t computed, Outbox& out) {
  if (!result.error.empty()) {
    fail_job(sequence, result.code, result.error, out);
    return;
  }
  const auto prompt_tokens = static_cast<std::uint32_t>(sequence.prompt.size());
  if (sequence.computed < prompt_tokens) stats_.prompt_tokens_computed += std::min(computed, prompt_tokens - sequence.computed);
  if (!result.prompt.empty()) emit_prompt(sequence, result.prompt, out);
  sequence.computed += computed;
  publish(sequence);
  for (const std::uint64_t digest : result.digests) {
    const std::size_t i = sequence.outgoing.digests.size();
    if (i < sequence.published) blocks_.note_digest(sequence.blocks[i], digest);
    sequence.outgoing.digests.push_back(digest);
  }
  if (result.sampled) {
    const ScoredToken drawn{result.token, result.logprob, result.top};
    if (sequence.generated.size() == sequence.emitted) sequence.first = drawn;
    emit_timing(sequence, out.now());
    emit(sequence, drawn);
    sequence.generated.push_back(result.token);
    ++stats_.tokens_generated;
    if (const auto reason = ended_by(sequence)) {
      finish(sequence, *reason);
      end(sequence, out);
      return;
    }
    if (sequence.outgoing.declined) {
      end(sequence, out);
      return;
    }
    if (sequence.kind == SequenceKind::kPrefillHalf) {
      sequence.phase = SequencePhase::kHandingOver;
      blocks_.lease(sequence.blocks, sequence.id);
      overdue_.set(sequence.id, out.now() + options_.grant_time_limit);
      arm(out);
    }
  }
  if (sequence.kind == SequenceKind::kPrefillHalf) hand_over(sequence, out);
}

void Worker::emit(const Sequence& sequence, const ScoredToken& drawn) {
  const TokenItem item{sequence.job, sequence.epoch, static_cast<std::uint32_t>(sequence.generated.size()), drawn.token, drawn.logprob, drawn.top};
  batches_.to_edges[sequence.edge].tokens.push_back(item);
  batches_.to_coordinator.tokens.push_back(item);
}

// Of the token that is about to be emitted, if it is one of the first two. A prefill worker draws the first only.
void Worker::emit_timing(Sequence& sequence, Time now) {
  const auto index = static_cast<std::uint32_t>(sequence.generated.size());
  if (index > 1 || (index == 1 && sequence.first_at == Time{})) return;
  const auto nanoseconds = [](Duration duration) { return static_cast<std::uint64_t>(std::max<std::int64_t>(duration.count(), 0)); };
  TokenTiming timing{sequence.job, sequence.epoch, index, 0, 0, 0, 0, false, sequence.preemptions};
  if (index == 0) {
    timing.waiting_ns = nanoseconds(*sequence.began - sequence.arrived);
    timing.computing_ns = nanoseconds(now - *sequence.began);
    timing.cached_tokens = sequence.cached_tokens;
    sequence.first_at = now;
  } else {
    timing.computing_ns = nanoseconds(now - sequence.first_at);
    timing.transfer_ns = nanoseconds(sequence.handed_over);
    timing.missed = sequence.missed;
  }
  batches_.to_edges[sequence.edge].timings.push_back(timing);
}

// Of the prompt tokens behind the first position of this step. The edge has them before the first token: same link, same order.
void Worker::emit_prompt(const Sequence& sequence, const std::vector<ScoredToken>& scored, Outbox& out) {
  std::vector<TokenItem>& items = batches_.to_edges[sequence.edge].prompt;
  std::uint32_t position = sequence.computed;
  for (const ScoredToken& each : scored) {
    items.push_back({sequence.job, sequence.epoch, ++position, each.token, each.logprob, each.top});
    if (items.size() < kPromptItemsPerMessage) continue;
    send_to_edge(sequence.edge, TokenBatch{{}, {}, {}, std::exchange(items, {})}, out);
  }
}

void Worker::finish(Sequence& sequence, FinishReason reason) {
  const JobFinish finished{sequence.job, sequence.epoch, reason, static_cast<std::uint32_t>(sequence.generated.size()),
                           sequence.incoming.bytes, sequence.incoming.transport, sequence.preemptions};
  batches_.to_edges[sequence.edge].finished.push_back(finished);
  batches_.to_coordinator.finished.push_back(finished);
  if (joined_) return;
  if (unreported_.size() >= kUnreportedMax) unreported_.pop_front();
  unreported_.push_back({sequence.job, sequence.epoch, HeldKind::kWhole, sequence.generated, true, finished});
}

void Worker::fail_job(Sequence& sequence, ErrorCode code, const std::string& message, Outbox& out) {
  JobFailed failed{sequence.job, sequence.epoch, code, message.substr(0, kReasonBytesMax)};
  out.send(coordinator_, failed);
  end(sequence, out);
}

void Worker::on(const CancelJob& cancel, Outbox& out) {
  if (!from_coordinator(out)) return;
  if (const auto it = by_job_.find(cancel.job); it != by_job_.end() && sequences_.at(it->second).epoch <= cancel.epoch)
    end(sequences_.at(it->second), out);
  else bury(cancel.job, cancel.epoch);
  flush(out);
  maybe_step(out);
}

// From here on nothing of the sequence is seen outside; its blocks follow as soon as nothing touches them.
void Worker::end(Sequence& sequence, Outbox& out) {
  CHECK(sequence.phase != SequencePhase::kEnding);
  close_incoming(sequence);
  sequence.phase = SequencePhase::kEnding;
  by_job_.erase(sequence.job);
  bury(sequence.job, sequence.epoch);
  overdue_.cancel(sequence.id);
  if (sequence.outgoing.pushes_pending > 0 && !sequence.outgoing.result_received) plane_.abandon(sequence.outgoing.grant->transfer);
  settle(sequence, out);
}

void Worker::settle(Sequence& sequence, Outbox&) {
  CHECK(sequence.phase == SequencePhase::kEnding);
  if (sequence.in_step || sequence.incoming.open || sequence.outgoing.pushes_pending > 0) return;
  batches_.to_coordinator.released.push_back({sequence.job, sequence.epoch});
  blocks_.release(sequence.blocks, sequence.id);
  sequences_.erase(sequence.id);
}

void Worker::bury(JobId job, Epoch epoch) {
  const auto [it, fresh] = tombstones_.emplace(job, epoch);
  it->second = std::max(it->second, epoch);
  std::erase_if(early_grants_, [&](const auto& entry) { return entry.first.first == job && entry.first.second <= epoch; });
  if (!fresh) return;
  tombstone_order_.push_back(job);
  if (tombstone_order_.size() > kTombstonesMax) {
    tombstones_.erase(tombstone_order_.front());
    tombstone_order_.pop_front();
  }
}

bool Worker::buried(JobId job, Epoch epoch) const {
  const auto it = tombstones_.find(job);
  return it != tombstones_.end() && it->second >= epoch;
}

// One batch per step and destination, never one message per token.
void Worker::flush(Outbox& out) {
  for (auto& [edge, batch] : batches_.to_edges) send_to_edge(edge, std::move(batch), out);
  TokenBatch& all = batches_.to_coordinator;
  // What a coordinator that is gone has not heard of, report_jobs() tells the next; releases are kept for one that comes back.
  if (joined_ && (!all.tokens.empty() || !all.finished.empty() || !all.released.empty())) out.send(coordinator_, all);
  std::vector<JobRelease> unsaid;
  if (!joined_ && all.released.size() < kUnreportedMax) unsaid = std::move(all.released);
  batches_ = {};
  batches_.to_coordinator.released = std::move(unsaid);
}

void Worker::send_to_edge(const ActorRef& edge, TokenBatch batch, Outbox& out) {
  if (cut_off_.contains({edge.node, edge.incarnation})) out.send(coordinator_, RelayedBatch{edge, std::move(batch)});
  else out.send(edge, batch);
}

}  // namespace baton
