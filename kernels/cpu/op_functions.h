// SPDX-License-Identifier: Apache-2.0
// The names of the kernels behind the tables of ops.h. Only kernels' own files and ops.cc include this.
#pragma once

#include "kernels/cpu/ops.h"

namespace baton::cpu {

namespace scalar {
void dequantize_row(const std::byte* row, WeightType type, std::uint32_t columns, float* out);
void rms_norm(const float* x, const float* gain, std::uint32_t n, float epsilon, float* y);
void quantize_block(const QuantizeBlock& arguments);
void matmul_panels(const MatmulPanels& arguments);
void dot_rows(const DotRows& arguments);
void rope(float* heads, std::uint32_t count, std::uint32_t head_dim, std::uint32_t rotary, const float* c, const float* s);
void store_row(const float* x, std::uint32_t n, DType dtype, std::byte* out);
void attention(const Attention& arguments);
void silu_multiply(float* gate, const float* up, std::uint32_t n);
float exponential_sum(float* x, std::uint32_t n, float maximum);
}  // namespace scalar

namespace avx2 {
void dequantize_row(const std::byte* row, WeightType type, std::uint32_t columns, float* out);
void rms_norm(const float* x, const float* gain, std::uint32_t n, float epsilon, float* y);
void quantize_block(const QuantizeBlock& arguments);
void matmul_panels(const MatmulPanels& arguments);
void dot_rows(const DotRows& arguments);
void rope(float* heads, std::uint32_t count, std::uint32_t head_dim, std::uint32_t rotary, const float* c, const float* s);
void store_row(const float* x, std::uint32_t n, DType dtype, std::byte* out);
void attention(const Attention& arguments);
void silu_multiply(float* gate, const float* up, std::uint32_t n);
float exponential_sum(float* x, std::uint32_t n, float maximum);
}  // namespace avx2

namespace avx512 {
void matmul_panels(const MatmulPanels& arguments);
void dot_rows(const DotRows& arguments);
void attention(const Attention& arguments);
}  // namespace avx512

}  // namespace baton::cpu
