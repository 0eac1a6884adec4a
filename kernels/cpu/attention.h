// SPDX-License-Identifier: Apache-2.0
// Paged attention for the query heads of one KV head, token by token (grouped-query attention, Ainslie et al. 2023; paged
// after Kwon et al. 2023). Idea: walk the block table in position order; each K row is widened to float32 once and meets
// up to four query heads; scores go to scratch; the softmax uses the exact maximum (order-free); then V rows are added in
// position order, 16 elements of the head at a time, so that the sums of all heads stay in registers.
// Layout: rows of one (block, head, layer) plane are contiguous, [token][head_dim]. Memory: K and V are read once per
// four query heads, as stored, never in-flight values; scores are written once and read twice.
#pragma once

#include "kernels/cpu/exponential_sum.h"
#include "kernels/cpu/lanes_math.h"
#include "kernels/cpu/ops.h"

namespace baton::cpu {
namespace {

template <class Lanes, DType kType>
inline Lanes load_stored(const std::byte* row, std::uint32_t at) {
  if constexpr (kType == DType::kF16) return Lanes::load_half(row + std::size_t{at} * 2);
  if constexpr (kType == DType::kBF16) return Lanes::load_bfloat(row + std::size_t{at} * 2);
  if constexpr (kType == DType::kF32) return Lanes::load(reinterpret_cast<const float*>(row) + at);
}

template <DType kType>
inline std::size_t stored_row_bytes(std::uint32_t head_dim) {
  return std::size_t{head_dim} * (kType == DType::kF32 ? 4 : 2);
}

inline std::uint32_t score_stride(std::uint32_t length) { return (length + 7) / 8 * 8; }

// scores[head][position] = scale x q . k, the dot in 16 lanes.
template <class Lanes, DType kType, int kHeads>
inline void attention_scores(const Attention& arguments, const float* query, float* scores) {
  const std::size_t row_bytes = stored_row_bytes<kType>(arguments.head_dim);
  const std::uint32_t stride = score_stride(arguments.length);
  std::uint32_t position = 0;
  for (std::uint32_t block = 0; position < arguments.length; ++block) {
    const std::byte* row = arguments.pool + arguments.blocks[block] * arguments.block_bytes + arguments.key_offset;
    const std::uint32_t rest = arguments.length - position;
    const std::uint32_t count = rest < arguments.block_tokens ? rest : arguments.block_tokens;
    for (std::uint32_t slot = 0; slot < count; ++slot, ++position, row += row_bytes) {
      Lanes low[kHeads];
      Lanes high[kHeads];
      for (int head = 0; head < kHeads; ++head) low[head] = high[head] = Lanes::broadcast(0.0F);
      for (std::uint32_t i = 0; i < arguments.head_dim; i += 16) {
        const Lanes a = load_stored<Lanes, kType>(row, i);
        const Lanes b = load_stored<Lanes, kType>(row, i + 8);
        for (int head = 0; head < kHeads; ++head) {
          const float* q = query + static_cast<std::size_t>(head) * arguments.head_dim + i;
          low[head] = multiply_add(Lanes::load(q), a, low[head]);
          high[head] = multiply_add(Lanes::load(q + 8), b, high[head]);
        }
      }
      for (int head = 0; head < kHeads; ++head)
        scores[static_cast<std::size_t>(head) * stride + position] = reduce_sum(low[head], high[head]) * arguments.scale;
    }
  }
}

template <class Lanes>
inline float row_maximum(const float* x, std::uint32_t n) {
  float best[8];
  std::uint32_t i = 0;
  Lanes lanes = Lanes::broadcast(-__builtin_inff());
  for (; i + 8 <= n; i += 8) lanes = maximum(Lanes::load(x + i), lanes);
  lanes.store(best);
  float result = best[0];
  for (int lane = 1; lane < 8; ++lane) result = best[lane] > result ? best[lane] : result;
  for (; i < n; ++i) result = x[i] > result ? x[i] : result;
  return result;
}

// out[head] = sum over positions of weight x v, divided by the weights' sum.
template <class Lanes, DType kType, int kHeads>
inline void attention_values(const Attention& arguments, const float* weights, const float (&sums)[kHeads], float* out) {
  const std::size_t row_bytes = stored_row_bytes<kType>(arguments.head_dim);
  const std::uint32_t stride = score_stride(arguments.length);
  for (std::uint32_t i = 0; i < arguments.head_dim; i += 16) {
    Lanes low[kHeads];
    Lanes high[kHeads];
    for (int head = 0; head < kHeads; ++head) low[head] = high[head] = Lanes::broadcast(0.0F);
    std::uint32_t position = 0;
    for (std::uint32_t block = 0; position < arguments.length; ++block) {
      const std::byte* row = arguments.pool + arguments.blocks[block] * arguments.block_bytes + arguments.value_offset;
      const std::uint32_t rest = arguments.length - position;
      const std::uint32_t count = rest < arguments.block_tokens ? rest : arguments.block_tokens;
      for (std::uint32_t slot = 0; slot < count; ++slot, ++position, row += row_bytes) {
        const Lanes a = load_stored<Lanes, kType>(row, i);
        const Lanes b = load_stored<Lanes, kType>(row, i + 8);
        for (int head = 0; head < kHeads; ++head) {
          const Lanes weight = Lanes::broadcast(weights[static_cast<std::size_t>(head) * stride + position]);
          low[head] = multiply_add(weight, a, low[head]);
          high[head] = multiply_add(weight, b, high[head]);
        }
      }
    }
    for (int head = 0; head < kHeads; ++head) {
      float* to = out + static_cast<std::size_t>(head) * arguments.head_dim + i;
      const Lanes sum = Lanes::broadcast(sums[head]);
      divide(low[head], sum).store(to);
      divide(high[head], sum).store(to + 8);
    }
  }
}

// One token (arguments.tokens is 1).
template <class Lanes, DType kType, int kHeads>
inline void attention_heads(const Attention& arguments, std::uint32_t first_head) {
  const std::size_t at = static_cast<std::size_t>(first_head) * arguments.head_dim;
  attention_scores<Lanes, kType, kHeads>(arguments, arguments.query + at, arguments.scratch);
  float sums[kHeads];
  for (int head = 0; head < kHeads; ++head) {
    float* scores = arguments.scratch + static_cast<std::size_t>(head) * score_stride(arguments.length);
    sums[head] = exponential_sum_row<Lanes>(scores, arguments.length, row_maximum<Lanes>(scores, arguments.length));
  }
  attention_values<Lanes, kType, kHeads>(arguments, arguments.scratch, sums, arguments.out + at);
}

template <class Lanes, DType kType>
inline void attention_typed(const Attention& arguments) {
  for (std::uint32_t head = 0; head < arguments.heads;) {
    switch (arguments.heads - head) {
      case 1: attention_heads<Lanes, kType, 1>(arguments, head), head += 1; break;
      case 2: attention_heads<Lanes, kType, 2>(arguments, head), head += 2; break;
      case 3: attention_heads<Lanes, kType, 3>(arguments, head), head += 3; break;
      default: attention_heads<Lanes, kType, 4>(arguments, head), head += 4; break;
    }
  }
}

template <class Lanes>
inline void attention_body(const Attention& arguments) {
  Attention one = arguments;
  one.tokens = 1;
  for (std::uint32_t token = 0; token < arguments.tokens; ++token) {
    switch (one.dtype) {
      case DType::kF16: attention_typed<Lanes, DType::kF16>(one); break;
      case DType::kBF16: attention_typed<Lanes, DType::kBF16>(one); break;
      default: attention_typed<Lanes, DType::kF32>(one); break;
    }
    ++one.length;
    one.query += arguments.query_stride;
    one.out += arguments.out_stride;
  }
}

}  // namespace
}  // namespace baton::cpu
