// SPDX-License-Identifier: Apache-2.0
// Ops: the CPU's kernels as a table of function pointers, one table per instruction set. A step of a model is a sequence
// of these calls over pieces of rows; threads and shapes are the callers' business (layers.h). Each op has a scalar
// reference (<op>.cc) and an AVX2 version (<op>_avx2.cc), the heavy ones an AVX-512 version too, with the same bits in every
// result. No op allocates.
// Thread-safe: ops touch only what their arguments name.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/cpu/panels.h"
#include "kernels/kv_geometry.h"
#include "kernels/weight_view.h"

namespace baton::cpu {

inline constexpr std::uint32_t kFloatRows = 4;  // rows of dot_rows

// One 32-block of columns of some tokens as int8 terms (quantize_block.h). A NaN or infinity makes its block's scale NaN.
struct QuantizeBlock {
  const float* x = nullptr;  // [tokens], each 32 floats, x_stride apart
  std::size_t x_stride = 0;
  std::uint32_t tokens = 0;
  std::uint32_t terms = 2;               // 1 or 2
  std::int8_t* values = nullptr;         // [tokens][terms][32]
  float* scales = nullptr;               // [tokens]
  float* sums = nullptr;                 // [tokens]: scale x the block's sum of integers
  std::int32_t* integer_sums = nullptr;  // [tokens]
};

// out[token][row] = sum over 32-blocks b of  d_w(row, b) d_a(token, b) (integer dot of the block)  [+ m_w(row, b) s_a(token, b)],
// float32, blocks in rising order, each term by one fused multiply-add; or out += that sum.
struct MatmulPanels {
  Panels weights;
  std::uint32_t panel_begin = 0;
  std::uint32_t panel_end = 0;
  std::uint32_t terms = 2;
  const std::int8_t* values = nullptr;         // [blocks][tokens][terms][32], as QuantizeBlock makes them
  const float* scales = nullptr;               // [blocks][tokens]
  const float* sums = nullptr;                 // [blocks][tokens]
  const std::int32_t* integer_sums = nullptr;  // [blocks][tokens]
  std::uint32_t tokens = 0;
  float* out = nullptr;  // row panel_begin x 16 of token 0
  std::size_t out_stride = 0;
  bool add = false;
};

// out[token][i] = sum over k of rows[i][k] x[token][k] for i < count <= kFloatRows, in 16 lanes of fused multiply-adds.
struct DotRows {
  const float* rows[kFloatRows] = {};
  std::uint32_t count = 0;
  std::uint32_t columns = 0;
  const float* x = nullptr;  // [tokens][columns]
  std::uint32_t tokens = 0;
  float* out = nullptr;      // at out[token x out_stride + i]
  std::size_t out_stride = 0;
  bool add = false;          // out += the sum
};

// Attention of the query heads that share one KV head, of some consecutive tokens of one sequence: token t over the rows stored
// at positions [0, length + t). Per head: scores in position order, softmax with the exact maximum, values added in position
// order: the result depends on nothing but the query and the stored bytes, not on how tokens are tiled.
struct Attention {
  const float* query = nullptr;  // [tokens][heads][head_dim], tokens query_stride floats apart
  std::size_t query_stride = 0;
  float* out = nullptr;          // likewise
  std::size_t out_stride = 0;
  std::uint32_t tokens = 1;      // 1..kAttentionTokens
  std::uint32_t heads = 0;
  std::uint32_t head_dim = 0;    // a multiple of 16
  std::uint32_t length = 0;      // of the first token, >= 1
  float scale = 1;
  const std::byte* pool = nullptr;
  const std::uint32_t* blocks = nullptr;  // block ids in position order
  std::size_t block_bytes = 0;
  std::size_t key_offset = 0;    // inside a block, of the K row of its slot 0; rows are contiguous
  std::size_t value_offset = 0;
  std::uint32_t block_tokens = 0;
  DType dtype = DType::kF16;     // kF32, kF16 or kBF16
  float* scratch = nullptr;      // attention_scratch() floats, aligned to 64 bytes
};
inline constexpr std::uint32_t kAttentionTokens = 8;
// Scores of every query head, and 16 rows of K or V widened.
constexpr std::size_t attention_scratch(std::uint32_t tokens, std::uint32_t heads, std::uint32_t last_length, std::uint32_t head_dim) {
  return std::size_t{tokens} * heads * ((last_length + 31) / 16 * 16) + std::size_t{16} * head_dim;
}

struct Ops {
  const char* name;
  // A row of weights as float32; columns is a multiple of the type's block.
  void (*dequantize_row)(const std::byte* row, WeightType type, std::uint32_t columns, float* out);
  // y = x / sqrt(mean(x^2) + epsilon) x gain. y may be x.
  void (*rms_norm)(const float* x, const float* gain, std::uint32_t n, float epsilon, float* y);
  void (*quantize_block)(const QuantizeBlock& arguments);
  void (*matmul_panels)(const MatmulPanels& arguments);
  void (*dot_rows)(const DotRows& arguments);
  // Rotates neighbouring pairs of each head's first `rotary` elements (a multiple of 8): x = x c + swapped(x) s, with
  // c = (c0, c0, c1, c1, ...) and s = (-s0, s0, -s1, s1, ...).
  void (*rope)(float* heads, std::uint32_t count, std::uint32_t head_dim, std::uint32_t rotary, const float* c, const float* s);
  // One K or V row into its slot, rounded to the pool's type (to nearest, ties to even). n: a multiple of 8.
  void (*store_row)(const float* x, std::uint32_t n, DType dtype, std::byte* out);
  void (*attention)(const Attention& arguments);
  // gate = gate / (1 + e^-gate) x up
  void (*silu_multiply)(float* gate, const float* up, std::uint32_t n);
  // x = e^(x - maximum), in place; returns the sum in 16 lanes.
  float (*exponential_sum)(float* x, std::uint32_t n, float maximum);
};

const Ops& scalar_ops();
// Null where the CPU lacks AVX2, FMA or F16C.
const Ops* avx2_ops();
// Null where the CPU lacks AVX-512 F, BW, VL, DQ or VNNI, or AVX2's set.
const Ops* avx512_ops();
// The fastest of the above that gives the scalar version's bits on this CPU, found once by what the CPU reports and a self-test
// of a few milliseconds. BATON_CPU_KERNELS=scalar|avx2|avx512 in the environment asks for one of them.
const Ops& best_ops();

}  // namespace baton::cpu
