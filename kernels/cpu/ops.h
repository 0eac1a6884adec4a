// SPDX-License-Identifier: Apache-2.0
// Ops: the CPU's kernels as a table of function pointers, one table per instruction set. A step of a model is a sequence
// of these calls over pieces of rows; threads and shapes are the callers' business (layers.h). Each op has a scalar
// reference (<op>.cc) and an AVX2 version (<op>_avx2.cc) with the same bits in every result. No op allocates.
// Thread-safe: ops touch only what their arguments name.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/kv_geometry.h"
#include "kernels/weight_view.h"

namespace baton::cpu {

inline constexpr std::uint32_t kQuantBlock = 32;     // elements that share one activation scale
inline constexpr std::uint32_t kMatmulRows = 8;      // rows a matmul works on at a time: split work in multiples of it
inline constexpr std::uint32_t kFloatRows = 4;       // rows of dot_rows

// out[token][row] = sum over 32-blocks b of  d_w(row, b) d_a(token, b) (integer dot of the block)  [+ m_w(row, b) s_a(token, b)],
// float32, blocks in rising order, each term by one fused multiply-add. Weights: Q8_0, Q4_0, Q4_1 rows.
struct MatmulQuantized {
  const std::byte* weights = nullptr;  // row 0 of the matrix
  WeightType type = WeightType::kQ8_0;
  std::size_t row_bytes = 0;
  std::uint32_t row_begin = 0;
  std::uint32_t row_end = 0;
  std::uint32_t blocks = 0;             // per row
  const std::int16_t* values = nullptr;  // [blocks][tokens][32], see quantize_row
  const float* scales = nullptr;         // [blocks][tokens]
  const float* sums = nullptr;           // [blocks][tokens]
  std::uint32_t tokens = 0;
  float* out = nullptr;                  // [tokens][out_stride]
  std::size_t out_stride = 0;
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
};

// Attention of one token's query heads that share one KV head, over the rows stored at positions [0, length).
// Per head: scores in position order, softmax with the exact maximum, values added in position order: the result depends
// on nothing but the query and the stored bytes.
struct Attention {
  const float* query = nullptr;           // [heads][head_dim]
  float* out = nullptr;                   // [heads][head_dim]
  std::uint32_t heads = 0;
  std::uint32_t head_dim = 0;             // a multiple of 16
  std::uint32_t length = 0;               // >= 1
  float scale = 1;
  const std::byte* pool = nullptr;
  const std::uint32_t* blocks = nullptr;  // block ids in position order
  std::size_t block_bytes = 0;
  std::size_t key_offset = 0;             // inside a block, of the K row of its slot 0; rows are contiguous
  std::size_t value_offset = 0;
  std::uint32_t block_tokens = 0;
  DType dtype = DType::kF16;              // kF32, kF16 or kBF16
  float* scores = nullptr;                // scratch: heads x length rounded up to 8
};

struct Ops {
  const char* name;
  // A row of weights as float32; columns is a multiple of the type's block.
  void (*dequantize_row)(const std::byte* row, WeightType type, std::uint32_t columns, float* out);
  // y = x / sqrt(mean(x^2) + epsilon) x gain. y may be x.
  void (*rms_norm)(const float* x, const float* gain, std::uint32_t n, float epsilon, float* y);
  // Per block of 32: x ~ scale x value, value = 254 first + second with two int8 terms |.| <= 127, held joined as int16;
  // sum = scale x (integer sum of the values). A NaN or infinity makes its block's scale NaN. n: a multiple of 32.
  // Blocks of all tokens of a step lie together, [block][token]: consecutive blocks of this row are `tokens` apart.
  void (*quantize_row)(const float* x, std::uint32_t n, std::uint32_t tokens, std::int16_t* values, float* scales, float* sums);
  void (*matmul_quantized)(const MatmulQuantized& arguments);
  void (*dot_rows)(const DotRows& arguments);
  // Rotates neighbouring pairs of each head's first `rotary` elements (a multiple of 8): x = x c + swapped(x) s, with
  // c = (c0, c0, c1, c1, ...) and s = (-s0, s0, -s1, s1, ...).
  void (*rope)(float* heads, std::uint32_t count, std::uint32_t head_dim, std::uint32_t rotary, const float* c, const float* s);
  // One K or V row into its slot, rounded to the pool's type (to nearest, ties to even). n: a multiple of 8.
  void (*store_row)(const float* x, std::uint32_t n, DType dtype, std::byte* out);
  void (*attention)(const Attention& arguments);
  // gate = gate / (1 + e^-gate) x up
  void (*silu_multiply)(float* gate, const float* up, std::uint32_t n);
  // x += y
  void (*add)(float* x, const float* y, std::uint32_t n);
  // x = e^(x - maximum), in place; returns the sum in 16 lanes.
  float (*exponential_sum)(float* x, std::uint32_t n, float maximum);
};

const Ops& scalar_ops();
// Null where the CPU lacks AVX2, FMA or F16C.
const Ops* avx2_ops();
// The best of the above, chosen once by what the CPU reports.
const Ops& best_ops();

}  // namespace baton::cpu
