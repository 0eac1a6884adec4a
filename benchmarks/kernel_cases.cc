// SPDX-License-Identifier: Apache-2.0
#include "benchmarks/kernel_cases.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <span>

#include "kvstore/digest.h"
#include "runtime/base/hash.h"

namespace baton {
namespace {

constexpr std::size_t kAlignment = 64;
constexpr std::uint16_t kSmallHalf = 0x2000;  // 2^-7 as a float16
constexpr std::uint32_t kBlockTokens = 16;

struct Free {
  void operator()(std::byte* memory) const { std::free(memory); }
};
using Bytes = std::unique_ptr<std::byte, Free>;

Bytes make_bytes(std::size_t size) {
  Bytes bytes(static_cast<std::byte*>(std::aligned_alloc(kAlignment, (size + kAlignment - 1) / kAlignment * kAlignment)));
  std::memset(bytes.get(), 0, size);
  return bytes;
}

float number_at(std::uint64_t index) { return static_cast<float>(mix64(index) >> 40) / static_cast<float>(1 << 23) - 1.0F; }

void fill_rows(cpu::Rows& x, std::uint32_t rows, std::uint32_t columns) {
  x.reshape(rows, columns);
  for (std::uint32_t row = 0; row < rows; ++row)
    for (std::uint32_t i = 0; i < columns; ++i) x.row(row)[i] = number_at(std::uint64_t{row} * columns + i);
}

// Matrices of one shape with small scales and random values, one behind the other, laid out as the numerics want them, and an
// input that is ready for them.
class Matmul {
 public:
  Matmul(const MatrixShape& shape, std::uint32_t tokens, std::size_t copies, cpu::Backend& backend) : copies_(copies) {
    WeightView view{nullptr, shape.type, shape.rows, shape.columns};
    const std::size_t file_bytes = shape.rows * view.row_bytes();
    Bytes file = make_bytes(file_bytes);
    const std::size_t block = weight_block_bytes(shape.type), scale = shape.type == WeightType::kQ4_1 ? 4 : 2;
    for (std::size_t at = 0; at < file_bytes; at += block) {
      for (std::size_t i = 0; i < block; ++i) file.get()[at + i] = static_cast<std::byte>(mix64(at + i));
      for (std::size_t i = 0; weight_block_elements(shape.type) > 1 && i < scale; i += 2) std::memcpy(file.get() + at + i, &kSmallHalf, 2);
    }
    view.data = file.get();
    matrix_.view = view;
    const bool packed = backend.terms() != 0 && cpu::is_block_quantized(shape.type);
    bytes_ = packed ? matrix_.as_panels().bytes() : file_bytes;
    weights_ = make_bytes(bytes_ * copies);
    for (std::size_t copy = 0; copy < copies; ++copy) {
      std::byte* to = weights_.get() + copy * bytes_;
      if (packed) cpu::pack_panels(view, matrix_.as_panels(), 0, matrix_.tiles(), to);
      else std::memcpy(to, file.get(), bytes_);
    }
    (packed ? matrix_.panels : matrix_.view.data) = weights_.get();
    cpu::Rows raw;
    fill_rows(raw, tokens, shape.columns);
    const cpu::Matrix* const reader[] = {&matrix_};
    x_.reshape(backend, tokens, shape.columns, reader);
    cpu::rms_norm(cpu::Share(backend), raw, {0, tokens}, std::vector<float>(shape.columns, 1.0F), 1e-5F, x_);
    out_.reshape(tokens, shape.rows);
  }

  void run(cpu::Backend& backend) {
    (matrix_.panels != nullptr ? matrix_.panels : matrix_.view.data) = weights_.get() + next_ * bytes_;
    next_ = (next_ + 1) % copies_;
    const cpu::Projection projection[] = {{&matrix_, out_.row(0), out_.columns()}};
    cpu::project(cpu::Share(backend), x_, projection);
  }

