// SPDX-License-Identifier: Apache-2.0
// Layers: the stages a decoder is written in, over some rows (tokens) of one engine step. Every row's result depends on that
// row and the stored KV only, never on the other rows, their number or the threads. A stage is shared out by a Share: to one
// thread (when each thread takes whole rows, many of them) or to all (when rows are few and each thread takes some output
// features of every row). Shapes are CHECKed. One caller at a time per Backend.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "kernels/cpu/ops.h"
#include "kernels/cpu/thread_pool.h"
#include "kernels/kv_geometry.h"
#include "kernels/numerics.h"
#include "kernels/weight_view.h"

namespace baton::cpu {

// Which kernels, on which threads, how exactly. Owns scratch buffers per thread; borrows the rest.
class Backend {
 public:
  Backend(const Ops& table, ThreadPool& pool, Numerics mode) : ops(table), threads(pool), numerics(mode), scratch_(pool.threads()), tiles_(pool.threads()) {}

  const Ops& ops;
  ThreadPool& threads;
  const Numerics numerics;

  // int8 terms of an activation, 0: activations stay float32.
  std::uint32_t terms() const { return numerics == Numerics::kReference ? 0 : numerics == Numerics::kInvariant ? 2 : 1; }
  // At least `floats` of scratch for one thread, aligned to 64 bytes; its content lasts until the thread's next call.
  float* scratch(std::uint32_t thread, std::size_t floats) { return grown(scratch_[thread], floats); }
  // A second one, for results that outlive a use of the first.
  float* tile(std::uint32_t thread, std::size_t floats) { return grown(tiles_[thread], floats); }

 private:
  struct alignas(64) Line {
    float floats[16];
  };
  static float* grown(std::vector<Line>& own, std::size_t floats) {
    if (own.size() * 16 < floats) own.resize((floats + 15) / 16);
    return own.data()->floats;
  }
  std::vector<std::vector<Line>> scratch_;
  std::vector<std::vector<Line>> tiles_;
};

// Who computes a stage: one thread, or all threads of the backend.
class Share {
 public:
  Share(Backend& backend, std::uint32_t thread) : backend_(backend), thread_(thread) {}
  explicit Share(Backend& backend) : backend_(backend) {}

  Backend& backend() const { return backend_; }
  // body(begin, end, thread) over [0, items), in pieces of at least `least` items.
  template <class Body>
  void run(std::uint32_t items, std::uint32_t least, const Body& body) const {
    if (thread_) {
      if (items > 0) body(std::uint32_t{0}, items, *thread_);
      return;
    }
    // Four pieces a thread: they finish together although one of them may have been interrupted.
    const std::uint32_t grain = std::max(least, items / (backend_.threads.threads() * 4));
    backend_.threads.parallel_for(items, grain, body);
  }

 private:
  Backend& backend_;
  std::optional<std::uint32_t> thread_;
};

// A weight matrix: as it lies in the file and, where it is quantized and the numerics want it, in panels.
struct Matrix {
  WeightView view;
  const std::byte* panels = nullptr;

  Panels as_panels() const { return {panels, view.type, view.rows, view.columns}; }
  std::uint32_t tiles() const { return (view.rows + kPanelRows - 1) / kPanelRows; }  // of 16 output features
};

// A dense float32 matrix of rows. The buffer grows to the largest step and stays.
class Rows {
 public:
  // Sets the shape; the content is undefined afterwards.
  void reshape(std::uint32_t rows, std::uint32_t columns) {
    rows_ = rows;
    columns_ = columns;
    if (floats_.size() < std::size_t{rows} * columns) floats_.resize(std::size_t{rows} * columns);
  }
  std::uint32_t rows() const { return rows_; }
  std::uint32_t columns() const { return columns_; }
  float* row(std::uint32_t index) { return floats_.data() + std::size_t{index} * columns_; }
  const float* row(std::uint32_t index) const { return floats_.data() + std::size_t{index} * columns_; }

 private:
  std::uint32_t rows_ = 0;
  std::uint32_t columns_ = 0;
  std::vector<float> floats_;
};

// The input of projections: rows as float32, as int8 terms by 32-blocks, or both, as the matrices that read it want.
class Input {
 public:
  // For readers that are all of the given matrices' kind; the content is undefined afterwards.
  void reshape(const Backend& backend, std::uint32_t rows, std::uint32_t columns, std::span<const Matrix* const> readers);
  // Columns [32 block, +32 or to the end) of rows [first, first + rows), from x, x_stride floats apart. Any thread.
  void put(const Ops& ops, std::uint32_t block, std::uint32_t first, std::uint32_t rows, const float* x, std::size_t x_stride);

