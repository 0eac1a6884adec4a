// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/layers.h"

#include <cmath>
#include <cstring>

#include "kernels/cpu/projection_tiles.h"
#include "kernels/deterministic_math.h"
#include "runtime/base/check.h"

namespace baton::cpu {
namespace {

constexpr std::uint32_t kRowsAtOnce = 8;  // rows whose float form is kept in scratch between an op and its quantization

}  // namespace

void Input::reshape(const Backend& backend, std::uint32_t rows, std::uint32_t columns, std::span<const Matrix* const> readers) {
  rows_ = rows;
  columns_ = columns;
  floats_wanted_ = std::any_of(readers.begin(), readers.end(), [](const Matrix* matrix) { return matrix->panels == nullptr; });
  const bool terms_wanted = std::any_of(readers.begin(), readers.end(), [](const Matrix* matrix) { return matrix->panels != nullptr; });
  terms_ = terms_wanted ? backend.terms() : 0;
  const std::size_t elements = std::size_t{rows} * columns;
  if (floats_wanted_ && floats_.size() < elements) floats_.resize(elements);
  if (values_.size() < elements * terms_) values_.resize(elements * terms_);
  if (terms_ != 0 && scales_.size() < elements / kQuantBlock) {
    scales_.resize(elements / kQuantBlock);
    sums_.resize(elements / kQuantBlock);
    integer_sums_.resize(elements / kQuantBlock);
  }
}

void Input::put(const Ops& ops, std::uint32_t block, std::uint32_t first, std::uint32_t rows, const float* x, std::size_t x_stride) {
  if (floats_wanted_) {
    const std::uint32_t column = block * kQuantBlock;
    const std::size_t width = std::min(kQuantBlock, columns_ - column);
    for (std::uint32_t row = 0; row < rows; ++row)
      std::memcpy(floats_.data() + std::size_t{first + row} * columns_ + column, x + row * x_stride, width * sizeof(float));
  }
  if (terms_ == 0) return;
  const std::size_t at = std::size_t{block} * rows_ + first;
  ops.quantize_block({.x = x,
                      .x_stride = x_stride,
                      .tokens = rows,
                      .terms = terms_,
                      .values = values_.data() + at * terms_ * kQuantBlock,
                      .scales = scales_.data() + at,
                      .sums = sums_.data() + at,
                      .integer_sums = integer_sums_.data() + at});
}

void ProjectionTiles::compute(std::uint32_t begin, std::uint32_t end, std::uint32_t thread) const {
  std::uint32_t first = 0;  // tile at which the projection starts
  for (const Projection& projection : projections_) {
    const std::uint32_t tiles = projection.weights->tiles();
    const std::uint32_t from = std::max(begin, first);
    const std::uint32_t to = std::min(end, first + tiles);
    if (from < to) {
      if (projection.weights->panels != nullptr)
        panels(projection, from - first, to - first);
      else
        floats(projection, from - first, to - first, thread);
    }
    first += tiles;
  }
}

void ProjectionTiles::panels(const Projection& projection, std::uint32_t begin, std::uint32_t end) const {
  CHECK(x_.terms_ != 0, "the input of a quantized matmul was not made ready");
  backend_.ops.matmul_panels({.weights = projection.weights->as_panels(),
                              .panel_begin = begin,
                              .panel_end = end,
                              .terms = x_.terms_,
                              .values = x_.values_.data(),
                              .scales = x_.scales_.data(),
                              .sums = x_.sums_.data(),
                              .integer_sums = x_.integer_sums_.data(),
                              .tokens = x_.rows(),
                              .out = projection.out + (begin * kPanelRows - projection.first_feature),
                              .out_stride = projection.out_stride,
                              .add = projection.add});
}

void ProjectionTiles::floats(const Projection& projection, std::uint32_t begin, std::uint32_t end, std::uint32_t thread) const {
  const WeightView& weights = projection.weights->view;
  CHECK(x_.floats_wanted_, "the input of a float matmul was not made ready");
  const bool stored_as_float = weights.type == WeightType::kF32;
  float* scratch = backend_.scratch(thread, std::size_t{kFloatRows} * weights.columns);
  const std::uint32_t row_end = std::min(end * kPanelRows, weights.rows);
  for (std::uint32_t row = begin * kPanelRows; row < row_end; row += kFloatRows) {
    DotRows dot{.count = std::min(kFloatRows, row_end - row),
                .columns = weights.columns,
                .x = x_.floats_.data(),
                .tokens = x_.rows(),
                .out = projection.out + (row - projection.first_feature),
                .out_stride = projection.out_stride,
                .add = projection.add};
    for (std::uint32_t i = 0; i < dot.count; ++i) {
      const std::byte* raw = weights.row(row + i);
      float* widened = scratch + std::size_t{i} * weights.columns;
      if (!stored_as_float) backend_.ops.dequantize_row(raw, weights.type, weights.columns, widened);
      dot.rows[i] = stored_as_float ? reinterpret_cast<const float*>(raw) : widened;
    }
    backend_.ops.dot_rows(dot);
  }
}

void RotaryTable::reshape(std::uint32_t rows) {
  const std::size_t size = std::size_t{rows} * rotary();
  if (cosines_.size() >= size) return;
  cosines_.resize(size);
  sines_.resize(size);
}

void RotaryTable::prepare(RowRange range, std::span<const std::uint32_t> positions) {
  for (std::uint32_t row = range.begin; row < range.end; ++row)
    for (std::size_t pair = 0; pair < frequencies_.size(); ++pair) {
      const SineCosine angle = deterministic_sincos(positions[row] * frequencies_[pair]);
      const std::size_t at = std::size_t{row} * rotary() + 2 * pair;
      cosines_[at] = cosines_[at + 1] = static_cast<float>(angle.cosine);
      sines_[at + 1] = static_cast<float>(angle.sine);
      sines_[at] = -sines_[at + 1];
    }
}

void embed(const Ops& ops, const WeightView& table, std::span<const std::int32_t> tokens, RowRange range, Rows& x) {
  CHECK(x.columns() == table.columns && range.end <= tokens.size());
  for (std::uint32_t row = range.begin; row < range.end; ++row) {
    CHECK(tokens[row] >= 0 && static_cast<std::uint32_t>(tokens[row]) < table.rows, "token outside the vocabulary");
    ops.dequantize_row(table.row(static_cast<std::uint32_t>(tokens[row])), table.type, table.columns, x.row(row));
  }
}

void rms_norm(const Share& share, const Rows& x, RowRange range, std::span<const float> gain, float epsilon, Input& y) {
  CHECK(gain.size() == x.columns() && y.columns() == x.columns() && y.rows() == range.count());
  Backend& backend = share.backend();
  share.run(range.count(), kRowsAtOnce, [&](std::uint32_t begin, std::uint32_t end, std::uint32_t thread) {
    float* normed = backend.scratch(thread, std::size_t{kRowsAtOnce} * x.columns());
    for (std::uint32_t first = begin; first < end; first += kRowsAtOnce) {
      const std::uint32_t rows = std::min(kRowsAtOnce, end - first);
      for (std::uint32_t i = 0; i < rows; ++i)
        backend.ops.rms_norm(x.row(range.begin + first + i), gain.data(), x.columns(), epsilon, normed + std::size_t{i} * x.columns());
      for (std::uint32_t block = 0; block < y.blocks(); ++block)
        y.put(backend.ops, block, first, rows, normed + std::size_t{block} * kQuantBlock, x.columns());
    }
  });
}

void project(const Share& share, const Input& x, std::span<const Projection> projections) {
  for (const Projection& projection : projections) CHECK(projection.weights->view.columns == x.columns());
  const ProjectionTiles tiles(share.backend(), x, projections);
  share.run(tiles.count(), 1, [&](std::uint32_t begin, std::uint32_t end, std::uint32_t thread) { tiles.compute(begin, end, thread); });
}

void rope_and_store(const Share& share, const PagedRows& paged, RowRange range, std::uint32_t layer, const RotaryTable& table, Rows& q,
                    Rows& k, const Rows& v) {
  const KvGeometry& geometry = paged.geometry;
  const std::uint32_t head_dim = geometry.head_dim;
  CHECK(q.columns() % head_dim == 0 && k.columns() == geometry.kv_heads * head_dim && v.columns() == k.columns());
  CHECK(table.rotary() <= head_dim && k.rows() == range.count() && v.rows() == range.count());
  const Ops& ops = share.backend().ops;
  share.run(range.count(), kRowsAtOnce, [&](std::uint32_t begin, std::uint32_t end, std::uint32_t) {
    for (std::uint32_t i = begin; i < end; ++i) {
      const std::uint32_t row = range.begin + i;
      ops.rope(q.row(row), q.columns() / head_dim, head_dim, table.rotary(), table.cosines(row), table.sines(row));
      ops.rope(k.row(i), geometry.kv_heads, head_dim, table.rotary(), table.cosines(row), table.sines(row));
      const std::uint32_t position = paged.positions[row];
      std::byte* block = paged.pool + paged.blocks[row][position / geometry.block_tokens] * geometry.block_bytes();
      for (std::uint32_t head = 0; head < geometry.kv_heads; ++head)
        for (const bool value : {false, true})
          ops.store_row((value ? v : k).row(i) + std::size_t{head} * head_dim, head_dim, geometry.dtype,
                        block + geometry.row_offset(head, layer, value, position % geometry.block_tokens));
    }
  });
}

namespace {

// One tile of tokens and one KV head of attention.
void attend(Backend& backend, const PagedRows& paged, const AttentionTile& tile, std::uint32_t layer, std::uint32_t head, const Rows& q,
            float* out, std::size_t out_stride, std::uint32_t thread) {
  const KvGeometry& geometry = paged.geometry;
  const std::uint32_t group = q.columns() / geometry.head_dim / geometry.kv_heads;
  const std::size_t at = std::size_t{head} * group * geometry.head_dim;
  const std::uint32_t length = paged.positions[tile.row] + 1;
  backend.ops.attention({.query = q.row(tile.row) + at,
                         .query_stride = q.columns(),
                         .out = out + at,
                         .out_stride = out_stride,
                         .tokens = tile.count,
                         .heads = group,
                         .head_dim = geometry.head_dim,
                         .length = length,
                         .scale = 1.0F / std::sqrt(static_cast<float>(geometry.head_dim)),
                         .pool = paged.pool,
                         .blocks = paged.blocks[tile.row].data(),
                         .block_bytes = geometry.block_bytes(),
                         .key_offset = geometry.row_offset(head, layer, false, 0),
                         .value_offset = geometry.row_offset(head, layer, true, 0),
                         .block_tokens = geometry.block_tokens,
                         .dtype = geometry.dtype,
                         .scratch = backend.scratch(thread, attention_scratch(tile.count, group, length + tile.count - 1, geometry.head_dim))});
}

}  // namespace

void cut_attention_tiles(const PagedRows& paged, RowRange range, std::uint32_t heads_per_kv_head, std::vector<AttentionTile>& tiles) {
  const std::uint32_t most = std::clamp(kAttentionQueries / std::max(heads_per_kv_head, 1u), 1u, kAttentionTokens);
  for (std::uint32_t row = range.begin; row < range.end;) {
    AttentionTile tile{row, 1};
    while (tile.count < most && row + tile.count < range.end && paged.blocks[row + tile.count].data() == paged.blocks[row].data() &&
           paged.positions[row + tile.count] == paged.positions[row] + tile.count)
      ++tile.count;
    tiles.push_back(tile);
    row += tile.count;
  }
}

void attention(const Share& share, const PagedRows& paged, std::span<const AttentionTile> tiles, RowRange range, std::uint32_t layer,
               const Rows& q, Rows& attended, Input& out) {
  const KvGeometry& geometry = paged.geometry;
  const std::uint32_t per_head = q.columns() / geometry.kv_heads;  // columns that one KV head serves
  CHECK(per_head % geometry.head_dim == 0 && geometry.head_dim % 16 == 0 && out.columns() == q.columns());
  Backend& backend = share.backend();
  const bool whole_blocks = per_head % kQuantBlock == 0;
  attended.reshape(range.count(), q.columns());
  const auto items = static_cast<std::uint32_t>(tiles.size()) * geometry.kv_heads;
  share.run(items, 1, [&](std::uint32_t begin, std::uint32_t end, std::uint32_t thread) {
    for (std::uint32_t item = begin; item < end; ++item) {
      const AttentionTile& tile = tiles[item / geometry.kv_heads];
      const std::uint32_t head = item % geometry.kv_heads;
      const std::uint32_t local = tile.row - range.begin;
      attend(backend, paged, tile, layer, head, q, attended.row(local), attended.columns(), thread);
      const std::uint32_t first_block = head * per_head / kQuantBlock;
      for (std::uint32_t block = first_block; whole_blocks && block < first_block + per_head / kQuantBlock; ++block)
        out.put(backend.ops, block, local, tile.count, attended.row(local) + std::size_t{block} * kQuantBlock, attended.columns());
    }
  });
  if (whole_blocks) return;
  share.run(out.blocks(), 1, [&](std::uint32_t begin, std::uint32_t end, std::uint32_t) {
    for (std::uint32_t block = begin; block < end; ++block)
      out.put(backend.ops, block, 0, range.count(), attended.row(0) + std::size_t{block} * kQuantBlock, attended.columns());
  });
}

void gated_unit(const Share& share, const Input& x, const Matrix& gate, const Matrix& up, Input& out) {
  CHECK(gate.view.rows == out.columns() && up.view.rows == out.columns() && out.rows() == x.rows());
  Backend& backend = share.backend();
  constexpr std::uint32_t kTiles = kQuantBlock / kPanelRows;
  const std::size_t tile_floats = std::size_t{x.rows()} * kQuantBlock;
  share.run(out.blocks(), 1, [&](std::uint32_t begin, std::uint32_t end, std::uint32_t thread) {
    for (std::uint32_t block = begin; block < end; ++block) {
      float* tiles = backend.tile(thread, 2 * tile_floats);
      const std::uint32_t last = std::min((block + 1) * kTiles, gate.tiles());
      const std::uint32_t feature = block * kQuantBlock;
      const Projection both[2] = {{&gate, tiles, kQuantBlock, false, feature}, {&up, tiles + tile_floats, kQuantBlock, false, feature}};
      for (const Projection& one : both) ProjectionTiles(backend, x, {&one, 1}).compute(block * kTiles, last, thread);
      backend.ops.silu_multiply(tiles, tiles + tile_floats, static_cast<std::uint32_t>(tile_floats));
      out.put(backend.ops, block, 0, x.rows(), tiles, kQuantBlock);
    }
  });
}

}  // namespace baton::cpu
