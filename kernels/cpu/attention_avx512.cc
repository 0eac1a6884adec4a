// SPDX-License-Identifier: Apache-2.0
// AVX-512 version of attention.h. Idea, after FlashAttention (Dao et al. 2022): K and V are walked in pieces of 16 stored rows,
// each widened to float32 once (4 KiB of scratch at head_dim 64, first-level cache; straight from the pool where there are four
// query rows or fewer) and met by every query head of every token of the tile, four queries by four keys in registers. Unlike there the maximum is exact, from scores kept in scratch, so
// that a weight does not depend on where pieces begin. A dot keeps element d in lane d mod 16; the 16 dots of a four-by-four
// tile are folded together, halves onto halves as reduce_sum does, in 30 shuffles instead of 16 x 8.
// Tokens of a tile see different lengths: scores are computed up to the longest, values are added up to each token's own.
#include <immintrin.h>

#include "kernels/cpu/lanes_avx512.h"
#include "kernels/cpu/lanes_math.h"
#include "kernels/cpu/op_functions.h"

namespace baton::cpu::avx512 {
namespace {

constexpr std::uint32_t kPiece = 16;
template <DType kType>
inline constexpr std::size_t kBytes = kType == DType::kF32 ? 4 : 2;

template <DType kType>
inline __m512 load_stored(const std::byte* from) {
  if constexpr (kType == DType::kF16) return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)));
  if constexpr (kType == DType::kBF16) {
    const __m512i wide = _mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)));
    return _mm512_castsi512_ps(_mm512_slli_epi32(wide, 16));
  }
  if constexpr (kType == DType::kF32) return _mm512_loadu_ps(reinterpret_cast<const float*>(from));
}

constexpr std::uint32_t kHeadsAtOnce = 32;
constexpr std::uint32_t kMostRows = kAttentionTokens * kHeadsAtOnce;

// The tile's rows of queries, token by token, and where everything of theirs lies.
struct Tile {
  const Attention& a;
  std::uint32_t rows;         // tokens x heads
  std::uint32_t last_length;  // of the last token
  std::size_t stride;         // floats between the scores of two rows
  float* scores;
  float* piece;               // [kPiece][head_dim]
  const float* queries[kMostRows];
  float* outs[kMostRows];

  explicit Tile(const Attention& arguments)
      : a(arguments),
        rows(arguments.tokens * arguments.heads),
        last_length(arguments.length + arguments.tokens - 1),
        stride((last_length + 31) / 16 * 16),
        scores(arguments.scratch + std::size_t{kPiece} * arguments.head_dim),
        piece(arguments.scratch) {
    for (std::uint32_t token = 0, row = 0; token < a.tokens; ++token)
      for (std::uint32_t head = 0; head < a.heads; ++head, ++row) {
        queries[row] = a.query + token * a.query_stride + std::size_t{head} * a.head_dim;
        outs[row] = a.out + token * a.out_stride + std::size_t{head} * a.head_dim;
      }
  }
  const std::byte* piece_bytes() const { return reinterpret_cast<const std::byte*>(piece); }
  std::uint32_t length(std::uint32_t row) const { return a.length + row / a.heads; }
};

// Blocks lie anywhere in the pool, so no hardware stream leads to the next one.
inline void prefetch_rows(const std::byte* from, std::size_t bytes) {
  for (std::size_t line = 0; line < bytes; line += 64) _mm_prefetch(reinterpret_cast<const char*>(from + line), _MM_HINT_T0);
}

// body(first position, count <= kPiece, stored rows) for all positions in order; pieces do not cross blocks.
template <class Body>
inline void for_pieces(const Attention& a, std::uint32_t length, std::size_t offset, std::size_t row_bytes, const Body& body) {
  std::uint32_t position = 0;
  for (std::uint32_t block = 0; position < length; ++block) {
    const std::byte* stored = a.pool + a.blocks[block] * a.block_bytes + offset;
    const std::uint32_t end = length - position < a.block_tokens ? length : position + a.block_tokens;
    if (end < length) prefetch_rows(a.pool + a.blocks[block + 1] * a.block_bytes + offset, row_bytes * (a.block_tokens < kPiece ? a.block_tokens : kPiece));
    while (position < end) {
      const std::uint32_t count = end - position < kPiece ? end - position : kPiece;
      body(position, count, stored);
      position += count;
      stored += count * row_bytes;
    }
  }
}

