// SPDX-License-Identifier: Apache-2.0
// What the AVX2 and AVX-512 versions of matmul_panels share: facts of a panel that are constants once its type is one, asking for
// weights ahead, and the way from the run-time type to the kernel compiled for it. Internal linkage: each instruction set has
// its own.
#pragma once

#include <immintrin.h>

#include "kernels/cpu/ops.h"

namespace baton::cpu {
namespace {

template <WeightType kType>
inline constexpr bool kHasMinimum = kType == WeightType::kQ4_1;
template <WeightType kType>
inline constexpr std::size_t kQuantBytes = panel_block_quant_bytes(kType);
// The zero point, a power of two where there is one, as a shift.
template <WeightType kType>
inline constexpr int kZeroShift = panel_zero(kType) == 128 ? 7 : panel_zero(kType) == 8 ? 3 : 0;

// Weights are asked for this many bytes ahead, into the second-level cache: measured on Zen 4, 8 KiB reads 0.9 of what a plain
// sum reads; 2 KiB, no asking, or asking for the first level (which has too few outstanding lines) half of it.
inline constexpr std::size_t kPrefetchAhead = 8192;

// The share of one block in the panel's bytes, scales included, further on.
template <WeightType kType>
inline void prefetch_block(const std::byte* panel, std::uint32_t block) {
  constexpr std::size_t kBytes = kQuantBytes<kType> + (kHasMinimum<kType> ? 4 : 2) * kPanelRows;
  const char* from = reinterpret_cast<const char*>(panel) + kPrefetchAhead + block * kBytes;
  for (std::size_t line = 0; line < kBytes; line += 64) _mm_prefetch(from + line, _MM_HINT_T1);
}

// Four activations as one number to broadcast.
inline std::int32_t load_group(const std::int8_t* from) {
  std::int32_t four;
  __builtin_memcpy(&four, from, sizeof four);
  return four;
}

template <int kTerms, class Kernel>
inline void run_for_terms(WeightType type, const Kernel& kernel) {
  switch (type) {
    case WeightType::kQ8_0: kernel.template operator()<WeightType::kQ8_0, kTerms>(); return;
    case WeightType::kQ4_0: kernel.template operator()<WeightType::kQ4_0, kTerms>(); return;
    case WeightType::kQ4_1: kernel.template operator()<WeightType::kQ4_1, kTerms>(); return;
    default: return;  // float matrices are never packed
  }
}

// kernel.operator()<type, terms>() for those of the arguments.
template <class Kernel>
inline void run_for_type(const MatmulPanels& a, const Kernel& kernel) {
  if (a.terms == 2)
    run_for_terms<2>(a.weights.type, kernel);
  else
    run_for_terms<1>(a.weights.type, kernel);
}

}  // namespace
}  // namespace baton::cpu
