// SPDX-License-Identifier: Apache-2.0
// Layers: the steps a decoder is written in, over all rows (tokens) of one engine step. Each call is one parallel loop over
// a Backend's threads; every row's result depends on that row and the stored KV only, never on the other rows, the number
// of rows or of threads. Shapes are CHECKed. One caller at a time per Backend.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "kernels/cpu/ops.h"
#include "kernels/cpu/thread_pool.h"
#include "kernels/kv_geometry.h"
#include "kernels/numerics.h"
#include "kernels/weight_view.h"

namespace baton::cpu {

// Which kernels, on which threads, how exactly. Owns one scratch buffer per thread; borrows the rest.
class Backend {
 public:
  Backend(const Ops& table, ThreadPool& pool, Numerics mode)
      : ops(table), threads(pool), numerics(mode), scratch_(pool.threads()) {}

  const Ops& ops;
  ThreadPool& threads;
  const Numerics numerics;

  // At least `floats` of scratch for one thread; its content lasts until the thread's next call.
  float* scratch(std::uint32_t thread, std::size_t floats) {
    std::vector<float>& own = scratch_[thread];
    if (own.size() < floats) own.resize(floats);
    return own.data();
  }
  // Pieces of a loop over `items`: all at once for one thread, else enough pieces that threads finish together.
  std::uint32_t grain(std::uint32_t items) const {
    const std::uint32_t pieces = threads.threads() == 1 ? 1 : threads.threads() * 4;
    return items < pieces ? 1 : items / pieces;
  }

 private:
  std::vector<std::vector<float>> scratch_;
};

// Float32 rows [rows][columns] and, under kInvariant, the quantized form that matmuls read (see Ops::quantize_row). Buffers
// grow to the largest step and stay.
class Activations {
 public:
  // Sets the shape; the content is undefined afterwards.
  void reshape(std::uint32_t rows, std::uint32_t columns);
  std::uint32_t rows() const { return rows_; }
  std::uint32_t columns() const { return columns_; }
  float* row(std::uint32_t index) { return floats_.data() + static_cast<std::size_t>(index) * columns_; }
  const float* row(std::uint32_t index) const { return floats_.data() + static_cast<std::size_t>(index) * columns_; }

  // Makes room for the quantized form, then makes it of rows [begin, end) (from any thread). Nothing under kReference.
  void prepare_quantized(const Backend& backend);
  void quantize(const Backend& backend, std::uint32_t begin, std::uint32_t end);

 private:
  friend class ProjectionTiles;

  bool quantized_ = false;
  std::uint32_t rows_ = 0;
  std::uint32_t columns_ = 0;
  std::vector<float> floats_;
  std::vector<std::int16_t> values_;
  std::vector<float> scales_;
  std::vector<float> sums_;
};

struct Projection {
  WeightView weights;
  Activations* out = nullptr;
};

// The rows' places in sequences and in the pool. blocks[row] is that row's sequence's whole block table.
struct PagedRows {
  std::span<const std::uint32_t> positions;
  std::span<const std::span<const std::uint32_t>> blocks;
  KvGeometry geometry;
  std::byte* pool = nullptr;
};

// Cosines and sines of the rows of one step. frequencies[i]: radians per position of pair i.
class RotaryTable {
 public:
  explicit RotaryTable(std::vector<double> frequencies) : frequencies_(std::move(frequencies)) {}
  RotaryTable() = default;
  void prepare(Backend& backend, std::span<const std::uint32_t> positions);
  std::uint32_t rotary() const { return static_cast<std::uint32_t>(frequencies_.size()) * 2; }
  const float* cosines(std::uint32_t row) const { return cosines_.data() + std::size_t{row} * rotary(); }
  const float* sines(std::uint32_t row) const { return sines_.data() + std::size_t{row} * rotary(); }

 private:
  std::vector<double> frequencies_;
  std::vector<float> cosines_;  // (c0, c0, c1, c1, ...) per row
  std::vector<float> sines_;    // (-s0, s0, -s1, s1, ...) per row
};

// x[row] = the table's row tokens[row].
void embed(Backend& backend, const WeightView& table, std::span<const std::int32_t> tokens, Activations& x);
// y = norm(x) x gain, ready for project(). y gets x's shape.
void rms_norm(Backend& backend, const Activations& x, std::span<const float> gain, float epsilon, Activations& y);
// Each projection's out = x weights^T. x must be ready (made by rms_norm, attention or silu_multiply).
void project(Backend& backend, const Activations& x, std::span<const Projection> projections);
// Rotates the heads of q and k, each [rows][heads x head_dim], in place.
void rope(Backend& backend, const RotaryTable& table, std::uint32_t head_dim, Activations& q, Activations& k);
// Writes k and v, [rows][kv_heads x head_dim], into the rows' slots of `layer`.
void store_kv(Backend& backend, const PagedRows& paged, std::uint32_t layer, const Activations& k, const Activations& v);
// Causal attention of q's heads over stored positions [0, own]; out, [rows][heads x head_dim], ready for project().
void attention(Backend& backend, const PagedRows& paged, std::uint32_t layer, const Activations& q, Activations& out);
// gate = silu(gate) x up, ready for project().
void silu_multiply(Backend& backend, Activations& gate, const Activations& up);
// x += y
void add(Backend& backend, Activations& x, const Activations& y);

}  // namespace baton::cpu
