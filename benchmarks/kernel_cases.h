// SPDX-License-Identifier: Apache-2.0
// Single ops of the CPU engine, ready to be run again and again on made-up data: what `baton bench kernels` times. Each case
// owns its data; run() works on the caller's Backend and threads. How an op is called is known here and nowhere else in
// benchmarks/. Bounded: copies of weights take at most cold_bytes, or one copy if that is larger.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "kernels/cpu/layers.h"
#include "kernels/kv_geometry.h"
#include "kernels/weight_view.h"

namespace baton {

// More than any cache of the CPUs in use: what is spread over so much memory is cold whenever it is met again.
inline constexpr std::size_t kColdBytes = std::size_t{256} << 20;

struct MatrixShape {
  std::uint32_t rows = 0;     // output features
  std::uint32_t columns = 0;  // input features, a multiple of 32
  WeightType type = WeightType::kQ4_1;
  friend bool operator==(const MatrixShape&, const MatrixShape&) = default;
};

struct AttentionShape {
  std::uint32_t heads = 0;     // a multiple of kv_heads
  std::uint32_t kv_heads = 0;
  std::uint32_t head_dim = 0;  // a multiple of 16
  std::uint32_t context = 512;  // tokens
};

struct KernelCase {
  std::string op;
  std::string shape;
  std::uint32_t tokens = 1;
  std::string weights;               // "cold", "warm" or "": whether they are in a cache
  double integer_operations = 0;     // 8-bit multiplications and additions of one run, of one int8 term
  double float_operations = 0;       // float32 ones
  double bytes = 0;                  // read and written by one run
  std::function<void(cpu::Backend&)> run;
  MatrixShape matrix = {};           // of a matmul; no rows otherwise
  std::uint32_t copies = 1;          // of its weights
};

// Cold and warm, each with so many tokens.
std::vector<KernelCase> matmul_cases(const MatrixShape& shape, const std::vector<std::uint32_t>& tokens, std::size_t cold_bytes);
// quantize_block and rms_norm over rows of the model's width, silu_multiply over rows of `feed_forward`.
std::vector<KernelCase> row_cases(std::uint32_t width, std::uint32_t feed_forward, std::uint32_t tokens);
// One token behind a full context, and a whole prompt.
std::vector<KernelCase> attention_cases(const AttentionShape& shape);
// The digests of blocks (kvstore/digest.h): as many as fit a cache, and a quarter of cold_bytes.
std::vector<KernelCase> digest_cases(const KvGeometry& geometry, std::size_t cold_bytes);

}  // namespace baton