 private:
  const std::size_t copies_;
  std::size_t next_ = 0;
  std::size_t bytes_ = 0;  // of one copy
  cpu::Matrix matrix_;
  Bytes weights_;
  cpu::Input x_;
  cpu::Rows out_;
};

// Queries of one layer over a pool of random K and V.
class PagedAttention {
 public:
  PagedAttention(const AttentionShape& shape, std::uint32_t tokens) {
    paged_.geometry = {.layers = 1, .kv_heads = shape.kv_heads, .head_dim = shape.head_dim, .block_tokens = kBlockTokens, .dtype = DType::kF16};
    const std::uint32_t blocks = paged_.geometry.blocks_for(shape.context);
    const std::size_t bytes = blocks * paged_.geometry.block_bytes();
    pool_ = make_bytes(bytes);
    for (std::size_t at = 0; at < bytes; at += 2) {
      const auto half = static_cast<std::uint16_t>(0x3000 | (mix64(at) & 0x83ff));  // +-0.125 to 0.25
      std::memcpy(pool_.get() + at, &half, 2);
    }
    paged_.pool = pool_.get();
    for (std::uint32_t block = 0; block < blocks; ++block) table_.push_back(static_cast<std::uint32_t>((block * 7u + 3u) % blocks));
    for (std::uint32_t row = 0; row < tokens; ++row) {
      positions_.push_back(shape.context - tokens + row);
      tables_.emplace_back(table_);
    }
    paged_.positions = positions_;
    paged_.blocks = tables_;
    fill_rows(q_, tokens, shape.heads * shape.head_dim);
    cpu::cut_attention_tiles(paged_, rows(), shape.heads / shape.kv_heads, tiles_);
  }
  void run(cpu::Backend& backend) {
    out_.reshape(backend, q_.rows(), q_.columns(), {});  // nobody reads on: attention alone is measured
    cpu::attention(cpu::Share(backend), paged_, tiles_, rows(), 0, q_, attended_, out_);
  }

 private:
  cpu::RowRange rows() const { return {0, static_cast<std::uint32_t>(positions_.size())}; }

