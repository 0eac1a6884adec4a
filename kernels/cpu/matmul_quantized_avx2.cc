// SPDX-License-Identifier: Apache-2.0
// AVX2 version of matmul_quantized.cc. Idea: eight rows at a time; a block of 32 columns of each is unpacked once to int16
// (512 bytes, first-level cache) and meets every token of a tile of up to 64: per (row, token) two pmaddwd and an add give
// eight int32 lanes, a transpose-and-add tree turns eight such registers into one register of eight row dots, and that is
// scaled and added to the token's eight float sums. Layout: weights as in the file, row-major blocks, read once per tile
// of tokens; activations [block][token][32], so that a block's tokens stream, 64 bytes per (eight rows, token, block).
// Why int16 and not maddubs on the two int8 terms: the joined value needs 3 instructions per 32 products instead of 5 and
// cannot saturate; the integer is the same.
#include "kernels/cpu/blocks_avx2.h"
#include "kernels/cpu/op_functions.h"

namespace baton::cpu::avx2 {
namespace {

constexpr std::uint32_t kTokenTile = 64;

struct Scales {
  __m256 d;  // of eight rows
  __m256 m;  // Q4_1 only
};

template <WeightType kType>
inline Scales load_scales(const std::byte* const (&rows)[8], std::size_t offset) {
  alignas(16) std::uint16_t d[8];
  alignas(16) std::uint16_t m[8];
  for (int r = 0; r < 8; ++r) {
    d[r] = load_u16(rows[r] + offset);
    if constexpr (kType == WeightType::kQ4_1) m[r] = load_u16(rows[r] + offset + 2);
  }
  Scales scales{_mm256_cvtph_ps(_mm_load_si128(reinterpret_cast<const __m128i*>(d))), _mm256_setzero_ps()};
  if constexpr (kType == WeightType::kQ4_1) scales.m = _mm256_cvtph_ps(_mm_load_si128(reinterpret_cast<const __m128i*>(m)));
  return scales;
}

inline __m256i add_pairs(__m256i a, __m256i b) {
  return _mm256_add_epi32(_mm256_unpacklo_epi32(a, b), _mm256_unpackhi_epi32(a, b));
}
inline __m256i add_quads(__m256i a, __m256i b) {
  return _mm256_add_epi32(_mm256_unpacklo_epi64(a, b), _mm256_unpackhi_epi64(a, b));
}

inline __m256i add_halves(__m256i a, __m256i b) {
  return _mm256_add_epi32(_mm256_permute2x128_si256(a, b, 0x20), _mm256_permute2x128_si256(a, b, 0x31));
}

// Lane r of the result is the sum of the lanes of s[r].
inline __m256i sum_each(const __m256i (&s)[8]) {
  const __m256i low = add_quads(add_pairs(s[0], s[1]), add_pairs(s[2], s[3]));
  const __m256i high = add_quads(add_pairs(s[4], s[5]), add_pairs(s[6], s[7]));
  return add_halves(low, high);
}

// Asks for the same block of the next eight rows: eight short streams are more than the hardware follows by itself.
inline void prefetch_next_rows(const MatmulQuantized& a, const std::byte* const (&rows)[8], std::size_t offset) {
  for (const std::byte* row : rows) _mm_prefetch(reinterpret_cast<const char*>(row + offset + 8 * a.row_bytes), _MM_HINT_T0);
}

template <WeightType kType>
inline __m256 accumulate(__m256i dots, const Scales& scales, float activation_scale, float activation_sum, __m256 sum) {
  const __m256 scale = _mm256_mul_ps(scales.d, _mm256_set1_ps(activation_scale));
  sum = _mm256_fmadd_ps(_mm256_cvtepi32_ps(dots), scale, sum);
  if constexpr (kType == WeightType::kQ4_1) sum = _mm256_fmadd_ps(scales.m, _mm256_set1_ps(activation_sum), sum);
  return sum;
}

inline void store_rows(__m256 sums, std::uint32_t rows, float* out) {
  if (rows == 8) {
    _mm256_storeu_ps(out, sums);
    return;
  }
  alignas(32) float all[8];
  _mm256_store_ps(all, sums);
  for (std::uint32_t r = 0; r < rows; ++r) out[r] = all[r];
}

inline __m256i load_values(const std::int16_t* from) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)); }

// One token: unpacked weights go from register to product.
template <WeightType kType>
void one_token(const MatmulQuantized& a, const std::byte* const (&rows)[8], std::uint32_t count, std::uint32_t token, float* out) {
  __m256 total = _mm256_setzero_ps();
  for (std::uint32_t b = 0; b < a.blocks; ++b) {
    const std::size_t offset = b * kBlockBytes<kType>;
    const std::size_t at = static_cast<std::size_t>(b) * a.tokens + token;
    prefetch_next_rows(a, rows, offset);
    const __m256i low = load_values(a.values + at * kQuantBlock);
    const __m256i high = load_values(a.values + at * kQuantBlock + 16);
    __m256i s[8];
    for (int r = 0; r < 8; ++r) {
      const Quants quants = unpack_block<kType>(rows[r] + offset);
      s[r] = _mm256_add_epi32(_mm256_madd_epi16(low, quants.low), _mm256_madd_epi16(high, quants.high));
    }
    total = accumulate<kType>(sum_each(s), load_scales<kType>(rows, offset), a.scales[at], a.sums[at], total);
  }
  store_rows(total, count, out);
}

