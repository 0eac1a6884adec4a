// SPDX-License-Identifier: Apache-2.0
// Which sequence has which blocks: admission, growth, preemption, and what it takes from and gives to the prefix cache. The head of
// worker.h says why nobody waits for ever.
#include <algorithm>
#include <iterator>
#include <span>

#include "actors/worker.h"
#include "runtime/base/check.h"

namespace baton {

// ---- admission -----------------------------------------------------------------------------------------------------

// Strictly in order of arrival: one that is still stepping back is about to wait, and nobody passes it.
void Worker::admit_waiting(Outbox& out) {
  std::uint32_t active = 0;
  for (const auto& [id, sequence] : sequences_)
    if (sequence.phase == SequencePhase::kRunning || sequence.phase == SequencePhase::kAwaitingKv) ++active;
  for (auto& [id, sequence] : sequences_) {
    if (sequence.phase == SequencePhase::kPreempted) return;
    if (sequence.phase != SequencePhase::kWaiting) continue;
    if (active >= options_.limits.max_num_seqs || !admit(sequence, out)) return;
    ++active;
  }
}

// What the admitted sequences are still going to take soon: the rest of their prompts, and the next block of each that grows. A
// newcomer must leave that much, or it would be preempted as soon as it is in.
std::uint32_t Worker::blocks_spoken_for() const {
  std::uint64_t blocks = 0;
  for (const auto& [id, sequence] : sequences_) {
    if (sequence.phase != SequencePhase::kRunning && sequence.phase != SequencePhase::kAwaitingKv) continue;
    const auto has = static_cast<std::uint32_t>(sequence.blocks.size());
    const std::uint32_t wants = std::max(has, info_.geometry.blocks_for(sequence.length()));
    const std::uint64_t grows_to = sequence.kind == SequenceKind::kPrefillHalf ? sequence.start_length() : sequence.prompt.size() + sequence.sampling.max_tokens - 1;
    blocks += wants - has + (info_.geometry.blocks_for(grows_to) > wants ? 1 : 0);
  }
  return static_cast<std::uint32_t>(std::min<std::uint64_t>(blocks, options_.blocks_total));
}

// Everything computed so far must fit; a decode half takes the blocks of its prompt at once, since the transfer needs to know them.
bool Worker::admit(Sequence& sequence, Outbox& out) {
  const std::vector<BlockId> found = cached_prefix(sequence);
  const auto revived = std::ranges::count_if(found, [this](BlockId block) { return blocks_.state(block) == BlockState::kCached; });
  const std::uint32_t needed = info_.geometry.blocks_for(sequence.length()) - static_cast<std::uint32_t>(found.size());
  if (std::uint64_t{needed} + static_cast<std::uint64_t>(revived) + blocks_spoken_for() > blocks_.counts().available()) return false;
  sequence.phase = SequencePhase::kRunning;
  if (!sequence.recomputes && may_reuse(sequence)) stats_.prefix_cache_queries += sequence.start_length();
  take_prefix(sequence, found, out);
  if (sequence.kind == SequenceKind::kDecodeHalf) {
    take_blocks(sequence, needed);
    open_transfer(sequence, out);
  }
  return true;
}

// ---- prefix cache --------------------------------------------------------------------------------------------------

// A sequence that wants something of every prompt position must compute every one.
bool Worker::may_reuse(const Sequence& sequence) const { return options_.prefix_caching && !sequence.sampling.prompt_logprobs; }

// The cached blocks that go on where the sequence's own end. Never the block of its last token, which is computed in any case:
// the next token is drawn from what that computes. (A fetch draws none.)
std::vector<BlockId> Worker::cached_prefix(const Sequence& sequence) const {
  std::vector<BlockId> found;
  if (!may_reuse(sequence)) return found;
  const std::uint32_t block_tokens = info_.geometry.block_tokens;
  std::optional<BlockId> parent;
  if (!sequence.blocks.empty()) parent = sequence.blocks.back();
  const std::uint32_t length = sequence.length() - (sequence.fetch ? 0 : 1);
  for (std::uint32_t first = sequence.published * block_tokens; first + block_tokens <= length; first += block_tokens) {
    const auto block = blocks_.find(sequence.context, parent, sequence.tokens(first, block_tokens));
    if (!block) break;
    found.push_back(*block);
    parent = block;
  }
  return found;
}

void Worker::take_prefix(Sequence& sequence, const std::vector<BlockId>& found, Outbox& out) {
  if (found.empty()) return;
  blocks_.share(found, sequence.id);
  sequence.blocks.insert(sequence.blocks.end(), found.begin(), found.end());
  sequence.published += static_cast<std::uint32_t>(found.size());
  sequence.computed = sequence.published * info_.geometry.block_tokens;
  const auto tokens = static_cast<std::uint32_t>(found.size() * info_.geometry.block_tokens);
  if (!sequence.recomputes) stats_.prefix_cache_hits += tokens;
  if (!sequence.recomputes) sequence.cached_tokens += tokens;
  know_digests(sequence);
  if (sequence.kind == SequenceKind::kPrefillHalf) hand_over(sequence, out);
}

// Where the first digest is missing the next step computes it and those after it.
void Worker::know_digests(Sequence& sequence) {
  std::vector<std::uint64_t>& digests = sequence.outgoing.digests;
  while (digests.size() < sequence.published) {
    const auto digest = blocks_.digest(sequence.blocks[digests.size()]);
    if (!digest) break;
    digests.push_back(*digest);
  }
}

// Another sequence with the same beginning may have filled blocks since this one was admitted.
void Worker::extend_prefix(Sequence& sequence, Outbox& out) {
  const bool at_its_end = sequence.blocks.size() == sequence.published && sequence.computed == sequence.published * info_.geometry.block_tokens;
  if (at_its_end) take_prefix(sequence, cached_prefix(sequence), out);
}

// Enters the blocks that have become full. Called when nothing reads or writes them: no step runs, none of them has been pushed.
void Worker::publish(Sequence& sequence) {
  if (!options_.prefix_caching) return;
  const std::uint32_t block_tokens = info_.geometry.block_tokens;
  for (; (sequence.published + 1) * block_tokens <= sequence.computed; ++sequence.published) {
    const std::uint32_t i = sequence.published;
    std::optional<BlockId> parent;
    if (i > 0) parent = sequence.blocks[i - 1];
    sequence.blocks[i] = blocks_.publish(sequence.context, parent, sequence.tokens(i * block_tokens, block_tokens), sequence.blocks[i], sequence.id);
  }
}

// ---- growth and preemption -----------------------------------------------------------------------------------------

void Worker::take_blocks(Sequence& sequence, std::uint32_t count) {
  const auto taken = blocks_.allocate(count, sequence.id);
  CHECK(taken.has_value());
  sequence.blocks.insert(sequence.blocks.end(), taken->begin(), taken->end());
}

// Makes room for the next `tokens` positions, or for as many as there are blocks for; returns how many.
std::uint32_t Worker::grow(Sequence& sequence, std::uint32_t tokens, Outbox& out) {
  const std::uint32_t needed = info_.geometry.blocks_for(sequence.computed + std::uint64_t{tokens});
  if (needed > sequence.blocks.size()) {
    make_room(sequence, out);
    take_blocks(sequence, std::min(needed - static_cast<std::uint32_t>(sequence.blocks.size()), blocks_.counts().available()));
  }
  const std::uint64_t room = sequence.blocks.size() * std::uint64_t{info_.geometry.block_tokens} - sequence.computed;
  return static_cast<std::uint32_t>(std::min<std::uint64_t>(tokens, room));
}

// At least one block, taken from the youngest; nothing while others' blocks are on their way back, or when only older ones have any.
void Worker::make_room(const Sequence& needy, Outbox& out) {
  const auto coming_back = [](const auto& entry) {
    const Sequence& sequence = entry.second;
    return (sequence.phase == SequencePhase::kPreempted || sequence.phase == SequencePhase::kEnding) && !sequence.blocks.empty();
  };
  auto next = sequences_.rbegin();
  while (blocks_.counts().available() == 0 && std::ranges::none_of(sequences_, coming_back)) {
    // A half that has handed everything over needs nothing more and ends within its time limit.
    const auto victim = std::find_if(next, sequences_.rend(), [&](const auto& entry) {
      const Sequence& sequence = entry.second;
      return sequence.phase == SequencePhase::kRunning || sequence.phase == SequencePhase::kAwaitingKv ||
             (sequence.phase == SequencePhase::kHandingOver && !sequence.outgoing.last_sent);
    });
    if (victim == sequences_.rend() || victim->first <= needy.id) return;
    const std::uint64_t id = victim->first;
    preempt(victim->second, out);  // a fetch may be gone with it
    next = std::make_reverse_iterator(sequences_.lower_bound(id));
  }
}

void Worker::preempt(Sequence& sequence, Outbox& out) {
  CHECK(!sequence.in_step);
  if (!sequence.blocks.empty()) {
    ++stats_.num_preemptions;
    ++sequence.preemptions;
  }
  overdue_.cancel(sequence.id);
  close_incoming(sequence);
  sequence.phase = SequencePhase::kPreempted;
  step_back(sequence, out);
}

// Its full blocks stay cached until somebody needs them, so that what it computes again may be little.
void Worker::step_back(Sequence& sequence, Outbox& out) {
  CHECK(sequence.phase == SequencePhase::kPreempted);
  if (sequence.incoming.open || sequence.outgoing.pushes_pending > 0) return;
  if (sequence.kind == SequenceKind::kDecodeHalf) forgo_transfer(sequence, "an older job needed the blocks", out);
  if (sequence.fetch && sequence.kind == SequenceKind::kDecodeHalf) return end_fetch(sequence, "an older job needed the blocks", out);
  if (sequence.fetch) return fail_job(sequence, ErrorCode::kResourceExhausted, "an older job needed the blocks", out);
  if (sequence.kind == SequenceKind::kPrefillHalf) sequence.generated.resize(sequence.emitted);  // the first token is drawn again, the same
  sequence.outgoing.digests.clear();
  blocks_.release(sequence.blocks, sequence.id);
  sequence.blocks.clear();
  sequence.published = sequence.computed = 0;
  sequence.recomputes = true;
  sequence.phase = SequencePhase::kWaiting;
}

// A shared block counts once.
SlotCounts Worker::slots() const {
  const std::uint32_t block_tokens = info_.geometry.block_tokens;
  std::map<BlockId, std::uint32_t> used;
  for (const auto& [id, sequence] : sequences_) {
    const auto running = in_step_.find(id);
    const std::uint32_t filled = sequence.computed + (running == in_step_.end() ? 0 : running->second);
    for (std::uint32_t i = 0; i < sequence.blocks.size(); ++i) {
      std::uint32_t& most = used[sequence.blocks[i]];
      most = std::max(most, std::min(block_tokens, filled - std::min(filled, i * block_tokens)));
    }
  }
  SlotCounts slots;
  slots.held = used.size() * std::uint64_t{block_tokens};
  for (const auto& [block, count] : used) slots.used += count;
  return slots;
}

// Something has stopped touching the sequence's blocks.
void Worker::let_go(Sequence& sequence, Outbox& out) {
  if (sequence.phase == SequencePhase::kEnding) settle(sequence, out);
  else if (sequence.phase == SequencePhase::kPreempted) step_back(sequence, out);
}

}  // namespace baton
