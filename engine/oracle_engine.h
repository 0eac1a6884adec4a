// SPDX-License-Identifier: Apache-2.0
// The oracle: an engine whose model is an integer hash over the KV bytes actually stored, `model: { path: "oracle:" }`.
// Row (position, layer, head, K|V) = H(position, token, plane); the next token = Mix(sum of H'(row as read back through the
// block table) over all positions). Any stale, swapped, corrupt, half-copied or foreign block changes a token, and a ten-line
// recurrence that reads no KV (oracle_stream) tells what every token should have been. So chaos tests of real processes and
// of the simulator check every token of every stream at a million tokens a second.
// Of the sampling parameters it honours those that decide where a stream ends (max_tokens, min_tokens, stop_token_ids,
// ignore_eos), seed and choice where temperature is not 0, and logprobs. It has no logits, so the others change nothing.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "engine/engine.h"
#include "runtime/base/time.h"

namespace baton {

inline constexpr std::uint32_t kOracleVocabulary = 1024;
inline constexpr TokenId kOracleStopToken = 0;

struct OracleOptions {
  std::uint32_t block_tokens = 16;
  std::uint32_t max_model_len = 4096;
  std::uint64_t salt = 0;  // another salt is another model: other hash, other tokens
  std::uint32_t layers = 2;
  std::uint32_t kv_heads = 2;
  std::uint32_t head_dim = 1;  // 64-bit values in a row
  std::uint32_t vocab_size = kOracleVocabulary;
  Duration step_time{};   // a step takes at least that long, and each of its tokens that much more: for tests that need
  Duration token_time{};  // jobs to be under way. Real time; the simulator has its own
  TokenId crash_on = -1;  // a step that computes this id ends the process, as a request does that a kernel cannot bear: for tests
};

// What the pool must be sized by, before there is a pool.
EngineInfo oracle_info(const OracleOptions& options);
// Borrows the pool: a whole number of blocks.
std::unique_ptr<Engine> make_oracle_engine(const OracleOptions& options, std::span<std::byte> pool);

// What the oracle says where log-probabilities are asked for: not those of any distribution, but other ones at every position
// and for every token, so that a test sees when they do not survive the way. The `top` tokens are the token and those after it.
ScoredToken oracle_scores(std::uint32_t position, TokenId token, std::uint32_t top, std::uint32_t vocab_size);

// The independent recurrence: the generated tokens of a job, up to one that ends it (included) or max_tokens.
std::vector<TokenId> oracle_stream(const OracleOptions& options, std::span<const TokenId> prompt, const SamplingParams& sampling);

}  // namespace baton