template <DType kType>
inline void widen(const Attention& a, const std::byte* stored, std::uint32_t count, float* piece) {
  for (std::uint32_t i = 0; i < count * a.head_dim; i += 16) _mm512_store_ps(piece + i, load_stored<kType>(stored + i * kBytes<kType>));
}

inline __m512 fold_halves(__m512 x, __m512 y) {
  return _mm512_add_ps(_mm512_shuffle_f32x4(x, y, 0x44), _mm512_shuffle_f32x4(x, y, 0xee));
}
inline __m512 fold_quarters(__m512 x, __m512 y) {
  return _mm512_add_ps(_mm512_shuffle_f32x4(x, y, 0x88), _mm512_shuffle_f32x4(x, y, 0xdd));
}
inline __m512 fold_pairs(__m512 x, __m512 y) {
  const __m512d a = _mm512_castps_pd(x);
  const __m512d b = _mm512_castps_pd(y);
  return _mm512_add_ps(_mm512_castpd_ps(_mm512_unpacklo_pd(a, b)), _mm512_castpd_ps(_mm512_unpackhi_pd(a, b)));
}
inline __m512 fold_last(__m512 x, __m512 y) { return _mm512_add_ps(_mm512_shuffle_ps(x, y, 0x88), _mm512_shuffle_ps(x, y, 0xdd)); }

// dots[q][k]: result q in 128-bit lane q, its four keys in order.
inline __m512 fold(const __m512 (&dots)[4][4]) {
  __m512 keys[4];
  for (int k = 0; k < 4; ++k) keys[k] = fold_quarters(fold_halves(dots[0][k], dots[1][k]), fold_halves(dots[2][k], dots[3][k]));
  return fold_last(fold_pairs(keys[0], keys[1]), fold_pairs(keys[2], keys[3]));
}

// Scores of kRows queries with four keys, stored as kType. Inlined, or the sixteen sums travel through memory.
template <DType kType, int kRows>
[[gnu::always_inline]] inline __m512 score_tile(const float* const (&queries)[4], const std::byte* const (&keys)[4], std::uint32_t head_dim) {
  __m512 dots[4][4];
  for (int q = 0; q < 4; ++q)
    for (int k = 0; k < 4; ++k) dots[q][k] = _mm512_setzero_ps();
  for (std::uint32_t d = 0; d < head_dim; d += 16) {
    __m512 key[4];
    for (int k = 0; k < 4; ++k) key[k] = load_stored<kType>(keys[k] + d * kBytes<kType>);
    for (int q = 0; q < kRows; ++q) {
      const __m512 query = _mm512_loadu_ps(queries[q] + d);
      for (int k = 0; k < 4; ++k) dots[q][k] = _mm512_fmadd_ps(query, key[k], dots[q][k]);
    }
  }
  return fold(dots);
}

// Scores of rows [row, row + kRows) with the `count` keys that begin at `stored`, for positions from `position` on.
template <DType kType, int kRows>
inline void score_rows(const Tile& tile, std::uint32_t row, std::uint32_t position, std::uint32_t count, const std::byte* stored) {
  const std::uint32_t head_dim = tile.a.head_dim;
  const __m512 scale = _mm512_set1_ps(tile.a.scale);
  const float* const queries[4] = {tile.queries[row], tile.queries[row + (kRows > 1 ? 1 : 0)], tile.queries[row + (kRows > 2 ? 2 : 0)],
                                   tile.queries[row + (kRows > 3 ? 3 : 0)]};
  for (std::uint32_t first = 0; first < count; first += 4) {
    const std::byte* keys[4];
    // Keys past the last repeat it; their scores are overwritten by the next piece or lie past the end.
    for (std::uint32_t k = 0; k < 4; ++k) keys[k] = stored + std::size_t{first + k < count ? first + k : count - 1} * head_dim * kBytes<kType>;
    const __m512 scores = _mm512_mul_ps(score_tile<kType, kRows>(queries, keys, head_dim), scale);
    float* to = tile.scores + row * tile.stride + position + first;
    _mm_storeu_ps(to, _mm512_castps512_ps128(scores));
    if constexpr (kRows > 1) _mm_storeu_ps(to + tile.stride, _mm512_extractf32x4_ps(scores, 1));
    if constexpr (kRows > 2) _mm_storeu_ps(to + 2 * tile.stride, _mm512_extractf32x4_ps(scores, 2));
    if constexpr (kRows > 3) _mm_storeu_ps(to + 3 * tile.stride, _mm512_extractf32x4_ps(scores, 3));
  }
}

