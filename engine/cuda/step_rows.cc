// SPDX-License-Identifier: Apache-2.0
#include "engine/cuda/step_rows.h"

#include <algorithm>
#include <bit>

#include "engine/logit_changes.h"
#include "runtime/base/check.h"

namespace baton {
namespace {

// Chunks of up to so many tokens attend row by row: a tile would leave most of the device idle.
constexpr std::uint32_t kFewTokens = 4;

bool attends_alone(const SequencePlan& sequence, const StepRowsOptions& options) { return options.invariant || sequence.tokens.size() <= kFewTokens; }

}  // namespace

void StepRows::fill(const BatchPlan& plan, const EngineInfo& info, const StepRowsOptions& options) {
  for (auto* each : {&positions, &sequences, &tables, &runs, &picked}) each->clear();
  tokens.clear(), tiles.clear(), picks.clear(), samples.clear(), changes.clear(), digests.clear();
  std::size_t longest = 1;
  only_decodes_ = true;
  for (const SequencePlan& sequence : plan.sequences) {
    longest = std::max(longest, sequence.blocks.size());
    only_decodes_ = only_decodes_ && sequence.tokens.size() == 1 && sequence.sample && sequence.scored.empty();
  }
  stride = static_cast<std::uint32_t>(std::bit_ceil(longest));
  tables.resize(plan.sequences.size() * stride);
  for (const bool in_tiles : {false, true}) {
    for (std::uint32_t index = 0; index < plan.sequences.size(); ++index)
      if (attends_alone(plan.sequences[index], options) != in_tiles) add_sequence(plan, index, info, options);
    if (!in_tiles) alone = static_cast<std::uint32_t>(tokens.size());
  }
  // Late tiles read the most.
  std::sort(tiles.begin(), tiles.end(), [](const cuda::PromptTile& a, const cuda::PromptTile& b) { return a.first_position + a.tokens > b.first_position + b.tokens; });
  cut_runs(options);
  for (const SequencePlan& sequence : plan.sequences) {
    const auto end = sequence.first_position + static_cast<std::uint32_t>(sequence.tokens.size());
    CHECK(sequence.digest_end <= sequence.digest_begin || sequence.digest_end <= info.geometry.blocks_for(end), "digest of a block not yet written");
    for (std::uint32_t block = sequence.digest_begin; block < sequence.digest_end; ++block) {
      const std::uint32_t first = block * info.geometry.block_tokens;
      digests.push_back({sequence.blocks[block], first, std::min(info.geometry.block_tokens, end - first)});
    }
  }
}

void StepRows::add_sequence(const BatchPlan& plan, std::uint32_t index, const EngineInfo& info, const StepRowsOptions& options) {
  const SequencePlan& sequence = plan.sequences[index];
  const std::uint64_t end = std::uint64_t{sequence.first_position} + sequence.tokens.size();
  CHECK(!sequence.tokens.empty() && end <= info.max_model_len);
  CHECK(info.geometry.blocks_for(end) <= sequence.blocks.size(), "positions past the block table");
  CHECK(sequence.scored.size() <= sequence.tokens.size(), "more scored tokens than inputs");
  for (const BlockId block : sequence.blocks) CHECK(block < options.pool_blocks, "block outside the pool");
  std::copy(sequence.blocks.begin(), sequence.blocks.end(), tables.begin() + std::size_t{index} * stride);
  const auto first_row = static_cast<std::uint32_t>(tokens.size());
  for (std::uint32_t i = 0; i < sequence.tokens.size(); ++i) {
    const TokenId token = sequence.tokens[i];
    CHECK(token >= 0 && static_cast<std::uint32_t>(token) < info.vocab_size, "token outside the vocabulary");
    tokens.push_back(token);
    positions.push_back(sequence.first_position + i);
    sequences.push_back(index);
  }
  if (!attends_alone(sequence, options)) add_tiles(sequence, first_row, index, options);
  if (sequence.sample) {
    picked.push_back(static_cast<std::uint32_t>(tokens.size()) - 1);
    add_sample(sequence, index, info);
  }
  for (std::uint32_t i = 0; i < sequence.scored.size(); ++i) {
    picked.push_back(first_row + i);
    picks.push_back({index, static_cast<std::int32_t>(i)});
    samples.push_back({.top = static_cast<std::int32_t>(sequence.sampling.prompt_logprobs.value_or(0)), .given = sequence.scored[i]});
  }
}

void StepRows::add_sample(const SequencePlan& sequence, std::uint32_t index, const EngineInfo& info) {
  const SamplingParams& p = sequence.sampling;
  const std::uint64_t position = std::uint64_t{sequence.first_position} + sequence.tokens.size();
  picks.push_back({index, -1});
  const auto first_change = static_cast<std::uint32_t>(changes.size());
  for (const TokenChange& change : logit_changes(p, {position, sequence.generated, sequence.history, info.stop_tokens})) {
    CHECK(change.token >= 0 && static_cast<std::uint32_t>(change.token) < info.vocab_size, "a sampling parameter names a token outside the vocabulary");
    changes.push_back({static_cast<std::uint32_t>(change.token), change.forbidden, change.bias, change.count, change.in_prompt, 0});
  }
  samples.push_back({.generator_key = p.generator_key(),
                     .position = position,
                     .temperature = p.temperature,
                     .top_p = p.top_p,
                     .min_p = p.min_p,
                     .top_k = p.top_k,
                     .repetition_penalty = p.repetition_penalty,
                     .presence_penalty = p.presence_penalty,
                     .frequency_penalty = p.frequency_penalty,
                     .first_change = first_change,
                     .changes = static_cast<std::uint32_t>(changes.size()) - first_change,
                     .top = p.logprobs ? static_cast<std::int32_t>(std::min(*p.logprobs, cuda::kMostTop)) : -1});
}

void StepRows::add_tiles(const SequencePlan& sequence, std::uint32_t first_row, std::uint32_t table, const StepRowsOptions& options) {
  const std::uint32_t most = cuda::prompt_tile_tokens(options.heads_per_kv_head), count = static_cast<std::uint32_t>(sequence.tokens.size());
  for (std::uint32_t i = 0; i < count; i += most) tiles.push_back({first_row + i, std::min(most, count - i), sequence.first_position + i, table});
}

// Not invariant, pieces are cut so that there are few of them: one run.
void StepRows::cut_runs(const StepRowsOptions& options) {
  std::uint32_t pieces = 0;
  for (std::uint32_t row = 0; options.invariant && row < alone; ++row) {
    const std::uint32_t more = cuda::attention_pieces(positions[row] + 1);
    CHECK(more <= options.pieces_most);
    if (pieces + more > options.pieces_most) runs.push_back(row), pieces = 0;
    pieces += more;
  }
  if (alone != 0) runs.push_back(alone);
}

void StepRows::pad(std::uint32_t rows) {
  tokens.resize(rows, 0);
  positions.resize(rows, cuda::kNoPosition);
  sequences.resize(rows, 0);
  tables.resize(std::size_t{rows} * stride);
  picked.clear();
  for (std::uint32_t row = 0; row < rows; ++row) picked.push_back(row);
  samples.resize(rows);
  alone = rows;
  runs.assign(1, rows);
}

}  // namespace baton