  cpu::PagedRows paged_;
  Bytes pool_;
  std::vector<std::uint32_t> table_, positions_;
  std::vector<std::span<const std::uint32_t>> tables_;
  std::vector<cpu::AttentionTile> tiles_;
  cpu::Rows q_, attended_;
  cpu::Input out_;
};

// Rows of an op that takes one row at a time.
template <class Op>
void over_rows(cpu::Backend& backend, std::uint32_t rows, const Op& op) {
  cpu::Share(backend).run(rows, 8, [&](std::uint32_t begin, std::uint32_t end, std::uint32_t) {
    for (std::uint32_t row = begin; row < end; ++row) op(row);
  });
}

}  // namespace

std::vector<KernelCase> matmul_cases(const MatrixShape& shape, const std::vector<std::uint32_t>& tokens, std::size_t cold_bytes) {
  const WeightView view{nullptr, shape.type, shape.rows, shape.columns};
  const std::size_t bytes = shape.rows * view.row_bytes();  // in panels as many, but for padding
  std::vector<KernelCase> cases;
  for (const std::uint32_t count : tokens) {
    for (const bool cold : {true, false}) {
      KernelCase made;
      made.op = "matmul";
      made.shape = std::to_string(shape.rows) + 'x' + std::to_string(shape.columns) + ' ' + std::string(to_string(shape.type));
      made.tokens = count;
      made.weights = cold ? "cold" : "warm";
      made.integer_operations = 2.0 * shape.rows * shape.columns * count;
      made.bytes = static_cast<double>(bytes);
      auto matmul = std::make_shared<std::unique_ptr<Matmul>>();  // its memory is taken when it is its turn
      made.matrix = shape;
      made.copies = cold ? static_cast<std::uint32_t>(std::max<std::size_t>(1, cold_bytes / bytes)) : 1;
      made.run = [matmul, shape, count, copies = made.copies](cpu::Backend& backend) {
        if (!*matmul) *matmul = std::make_unique<Matmul>(shape, count, copies, backend);
        (*matmul)->run(backend);
      };
      cases.push_back(std::move(made));
    }
  }
  return cases;
}

std::vector<KernelCase> row_cases(std::uint32_t width, std::uint32_t feed_forward, std::uint32_t tokens) {
  struct Buffers {
    cpu::Rows x, y, gate, up;
    std::vector<float> gain;
    std::vector<std::int8_t> values;
    std::vector<float> scales, sums;
    std::vector<std::int32_t> integer_sums;
  };
  auto rows = std::make_shared<Buffers>();
  fill_rows(rows->x, tokens, width);
  fill_rows(rows->y, tokens, width);
  fill_rows(rows->gate, tokens, feed_forward);
  fill_rows(rows->up, tokens, feed_forward);
  rows->gain.assign(width, 1.0F);
  rows->values.resize(std::size_t{tokens} * width * 2);
  rows->scales.resize(std::size_t{tokens} * width / cpu::kQuantBlock);
  rows->sums.resize(rows->scales.size());
  rows->integer_sums.resize(rows->scales.size());
  const auto make = [&](const char* op, std::uint32_t columns, double bytes_per_element, std::function<void(cpu::Backend&)> run) {
    return KernelCase{op, std::to_string(columns), tokens, "", 0, 0, bytes_per_element * tokens * columns, std::move(run), {}, 1};
  };
  const auto quantize = [rows, tokens, width](cpu::Backend& backend) {
    over_rows(backend, width / cpu::kQuantBlock, [&](std::uint32_t block) {
      const std::size_t at = std::size_t{block} * tokens;
      backend.ops.quantize_block({.x = rows->x.row(0) + std::size_t{block} * cpu::kQuantBlock, .x_stride = width, .tokens = tokens, .terms = 2,
                                  .values = rows->values.data() + at * 2 * cpu::kQuantBlock, .scales = rows->scales.data() + at,
                                  .sums = rows->sums.data() + at, .integer_sums = rows->integer_sums.data() + at});
    });
  };
  const auto norm = [rows, tokens, width](cpu::Backend& backend) {
    over_rows(backend, tokens, [&](std::uint32_t row) { backend.ops.rms_norm(rows->x.row(row), rows->gain.data(), width, 1e-5F, rows->y.row(row)); });
  };
  const auto silu = [rows, tokens, feed_forward](cpu::Backend& backend) {
    over_rows(backend, tokens, [&](std::uint32_t row) { backend.ops.silu_multiply(rows->gate.row(row), rows->up.row(row), feed_forward); });
  };
  return {make("quantize_block", width, 4 + 2, quantize), make("rms_norm", width, 4 + 4, norm), make("silu_multiply", feed_forward, 4 + 4 + 4, silu)};
}

std::vector<KernelCase> attention_cases(const AttentionShape& shape) {
  std::vector<KernelCase> cases;
  for (const std::uint32_t tokens : {1u, shape.context}) {
    KernelCase made;
    made.op = tokens == 1 ? "attention, decode" : "attention, prefill";
    made.shape = std::to_string(shape.heads) + '/' + std::to_string(shape.kv_heads) + " heads of " + std::to_string(shape.head_dim) + ", context " +
                 std::to_string(shape.context);
    made.tokens = tokens;
    const double pairs = tokens == 1 ? shape.context : tokens * (tokens + 1.0) / 2;  // of a query and a key
    made.float_operations = 4 * pairs * shape.heads * shape.head_dim;
    made.bytes = 2.0 * 2 * shape.context * shape.kv_heads * shape.head_dim;
    auto attention = std::make_shared<PagedAttention>(shape, tokens);
    made.run = [attention](cpu::Backend& backend) { attention->run(backend); };
    cases.push_back(std::move(made));
  }
  return cases;
}

std::vector<KernelCase> digest_cases(const KvGeometry& geometry, std::size_t cold_bytes) {
  std::vector<KernelCase> cases;
  for (const bool cold : {false, true}) {
    const std::size_t size = cold ? cold_bytes / 4 : std::size_t{1} << 19;
    const auto blocks = static_cast<std::uint32_t>(std::max<std::size_t>(size / geometry.block_bytes(), 1));
    KernelCase made;
    made.op = "kv_digest";
    made.shape = std::to_string(blocks) + " blocks of " + std::to_string(geometry.block_bytes() >> 10) + " KiB, rows of " + std::to_string(geometry.row_bytes()) + " B";
    made.tokens = blocks * geometry.block_tokens;
    made.weights = cold ? "cold" : "warm";
    made.bytes = static_cast<double>(blocks * geometry.block_bytes());
    struct Pool {
      std::vector<std::byte> bytes;
      std::vector<std::uint64_t> digests;
    };
    auto pool = std::make_shared<Pool>();
    pool->bytes.resize(blocks * geometry.block_bytes());
    for (std::size_t i = 0; i < pool->bytes.size(); ++i) pool->bytes[i] = static_cast<std::byte>(mix64(i));
    pool->digests.resize(blocks);
    made.run = [pool, geometry, blocks](cpu::Backend& backend) {
      over_rows(backend, blocks, [&](std::uint32_t block) {
        const std::span<const std::byte> bytes(pool->bytes.data() + block * geometry.block_bytes(), geometry.block_bytes());
        pool->digests[block] = block_digest(geometry, bytes, block * geometry.block_tokens, geometry.block_tokens);
      });
    };
    cases.push_back(std::move(made));
  }
  return cases;
}

}  // namespace baton