template <DType kType>
inline void score_any(const Tile& tile, std::uint32_t row, std::uint32_t position, std::uint32_t count, const std::byte* stored) {
  switch (tile.rows - row) {
    case 1: score_rows<kType, 1>(tile, row, position, count, stored); break;
    case 2: score_rows<kType, 2>(tile, row, position, count, stored); break;
    case 3: score_rows<kType, 3>(tile, row, position, count, stored); break;
    default: score_rows<kType, 4>(tile, row, position, count, stored); break;
  }
}

template <DType kType>
void compute_scores(const Tile& tile) {
  const Attention& a = tile.a;
  for_pieces(a, tile.last_length, a.key_offset, a.head_dim * kBytes<kType>, [&](std::uint32_t position, std::uint32_t count, const std::byte* stored) {
    if (tile.rows <= 4) return score_any<kType>(tile, 0, position, count, stored);
    widen<kType>(a, stored, count, tile.piece);
    for (std::uint32_t row = 0; row < tile.rows; row += 4) score_any<DType::kF32>(tile, row, position, count, tile.piece_bytes());
  });
}

inline float row_maximum(const float* x, std::uint32_t n) {
  __m512 best = _mm512_set1_ps(-__builtin_inff());
  for (std::uint32_t i = 0; i < n; i += 16)
    best = _mm512_mask_max_ps(best, first_lanes(n - i), _mm512_maskz_loadu_ps(first_lanes(n - i), x + i), best);
  return _mm512_reduce_max_ps(best);
}

// Scores to weights; returns their sum.
inline float weigh(float* x, std::uint32_t length) {
  const Avx512Lanes shift = Avx512Lanes::broadcast(row_maximum(x, length));
  __m512 sum = _mm512_setzero_ps();
  for (std::uint32_t i = 0; i < length; i += 16) {
    const __mmask16 mask = first_lanes(length - i);
    const Avx512Lanes value = exponential(subtract({_mm512_maskz_loadu_ps(mask, x + i)}, shift));
    _mm512_storeu_ps(x + i, _mm512_maskz_mov_ps(mask, value.value));
    sum = _mm512_mask_add_ps(sum, mask, sum, value.value);
  }
  return reduce_sum(sum);
}

// Adds `count` weighted rows of V, stored as kType, to 16 x kParts elements of kRows rows' outputs.
template <DType kType, int kRows, int kParts>
[[gnu::always_inline]] inline void add_part(const Tile& tile, std::uint32_t row, std::uint32_t position, std::uint32_t count, const std::byte* stored, std::uint32_t d) {
  __m512 sums[kRows][kParts];
  const float* weights[kRows];
  for (std::uint32_t q = 0; q < kRows; ++q) {
    weights[q] = tile.scores + (row + q) * tile.stride + position;
    for (int part = 0; part < kParts; ++part)
      sums[q][part] = position == 0 ? _mm512_setzero_ps() : _mm512_loadu_ps(tile.outs[row + q] + d + part * 16);
  }
  for (std::uint32_t i = 0; i < count; ++i) {
    const std::byte* from = stored + (std::size_t{i} * tile.a.head_dim + d) * kBytes<kType>;
    __m512 value[kParts];
    for (int part = 0; part < kParts; ++part) value[part] = load_stored<kType>(from + part * 16 * kBytes<kType>);
    for (int q = 0; q < kRows; ++q) {
      const __m512 weight = _mm512_set1_ps(weights[q][i]);
      for (int part = 0; part < kParts; ++part) sums[q][part] = _mm512_fmadd_ps(weight, value[part], sums[q][part]);
    }
  }
  for (std::uint32_t q = 0; q < kRows; ++q)
    for (int part = 0; part < kParts; ++part) _mm512_storeu_ps(tile.outs[row + q] + d + part * 16, sums[q][part]);
}

