// SPDX-License-Identifier: Apache-2.0
// Sequence: one attempt of one job as a worker sees it. Plain data, owned by the Worker.
//
//   kWaiting --blocks--> kRunning ----------------------------> kEnding   role both, or a job of one token
//   kWaiting --blocks--> kRunning --prompt done--> kHandingOver --> kEnding   prefill half
//   kWaiting --blocks, grant--> kAwaitingKv --verified--> kRunning --> kEnding  decode half
//                                    '--lost, corrupt or late--> kRunning as a local one (a miss is recomputed here)
//   kRunning, kHandingOver, kAwaitingKv --an older one needs the blocks--> kPreempted --untouched--> kWaiting
//
// An attempt at a job that has been under way begins with the ids that were generated before (`emitted`); they are computed like a
// prompt. A fetch is a pair of halves without a job: kHandingOver at the source, kAwaitingKv at the destination, nothing is computed.
//
// A preempted sequence keeps its turn and what it has generated; it computes prompt and generated tokens again and goes on with the
// same tokens. A preempted decode half goes on as a local one.
//
// kPreempted and kEnding last until nothing touches the blocks any more: no engine step, no push that reads them, no transfer that may
// still write them. Only then they go back to the pool.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "kernels/block_id.h"
#include "kvstore/prefix_index.h"
#include "protocol/messages.h"
#include "runtime/base/time.h"
#include "scheduling/batch_plan.h"

namespace baton {

enum class SequencePhase : std::uint8_t { kWaiting, kAwaitingKv, kRunning, kHandingOver, kPreempted, kEnding };
enum class SequenceKind : std::uint8_t { kLocal, kPrefillHalf, kDecodeHalf };

// The prefill half's view of the transfer.
struct OutgoingKv {
  std::optional<Grant> grant;
  std::vector<std::uint64_t> digests;  // of the prompt's first blocks: computed, or found with a digest
  std::uint32_t blocks_pushed = 0;     // logical: the first block not yet pushed
  std::uint32_t pushes_pending = 0;
  bool last_sent = false;
  bool declined = false;  // decode computes the prompt itself
  bool result_received = false;
};

// The decode half's view of it.
struct IncomingKv {
  TransferId transfer;
  bool open = false;                                // the data plane may still write the blocks
  std::optional<Time> begun;                        // when the first sign of the hand-over came: the next must come in time
  bool asked = false;                               // it has not come in time, and the peer has been asked
  bool closing = false;                             // with less than was granted: the source had no more
  bool complete = false;                            // closed with everything landed
  std::uint32_t first_block = 0;                    // logical: those before it were found in the prefix cache
  std::map<std::uint32_t, std::uint64_t> landed;    // logical block -> digest of what landed
  std::map<std::uint32_t, KvHandle> handles;        // logical block -> what was sent
  bool last_received = false;
  ScoredToken first;
  std::uint64_t bytes = 0;
  std::string transport;
};

struct Sequence {
  std::uint64_t id = 0;  // the worker's own, increasing: order of arrival; also a holder of its blocks
  JobId job;
  Epoch epoch = 0;
  ActorRef edge;
  ActorRef peer;  // the other half's worker
  SequenceKind kind = SequenceKind::kLocal;
  SequencePhase phase = SequencePhase::kWaiting;
  std::vector<TokenId> prompt;
  SamplingParams sampling;
  PrefixContext context;
  std::vector<TokenId> generated;
  std::uint32_t emitted = 0;   // of them, those that earlier attempts had generated: the edge has them
  bool fetch = false;          // nothing but its prompt's KV goes from cache to cache
  ScoredToken first;           // the first of them, with the log-probabilities that decode emits again
  std::uint32_t computed = 0;  // positions whose K and V are in the blocks
  std::vector<BlockId> blocks;  // at least those of the computed positions
  std::uint32_t published = 0;  // of them, the leading ones that are in the prefix index; never written again
  Time arrived{};               // here
  std::optional<Time> began;    // its first step
  Time first_at{};              // its first token was drawn here, or taken over with its KV
  std::uint32_t cached_tokens = 0;  // of its prompt, found when it was admitted first
  Duration handed_over{};       // from the first sign of the hand-over to its end, well or not
  bool missed = false;          // it ended not well
  std::uint32_t preemptions = 0;
  bool recomputes = false;      // was preempted; what the cache gives back to it is no hit
  bool in_step = false;
  OutgoingKv outgoing;
  IncomingKv incoming;

  // The positions that are computed, and handed over, before this attempt draws a token.
  std::uint32_t start_length() const { return static_cast<std::uint32_t>(prompt.size()) + emitted; }
  std::uint32_t length() const { return static_cast<std::uint32_t>(prompt.size() + generated.size()); }
  TokenId token_at(std::uint32_t position) const {
    return position < prompt.size() ? prompt[position] : generated[position - prompt.size()];
  }
  std::vector<TokenId> tokens(std::uint32_t from, std::uint32_t count) const {
    std::vector<TokenId> copy(count);
    for (std::uint32_t i = 0; i < count; ++i) copy[i] = token_at(from + i);
    return copy;
  }
};

// What the sampling parameters add to a share whose inputs are filled in: the ids that the draw depends on, and the prompt
// ids whose log-probabilities are asked for.
inline void plan_sampling(const Sequence& sequence, SequencePlan& share) {
  share.sampling = sequence.sampling;
  share.generated = static_cast<std::uint32_t>(sequence.generated.size());
  if (share.sample && share.sampling.reads_history()) {
    share.history = sequence.prompt;
    share.history.insert(share.history.end(), sequence.generated.begin(), sequence.generated.end());
  }
  if (!share.sampling.prompt_logprobs) return;
  const std::size_t next = std::size_t{share.first_position} + 1;
  for (std::size_t at = next; at < next + share.tokens.size() && at < sequence.prompt.size(); ++at) share.scored.push_back(sequence.prompt[at]);
}

}  // namespace baton