  std::uint32_t rows() const { return rows_; }
  std::uint32_t columns() const { return columns_; }
  std::uint32_t blocks() const { return (columns_ + kQuantBlock - 1) / kQuantBlock; }

 private:
  friend class ProjectionTiles;

  std::uint32_t rows_ = 0;
  std::uint32_t columns_ = 0;
  bool floats_wanted_ = false;
  std::uint32_t terms_ = 0;
  std::vector<float> floats_;               // [rows][columns]
  std::vector<std::int8_t> values_;         // [block][rows][terms][32]
  std::vector<float> scales_;               // [block][rows]
  std::vector<float> sums_;                 // [block][rows]
  std::vector<std::int32_t> integer_sums_;  // [block][rows]
};

// out[row][feature - first_feature] = x weights^T, or += it.
struct Projection {
  const Matrix* weights = nullptr;
  float* out = nullptr;
  std::size_t out_stride = 0;
  bool add = false;
  std::uint32_t first_feature = 0;
};

// The rows' places in sequences and in the pool. blocks[row] is that row's sequence's whole block table.
struct PagedRows {
  std::span<const std::uint32_t> positions;
  std::span<const std::span<const std::uint32_t>> blocks;
  KvGeometry geometry;
  std::byte* pool = nullptr;
};

// A range of the step's rows.
struct RowRange {
  std::uint32_t begin = 0;
  std::uint32_t end = 0;
  std::uint32_t count() const { return end - begin; }
};

// Consecutive rows of one sequence at consecutive positions.
struct AttentionTile {
  std::uint32_t row = 0;
  std::uint32_t count = 1;
};
inline constexpr std::uint32_t kAttentionQueries = 32;  // query heads of a tile at most, so that their scores stay near

// Cosines and sines of the rows of one step. frequencies[i]: radians per position of pair i.
class RotaryTable {
 public:
  explicit RotaryTable(std::vector<double> frequencies) : frequencies_(std::move(frequencies)) {}
  RotaryTable() = default;
  void reshape(std::uint32_t rows);
  // Of rows [range): disjoint ranges from different threads.
  void prepare(RowRange range, std::span<const std::uint32_t> positions);
  std::uint32_t rotary() const { return static_cast<std::uint32_t>(frequencies_.size()) * 2; }
  const float* cosines(std::uint32_t row) const { return cosines_.data() + std::size_t{row} * rotary(); }
  const float* sines(std::uint32_t row) const { return sines_.data() + std::size_t{row} * rotary(); }

 private:
  std::vector<double> frequencies_;
  std::vector<float> cosines_;  // (c0, c0, c1, c1, ...) per row
  std::vector<float> sines_;    // (-s0, s0, -s1, s1, ...) per row
};

// x.row(r) = the table's row tokens[r] for r in the range.
void embed(const Ops& ops, const WeightView& table, std::span<const std::int32_t> tokens, RowRange range, Rows& x);
// y = norm(x.row(range)) x gain. y has been reshaped to range.count() rows.
void rms_norm(const Share& share, const Rows& x, RowRange range, std::span<const float> gain, float epsilon, Input& y);
// All projections of one input, as one loop over their output features.
void project(const Share& share, const Input& x, std::span<const Projection> projections);
// Rotates q's and k's heads and writes k and v, [range.count()][kv_heads x head_dim], into the rows' slots of `layer`. q: row 0 is row 0 of the step.
void rope_and_store(const Share& share, const PagedRows& paged, RowRange range, std::uint32_t layer, const RotaryTable& table, Rows& q,
                    Rows& k, const Rows& v);
// Appends the tiles of the range's rows: neighbouring tokens of one sequence that attention takes together.
void cut_attention_tiles(const PagedRows& paged, RowRange range, std::uint32_t heads_per_kv_head, std::vector<AttentionTile>& tiles);
// Causal attention of the range's rows of q, [heads x head_dim], over stored positions [0, own]. `tiles`: the range's. The
// result goes to `attended`, [range.count()][heads x head_dim], and from there to `out`.
void attention(const Share& share, const PagedRows& paged, std::span<const AttentionTile> tiles, RowRange range, std::uint32_t layer,
               const Rows& q, Rows& attended, Input& out);
// out = silu(x gate^T) x (x up^T), by 32-blocks of features.
void gated_unit(const Share& share, const Input& x, const Matrix& gate, const Matrix& up, Input& out);

}  // namespace baton::cpu