// One block of eight unpacked rows: [row][low, high].
using Tile = __m256i[8][2];

// The rows' dots with kTokens neighbouring tokens; each register of weights is loaded once for all of them.
template <int kTokens>
inline void block_dots(const Tile& weights, const std::int16_t* values, __m256i (&dots)[kTokens]) {
  __m256i quads[kTokens][2];
  for (int half = 0; half < 2; ++half) {
    __m256i pairs[kTokens][2];
    for (int pair = 0; pair < 2; ++pair) {
      __m256i s[kTokens][2];
      for (int i = 0; i < 2; ++i) {
        const __m256i low = weights[half * 4 + pair * 2 + i][0];
        const __m256i high = weights[half * 4 + pair * 2 + i][1];
        for (int t = 0; t < kTokens; ++t)
          s[t][i] = _mm256_add_epi32(_mm256_madd_epi16(load_values(values + t * 32), low),
                                     _mm256_madd_epi16(load_values(values + t * 32 + 16), high));
      }
      for (int t = 0; t < kTokens; ++t) pairs[t][pair] = add_pairs(s[t][0], s[t][1]);
    }
    for (int t = 0; t < kTokens; ++t) quads[t][half] = add_quads(pairs[t][0], pairs[t][1]);
  }
  for (int t = 0; t < kTokens; ++t) dots[t] = add_halves(quads[t][0], quads[t][1]);
}

template <WeightType kType, int kTokens>
inline void add_block(const Tile& weights, const Scales& scales, const MatmulQuantized& a, std::size_t at, float* totals) {
  __m256i dots[kTokens];
  block_dots<kTokens>(weights, a.values + at * kQuantBlock, dots);
  for (int t = 0; t < kTokens; ++t, totals += 8)
    _mm256_store_ps(totals, accumulate<kType>(dots[t], scales, a.scales[at + t], a.sums[at + t], _mm256_load_ps(totals)));
}

template <WeightType kType>
void token_tile(const MatmulQuantized& a, const std::byte* const (&rows)[8], std::uint32_t count, std::uint32_t first,
                std::uint32_t tokens, float* out) {
  alignas(32) Tile weights;
  alignas(32) float totals[kTokenTile * 8];
  for (std::uint32_t t = 0; t < tokens; ++t) _mm256_store_ps(totals + t * 8, _mm256_setzero_ps());
  for (std::uint32_t b = 0; b < a.blocks; ++b) {
    const std::size_t offset = b * kBlockBytes<kType>;
    prefetch_next_rows(a, rows, offset);
    for (int r = 0; r < 8; ++r) {
      const Quants quants = unpack_block<kType>(rows[r] + offset);
      weights[r][0] = quants.low;
      weights[r][1] = quants.high;
    }
    const Scales scales = load_scales<kType>(rows, offset);
    const std::size_t at = static_cast<std::size_t>(b) * a.tokens + first;
    std::uint32_t t = 0;
    for (; t + 2 <= tokens; t += 2) add_block<kType, 2>(weights, scales, a, at + t, totals + t * 8);
    if (t < tokens) add_block<kType, 1>(weights, scales, a, at + t, totals + t * 8);
  }
  for (std::uint32_t t = 0; t < tokens; ++t) store_rows(_mm256_load_ps(totals + t * 8), count, out + (first + t) * a.out_stride);
}

template <WeightType kType>
void matmul_typed(const MatmulQuantized& a) {
  for (std::uint32_t first = 0; first < a.tokens; first += kTokenTile) {
    const std::uint32_t tokens = a.tokens - first < kTokenTile ? a.tokens - first : kTokenTile;
    for (std::uint32_t row = a.row_begin; row < a.row_end; row += 8) {
      const std::uint32_t count = a.row_end - row < 8 ? a.row_end - row : 8;
      const std::byte* rows[8];
      // A tile that is short repeats its last row; the repeats are not stored.
      for (std::uint32_t r = 0; r < 8; ++r) rows[r] = a.weights + (row + (r < count ? r : count - 1)) * a.row_bytes;
      if (tokens == 1)
        one_token<kType>(a, rows, count, first, a.out + first * a.out_stride + row);
      else
        token_tile<kType>(a, rows, count, first, tokens, a.out + row);
    }
  }
}

}  // namespace

void matmul_quantized(const MatmulQuantized& arguments) {
  switch (arguments.type) {
    case WeightType::kQ8_0: matmul_typed<WeightType::kQ8_0>(arguments); return;
    case WeightType::kQ4_0: matmul_typed<WeightType::kQ4_0>(arguments); return;
    case WeightType::kQ4_1: matmul_typed<WeightType::kQ4_1>(arguments); return;
    default: return;
  }
}

}  // namespace baton::cpu::avx2