template <DType kType, int kRows>
inline void add_rows(const Tile& tile, std::uint32_t row, std::uint32_t position, std::uint32_t count, const std::byte* stored) {
  std::uint32_t d = 0;
  for (; d + 64 <= tile.a.head_dim; d += 64) add_part<kType, kRows, 4>(tile, row, position, count, stored, d);
  for (; d < tile.a.head_dim; d += 16) add_part<kType, kRows, 1>(tile, row, position, count, stored, d);
}

// Rows [row, end) of the tile.
template <DType kType>
inline void add_all(const Tile& tile, std::uint32_t row, std::uint32_t end, std::uint32_t position, std::uint32_t count, const std::byte* stored) {
  for (; row < end; row += 4) {
    switch (end - row) {
      case 1: add_rows<kType, 1>(tile, row, position, count, stored); break;
      case 2: add_rows<kType, 2>(tile, row, position, count, stored); break;
      case 3: add_rows<kType, 3>(tile, row, position, count, stored); break;
      default: add_rows<kType, 4>(tile, row, position, count, stored); break;
    }
  }
}

// Each token's rows up to its own length. Weights of zero past it would not do: zero times an infinity that a later token has
// stored is NaN, and what is made of that here could be kept for others as the beginning of their prompts.
template <DType kType>
inline void add_visible(const Tile& tile, std::uint32_t position, std::uint32_t count, const std::byte* stored) {
  const Attention& a = tile.a;
  if (position + count <= a.length) return add_all<kType>(tile, 0, tile.rows, position, count, stored);
  for (std::uint32_t row = 0; row < tile.rows; row += a.heads) {
    const std::uint32_t length = tile.length(row);
    if (length <= position) continue;
    add_all<kType>(tile, row, row + a.heads, position, length - position < count ? length - position : count, stored);
  }
}

template <DType kType>
void add_weighted_values(const Tile& tile) {
  const Attention& a = tile.a;
  for_pieces(a, tile.last_length, a.value_offset, a.head_dim * kBytes<kType>, [&](std::uint32_t position, std::uint32_t count, const std::byte* stored) {
    if (tile.rows <= 4) return add_visible<kType>(tile, position, count, stored);
    widen<kType>(a, stored, count, tile.piece);
    add_visible<DType::kF32>(tile, position, count, tile.piece_bytes());
  });
}

template <DType kType>
void attention_typed(const Attention& a) {
  const Tile tile(a);
  compute_scores<kType>(tile);
  float sums[kMostRows];
  for (std::uint32_t row = 0; row < tile.rows; ++row) sums[row] = weigh(tile.scores + row * tile.stride, tile.length(row));
  add_weighted_values<kType>(tile);
  for (std::uint32_t row = 0; row < tile.rows; ++row) {
    const __m512 sum = _mm512_set1_ps(sums[row]);
    for (std::uint32_t d = 0; d < a.head_dim; d += 16)
      _mm512_storeu_ps(tile.outs[row] + d, _mm512_div_ps(_mm512_loadu_ps(tile.outs[row] + d), sum));
  }
}

}  // namespace

void attention(const Attention& arguments) {
  Attention part = arguments;
  for (std::uint32_t head = 0; head < arguments.heads; head += part.heads) {
    part.heads = arguments.heads - head < kHeadsAtOnce ? arguments.heads - head : kHeadsAtOnce;
    part.query = arguments.query + std::size_t{head} * arguments.head_dim;
    part.out = arguments.out + std::size_t{head} * arguments.head_dim;
    switch (arguments.dtype) {
      case DType::kF16: attention_typed<DType::kF16>(part); break;
      case DType::kBF16: attention_typed<DType::kBF16>(part); break;
      default: attention_typed<DType::kF32>(part); break;
    }
  }
}

}  // namespace baton::cpu::avx512
