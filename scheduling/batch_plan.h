// SPDX-License-Identifier: Apache-2.0
// BatchPlan: what one engine step computes, as plain data. One ragged batch mixes prefill chunks and decode tokens.
// Made by the worker actor, consumed by the engine thread; owns everything it names (no pointers into the actor).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kernels/block_id.h"
#include "protocol/sampling_params.h"
#include "runtime/base/result.h"

namespace baton {

// One sequence's share of a step: `tokens` are the inputs at positions [first_position, first_position + tokens.size()).
// Their K and V are written through `blocks` first; attention then reads all positions up to each token's own.
struct SequencePlan {
  std::uint64_t sequence = 0;           // the worker's own handle; echoed in the result
  std::uint32_t first_position = 0;
  std::vector<TokenId> tokens;          // >= 1
  std::vector<BlockId> blocks;          // blocks[i] holds positions [i*block_tokens, (i+1)*block_tokens); covers the step
  bool sample = false;                  // draw the token that follows the last input (false: more chunks follow)
  SamplingParams sampling;
  std::uint32_t generated = 0;          // with sample: how many of the sequence's ids before the drawn one were generated
  std::vector<TokenId> history;         // with sample, if sampling.reads_history(): all its ids so far, prompt first
  // With sampling.prompt_logprobs: the prompt ids that follow the inputs, of each input whose successor is one. The engine
  // then returns their log-probabilities, so no position of such a prompt may be skipped as known.
  std::vector<TokenId> scored;
  // Logical blocks [digest_begin, digest_end) whose content is final after this step and wants a digest.
  std::uint32_t digest_begin = 0;
  std::uint32_t digest_end = 0;
};

struct BatchPlan {
  std::uint64_t step = 0;
  std::vector<SequencePlan> sequences;
};

// A token with its log-probability and the likeliest ones at its place, most likely first; under the unmodified distribution.
struct ScoredToken {
  TokenId token = 0;
  float logprob = 0.0F;                 // natural log
  std::vector<TokenLogprob> top;        // as many as were asked for, ties to the lower id
};

struct SequenceResult {
  std::uint64_t sequence = 0;
  bool sampled = false;
  TokenId token = 0;
  float logprob = 0.0F;                 // natural log, of the drawn token under the unmodified distribution; 0 unless
                                        // sampling.logprobs asks for it
  std::vector<TokenLogprob> top = {};   // likewise the likeliest tokens there
  std::vector<ScoredToken> prompt = {}; // of the plan's `scored`
  std::vector<std::uint64_t> digests = {};  // of [digest_begin, digest_end)
  std::string error = {};               // not empty: this sequence failed (NaN logits); the others are unharmed
  ErrorCode code = ErrorCode::kInternal;  // of the error
};

struct StepResult {
  std::uint64_t step = 0;
  std::vector<SequenceResult> sequences;  // in the plan's order
};

}  // namespace baton
