// SPDX-License-Identifier: Apache-2.0
// StepRows: a BatchPlan as the rows of a device step, on the host: which rows attend on their own and which in tiles, whose logits are
// wanted, what is drawn from them, which blocks want digests. Rows of sequences that attend on their own come first. Plain
// data, filled anew each step; vectors keep their memory.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/engine.h"
#include "kernels/cuda/ops.h"

namespace baton {

struct StepRowsOptions {
  bool invariant = true;
  std::uint32_t heads_per_kv_head = 1;
  std::uint32_t pieces_most = 0;   // of a run of rows that attend on their own
  std::uint32_t pool_blocks = 0;
};

class StepRows {
 public:
  // A row whose logits are wanted: for the draw of a sequence, or for the `scored`-th token of its prompt.
  struct Pick {
    std::uint32_t sequence = 0;  // index in the plan
    std::int32_t scored = -1;
  };

  // CHECKs what engine.h asks of a plan.
  void fill(const BatchPlan& plan, const EngineInfo& info, const StepRowsOptions& options);
  // With rows that are padding up to `rows`, and as many draws: what a graph of that size reads.
  void pad(std::uint32_t rows);
  // Whether each sequence has one token and draws one: what a decode graph can do.
  bool only_decodes() const { return only_decodes_; }

  std::vector<TokenId> tokens;
  std::vector<std::uint32_t> positions;
  std::vector<std::uint32_t> sequences;      // of each row: its block table
  std::vector<std::uint32_t> tables;         // [sequences][stride]
  std::uint32_t stride = 0;                  // a power of two
  std::uint32_t alone = 0;
  std::vector<std::uint32_t> runs;
  std::vector<cuda::PromptTile> tiles;
  std::vector<std::uint32_t> picked;         // rows
  std::vector<Pick> picks;                   // of each picked row that is not padding
  std::vector<cuda::SampleRow> samples;      // of each picked row
  std::vector<cuda::LogitChange> changes;
  std::vector<cuda::DigestBlock> digests;    // of all sequences, in the plan's order

 private:
  void add_sequence(const BatchPlan& plan, std::uint32_t index, const EngineInfo& info, const StepRowsOptions& options);
  void add_sample(const SequencePlan& sequence, std::uint32_t index, const EngineInfo& info);
  void add_tiles(const SequencePlan& sequence, std::uint32_t first_row, std::uint32_t table, const StepRowsOptions& options);
  void cut_runs(const StepRowsOptions& options);

  bool only_decodes_ = false;
};

}  // namespace baton
