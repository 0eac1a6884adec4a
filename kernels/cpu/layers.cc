// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/layers.h"

#include <algorithm>
#include <cmath>

#include "kernels/deterministic_math.h"
#include "runtime/base/check.h"

namespace baton::cpu {

void Activations::reshape(std::uint32_t rows, std::uint32_t columns) {
  rows_ = rows;
  columns_ = columns;
  const std::size_t elements = static_cast<std::size_t>(rows) * columns;
  if (floats_.size() < elements) floats_.resize(elements);
}

void Activations::prepare_quantized(const Backend& backend) {
  quantized_ = backend.numerics == Numerics::kInvariant && columns_ % kQuantBlock == 0;
  const std::size_t elements = static_cast<std::size_t>(rows_) * columns_;
  if (!quantized_ || values_.size() >= elements) return;
  values_.resize(elements);
  scales_.resize(elements / kQuantBlock);
  sums_.resize(elements / kQuantBlock);
}

void Activations::quantize(const Backend& backend, std::uint32_t begin, std::uint32_t end) {
  for (std::uint32_t index = begin; quantized_ && index < end; ++index)
    backend.ops.quantize_row(row(index), columns_, rows_, values_.data() + std::size_t{index} * kQuantBlock, scales_.data() + index,
                             sums_.data() + index);
}

namespace {

bool is_quantized(WeightType type) { return weight_block_elements(type) == kQuantBlock; }

constexpr std::uint32_t kTileRows = kMatmulRows;
static_assert(kTileRows % kFloatRows == 0);

std::uint32_t tiles_of(const WeightView& weights) { return (weights.rows + kTileRows - 1) / kTileRows; }

}  // namespace

// The output rows of several projections of the same input, as one row of tiles to be shared out.
class ProjectionTiles {
 public:
  ProjectionTiles(Backend& backend, const Activations& x, std::span<const Projection> projections)
      : backend_(backend), x_(x), projections_(projections) {}

  std::uint32_t count() const {
    std::uint32_t tiles = 0;
    for (const Projection& projection : projections_) tiles += tiles_of(projection.weights);
    return tiles;
  }
  void compute(std::uint32_t begin, std::uint32_t end, std::uint32_t thread) const {
    std::uint32_t first = 0;  // tile at which the projection starts
    for (const Projection& projection : projections_) {
      const std::uint32_t tiles = tiles_of(projection.weights);
      const std::uint32_t from = std::max(begin, first);
      const std::uint32_t to = std::min(end, first + tiles);
      if (from < to) {
        const std::uint32_t row_begin = (from - first) * kTileRows;
        const std::uint32_t row_end = std::min((to - first) * kTileRows, projection.weights.rows);
        if (backend_.numerics == Numerics::kInvariant && is_quantized(projection.weights.type))
          quantized(projection, row_begin, row_end);
        else
          floats(projection, row_begin, row_end, thread);
      }
      first += tiles;
    }
  }

 private:
  void quantized(const Projection& projection, std::uint32_t row_begin, std::uint32_t row_end) const {
    const WeightView& weights = projection.weights;
    CHECK(x_.quantized_, "the input of a quantized matmul was not made ready");
    backend_.ops.matmul_quantized({.weights = weights.data,
                                   .type = weights.type,
                                   .row_bytes = weights.row_bytes(),
                                   .row_begin = row_begin,
                                   .row_end = row_end,
                                   .blocks = weights.columns / kQuantBlock,
                                   .values = x_.values_.data(),
                                   .scales = x_.scales_.data(),
                                   .sums = x_.sums_.data(),
                                   .tokens = x_.rows(),
                                   .out = projection.out->row(0),
                                   .out_stride = weights.rows});
  }
  void floats(const Projection& projection, std::uint32_t row_begin, std::uint32_t row_end, std::uint32_t thread) const {
    const WeightView& weights = projection.weights;
    const bool stored_as_float = weights.type == WeightType::kF32;
    float* scratch = backend_.scratch(thread, std::size_t{kFloatRows} * weights.columns);
    for (std::uint32_t row = row_begin; row < row_end; row += kFloatRows) {
      DotRows dot{.count = std::min(kFloatRows, row_end - row),
                  .columns = weights.columns,
                  .x = x_.row(0),
                  .tokens = x_.rows(),
                  .out = projection.out->row(0) + row,
                  .out_stride = weights.rows};
      for (std::uint32_t i = 0; i < dot.count; ++i) {
        const std::byte* raw = weights.row(row + i);
        float* widened = scratch + std::size_t{i} * weights.columns;
        if (!stored_as_float) backend_.ops.dequantize_row(raw, weights.type, weights.columns, widened);
        dot.rows[i] = stored_as_float ? reinterpret_cast<const float*>(raw) : widened;
      }
      backend_.ops.dot_rows(dot);
    }
  }

