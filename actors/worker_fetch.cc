// SPDX-License-Identifier: Apache-2.0
// Fetching: KV of a known text goes from one worker's prefix cache to another's, without a job. The source pushes the whole blocks it
// has, the destination verifies them like any others and publishes those that are right, up to the first that is not. Both begin at
// once or not at all: a fetch takes nobody's turn, and where there is no room it ends with what is here.
#include <algorithm>
#include <utility>

#include "actors/worker.h"
#include "kvstore/transfer_plan.h"
#include "runtime/base/check.h"

namespace baton {

void Worker::begin_fetch(Sequence& sequence, Outbox& out) {
  sequence.recomputes = true;  // what is found counts as nobody's hit
  sequence.prompt.resize(sequence.prompt.size() / info_.geometry.block_tokens * info_.geometry.block_tokens);
  const std::vector<BlockId> found = cached_prefix(sequence);
  if (sequence.kind == SequenceKind::kPrefillHalf) {
    sequence.phase = SequencePhase::kHandingOver;
    take_prefix(sequence, found, out);
    blocks_.lease(sequence.blocks, sequence.id);
    overdue_.set(sequence.id, out.now() + 2 * options_.transfer_time_limit);
    arm(out);
    hand_over(sequence, out);  // nothing found is an answer, too
    return;
  }
  const auto revived = static_cast<std::uint64_t>(std::ranges::count_if(found, [this](BlockId block) { return blocks_.state(block) == BlockState::kCached; }));
  const std::uint32_t needed = info_.geometry.blocks_for(sequence.start_length()) - static_cast<std::uint32_t>(found.size());
  if (needed == 0) {
    take_prefix(sequence, found, out);
    return end_fetch(sequence, {}, out);
  }
  if (needed + revived + blocks_spoken_for() > blocks_.counts().available()) return end_fetch(sequence, "no room", out);
  take_prefix(sequence, found, out);
  take_blocks(sequence, needed);
  open_transfer(sequence, out);
}

// What has come and been said of it, once nothing more will.
void Worker::check_fetch(Sequence& sequence, Outbox& out) {
  IncomingKv& incoming = sequence.incoming;
  const std::uint32_t blocks = info_.geometry.blocks_for(sequence.start_length());
  if (incoming.open) {
    // A transfer closes by itself when all of it has landed. The source had less.
    const bool all_here = incoming.last_received && incoming.landed.size() >= incoming.handles.size();
    if (all_here && incoming.first_block + incoming.handles.size() < blocks && !std::exchange(incoming.closing, true)) plane_.close(incoming.transfer);
    return;
  }
  // Every byte has landed, but word of what it is may still be on its way.
  const bool peer_here = peers_.contains(sequence.peer.node) && peers_.at(sequence.peer.node).actor == sequence.peer;
  if (incoming.complete && !incoming.last_received && peer_here) return;
  std::uint32_t verified = incoming.first_block;
  while (verified < blocks && is_as_sent(sequence, verified)) ++verified;
  take_in(sequence, verified);
  end_fetch(sequence, verified == blocks ? std::string() : "the source had, or sent, less", out);
}

void Worker::end_fetch(Sequence& sequence, const std::string& why, Outbox& out) {
  CHECK(sequence.fetch && sequence.kind == SequenceKind::kDecodeHalf);
  out.send(coordinator_, PrefixFetched{sequence.job, sequence.epoch, sequence.published * info_.geometry.block_tokens, why});
  if (sequence.incoming.transfer != TransferId{})
    out.send(sequence.peer, TransferResult{sequence.incoming.transfer, sequence.job, sequence.epoch, why.empty(), why.substr(0, kReasonBytesMax)});
  end(sequence, out);
}

}  // namespace baton
