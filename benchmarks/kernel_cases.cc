// SPDX-License-Identifier: Apache-2.0
#include "benchmarks/kernel_cases.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <span>

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

void fill_rows(cpu::Activations& x, std::uint32_t rows, std::uint32_t columns) {
  x.reshape(rows, columns);
  for (std::uint32_t row = 0; row < rows; ++row)
    for (std::uint32_t i = 0; i < columns; ++i) x.row(row)[i] = number_at(std::uint64_t{row} * columns + i);
}

// Matrices of one shape with small scales and random values, one behind the other, and an input that is ready for them.
class Matmul {
 public:
  Matmul(const MatrixShape& shape, std::uint32_t tokens, std::size_t copies) : shape_(shape), tokens_(tokens), copies_(copies) {
    const std::size_t bytes = matrix_bytes(shape);
    weights_ = make_bytes(bytes * copies);
    const std::size_t block = weight_block_bytes(shape.type), scale = shape.type == WeightType::kQ4_1 ? 4 : 2;
    for (std::size_t at = 0; at < bytes; at += block) {
      for (std::size_t i = 0; i < block; ++i) weights_.get()[at + i] = static_cast<std::byte>(mix64(at + i));
      for (std::size_t i = 0; weight_block_elements(shape.type) > 1 && i < scale; i += 2) std::memcpy(weights_.get() + at + i, &kSmallHalf, 2);
    }
    for (std::size_t copy = 1; copy < copies; ++copy) std::memcpy(weights_.get() + copy * bytes, weights_.get(), bytes);
  }

  void run(cpu::Backend& backend) {
    if (x_.rows() == 0) {
      cpu::Activations raw;
      fill_rows(raw, tokens_, shape_.columns);
      cpu::rms_norm(backend, raw, std::vector<float>(shape_.columns, 1.0F), 1e-5F, x_);
    }
    const WeightView view{weights_.get() + next_ * matrix_bytes(shape_), shape_.type, shape_.rows, shape_.columns};
    next_ = (next_ + 1) % copies_;
    const cpu::Projection projection{view, &out_};
    cpu::project(backend, x_, {&projection, 1});
  }

  static std::size_t matrix_bytes(const MatrixShape& shape) { return shape.rows * WeightView{nullptr, shape.type, shape.rows, shape.columns}.row_bytes(); }

 private:
  const MatrixShape shape_;
  const std::uint32_t tokens_;
  const std::size_t copies_;
  std::size_t next_ = 0;
  Bytes weights_;
  cpu::Activations x_, out_;
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
  }
  void run(cpu::Backend& backend) { cpu::attention(backend, paged_, 0, q_, out_); }

 private:
  cpu::PagedRows paged_;
  Bytes pool_;
  std::vector<std::uint32_t> table_, positions_;
  std::vector<std::span<const std::uint32_t>> tables_;
  cpu::Activations q_, out_;
};

// Rows of an op that takes one row at a time.
template <class Op>
void over_rows(cpu::Backend& backend, std::uint32_t rows, const Op& op) {
  backend.threads.parallel_for(rows, backend.grain(rows), [&](std::uint32_t begin, std::uint32_t end, std::uint32_t) {
    for (std::uint32_t row = begin; row < end; ++row) op(row);
  });
}

}  // namespace

std::vector<KernelCase> matmul_cases(const MatrixShape& shape, const std::vector<std::uint32_t>& tokens) {
  const std::size_t bytes = Matmul::matrix_bytes(shape);
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
      made.run = [matmul, shape, count, copies = cold ? std::max<std::size_t>(1, kColdBytes / bytes) : 1](cpu::Backend& backend) {
        if (!*matmul) *matmul = std::make_unique<Matmul>(shape, count, copies);
        (*matmul)->run(backend);
      };
      cases.push_back(std::move(made));
    }
  }
  return cases;
}

std::vector<KernelCase> row_cases(std::uint32_t width, std::uint32_t feed_forward, std::uint32_t tokens) {
  struct Rows {
    cpu::Activations x, y, gate, up;
    std::vector<float> gain;
    std::vector<std::int16_t> values;
    std::vector<float> scales, sums;
  };
  auto rows = std::make_shared<Rows>();
  fill_rows(rows->x, tokens, width);
  fill_rows(rows->y, tokens, width);
  fill_rows(rows->gate, tokens, feed_forward);
  fill_rows(rows->up, tokens, feed_forward);
  rows->gain.assign(width, 1.0F);
  rows->values.resize(std::size_t{tokens} * width);
  rows->scales.resize(std::size_t{tokens} * width / cpu::kQuantBlock);
  rows->sums.resize(rows->scales.size());
  const auto make = [&](const char* op, std::uint32_t columns, double bytes_per_element, std::function<void(cpu::Backend&)> run) {
    return KernelCase{op, std::to_string(columns), tokens, "", 0, 0, bytes_per_element * tokens * columns, std::move(run)};
  };
  const auto quantize = [rows, tokens, width](cpu::Backend& backend) {
    over_rows(backend, tokens, [&](std::uint32_t row) {
      backend.ops.quantize_row(rows->x.row(row), width, tokens, rows->values.data() + std::size_t{row} * cpu::kQuantBlock, rows->scales.data() + row,
                               rows->sums.data() + row);
    });
  };
  const auto norm = [rows, tokens, width](cpu::Backend& backend) {
    over_rows(backend, tokens, [&](std::uint32_t row) { backend.ops.rms_norm(rows->x.row(row), rows->gain.data(), width, 1e-5F, rows->y.row(row)); });
  };
  const auto silu = [rows, tokens, feed_forward](cpu::Backend& backend) {
    over_rows(backend, tokens, [&](std::uint32_t row) { backend.ops.silu_multiply(rows->gate.row(row), rows->up.row(row), feed_forward); });
  };
  return {make("quantize_row", width, 4 + 2, quantize), make("rms_norm", width, 4 + 4, norm), make("silu_multiply", feed_forward, 4 + 4 + 4, silu)};
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

}  // namespace baton