  Backend& backend_;
  const Activations& x_;
  std::span<const Projection> projections_;
};

void RotaryTable::prepare(Backend& backend, std::span<const std::uint32_t> positions) {
  const auto rows = static_cast<std::uint32_t>(positions.size());
  cosines_.resize(std::size_t{rows} * rotary());
  sines_.resize(std::size_t{rows} * rotary());
  backend.threads.parallel_for(rows, backend.grain(rows), [&](std::uint32_t begin, std::uint32_t end, std::uint32_t) {
    for (std::uint32_t row = begin; row < end; ++row)
      for (std::size_t pair = 0; pair < frequencies_.size(); ++pair) {
        const SineCosine angle = deterministic_sincos(positions[row] * frequencies_[pair]);
        const std::size_t at = std::size_t{row} * rotary() + 2 * pair;
        cosines_[at] = cosines_[at + 1] = static_cast<float>(angle.cosine);
        sines_[at + 1] = static_cast<float>(angle.sine);
        sines_[at] = -sines_[at + 1];
      }
  });
}

void embed(Backend& backend, const WeightView& table, std::span<const std::int32_t> tokens, Activations& x) {
  x.reshape(static_cast<std::uint32_t>(tokens.size()), table.columns);
  for (std::uint32_t row = 0; row < x.rows(); ++row) {
    CHECK(tokens[row] >= 0 && static_cast<std::uint32_t>(tokens[row]) < table.rows, "token outside the vocabulary");
    backend.ops.dequantize_row(table.row(static_cast<std::uint32_t>(tokens[row])), table.type, table.columns, x.row(row));
  }
}

void rms_norm(Backend& backend, const Activations& x, std::span<const float> gain, float epsilon, Activations& y) {
  CHECK(gain.size() == x.columns());
  y.reshape(x.rows(), x.columns());
  y.prepare_quantized(backend);
  backend.threads.parallel_for(x.rows(), backend.grain(x.rows()), [&](std::uint32_t begin, std::uint32_t end, std::uint32_t) {
    for (std::uint32_t row = begin; row < end; ++row)
      backend.ops.rms_norm(x.row(row), gain.data(), x.columns(), epsilon, y.row(row));
    y.quantize(backend, begin, end);
  });
}

void project(Backend& backend, const Activations& x, std::span<const Projection> projections) {
  for (const Projection& projection : projections) {
    CHECK(projection.weights.columns == x.columns());
    projection.out->reshape(x.rows(), projection.weights.rows);
  }
  const ProjectionTiles tiles(backend, x, projections);
  const std::uint32_t count = tiles.count();
  backend.threads.parallel_for(count, backend.grain(count), [&](std::uint32_t begin, std::uint32_t end, std::uint32_t thread) {
    tiles.compute(begin, end, thread);
  });
}

void rope(Backend& backend, const RotaryTable& table, std::uint32_t head_dim, Activations& q, Activations& k) {
  CHECK(q.rows() == k.rows() && q.columns() % head_dim == 0 && k.columns() % head_dim == 0 && table.rotary() <= head_dim);
  backend.threads.parallel_for(q.rows(), backend.grain(q.rows()), [&](std::uint32_t begin, std::uint32_t end, std::uint32_t) {
    for (std::uint32_t row = begin; row < end; ++row)
      for (Activations* heads : {&q, &k})
        backend.ops.rope(heads->row(row), heads->columns() / head_dim, head_dim, table.rotary(), table.cosines(row),
                         table.sines(row));
  });
}

void store_kv(Backend& backend, const PagedRows& paged, std::uint32_t layer, const Activations& k, const Activations& v) {
  const KvGeometry& geometry = paged.geometry;
  CHECK(k.columns() == geometry.kv_heads * geometry.head_dim && v.columns() == k.columns());
  backend.threads.parallel_for(k.rows(), backend.grain(k.rows()), [&](std::uint32_t begin, std::uint32_t end, std::uint32_t) {
    for (std::uint32_t row = begin; row < end; ++row) {
      const std::uint32_t position = paged.positions[row];
      std::byte* block = paged.pool + paged.blocks[row][position / geometry.block_tokens] * geometry.block_bytes();
      for (std::uint32_t head = 0; head < geometry.kv_heads; ++head)
        for (const bool value : {false, true})
          backend.ops.store_row((value ? v : k).row(row) + std::size_t{head} * geometry.head_dim, geometry.head_dim, geometry.dtype,
                                block + geometry.row_offset(head, layer, value, position % geometry.block_tokens));
    }
  });
}

void attention(Backend& backend, const PagedRows& paged, std::uint32_t layer, const Activations& q, Activations& out) {
  const KvGeometry& geometry = paged.geometry;
  const std::uint32_t group = q.columns() / geometry.head_dim / geometry.kv_heads;
  CHECK(q.columns() == group * geometry.kv_heads * geometry.head_dim && geometry.head_dim % 16 == 0);
  out.reshape(q.rows(), q.columns());
  out.prepare_quantized(backend);
  const float scale = 1.0F / std::sqrt(static_cast<float>(geometry.head_dim));
  const std::uint32_t items = q.rows() * geometry.kv_heads;
  const std::uint32_t grain = std::min(backend.grain(items), backend.threads.threads() == 1 ? items : 8u);
  backend.threads.parallel_for(items, grain, [&](std::uint32_t begin, std::uint32_t end, std::uint32_t thread) {
    for (std::uint32_t item = begin; item < end; ++item) {
      const std::uint32_t row = item / geometry.kv_heads;
      const std::uint32_t head = item % geometry.kv_heads;
      const std::size_t at = std::size_t{head} * group * geometry.head_dim;
      const std::uint32_t length = paged.positions[row] + 1;
      backend.ops.attention({.query = q.row(row) + at,
                             .out = out.row(row) + at,
                             .heads = group,
                             .head_dim = geometry.head_dim,
                             .length = length,
                             .scale = scale,
                             .pool = paged.pool,
                             .blocks = paged.blocks[row].data(),
                             .block_bytes = geometry.block_bytes(),
                             .key_offset = geometry.row_offset(head, layer, false, 0),
                             .value_offset = geometry.row_offset(head, layer, true, 0),
                             .block_tokens = geometry.block_tokens,
                             .dtype = geometry.dtype,
                             .scores = backend.scratch(thread, std::size_t{4} * (length + 8))});
    }
  });
  backend.threads.parallel_for(out.rows(), backend.grain(out.rows()), [&](std::uint32_t begin, std::uint32_t end, std::uint32_t) {
    out.quantize(backend, begin, end);
  });
}

void silu_multiply(Backend& backend, Activations& gate, const Activations& up) {
  CHECK(gate.rows() == up.rows() && gate.columns() == up.columns());
  gate.prepare_quantized(backend);
  backend.threads.parallel_for(gate.rows(), backend.grain(gate.rows()), [&](std::uint32_t begin, std::uint32_t end, std::uint32_t) {
    for (std::uint32_t row = begin; row < end; ++row) backend.ops.silu_multiply(gate.row(row), up.row(row), gate.columns());
    gate.quantize(backend, begin, end);
  });
}

void add(Backend& backend, Activations& x, const Activations& y) {
  CHECK(x.rows() == y.rows() && x.columns() == y.columns());
  backend.threads.parallel_for(x.rows(), backend.grain(x.rows()), [&](std::uint32_t begin, std::uint32_t end, std::uint32_t) {
    for (std::uint32_t row = begin; row < end; ++row) backend.ops.add(x.row(row), y.row(row), x.columns());
  });
}

}  // namespace baton::cpu
