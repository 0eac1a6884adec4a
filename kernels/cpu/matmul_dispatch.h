// SPDX-License-Identifier: Apache-2.0
// From the run-time type of a matrix and the number of int8 terms to the kernel that was compiled for them. Internal linkage:
// each instruction set has its own.
#pragma once

#include "kernels/cpu/ops.h"

namespace baton::cpu {
namespace {

template <class Kernel, int kTerms>
inline void run_for_terms(const MatmulPanels& a) {
  switch (a.weights.type) {
    case WeightType::kQ8_0: Kernel::template run<WeightType::kQ8_0, kTerms>(a); return;
    case WeightType::kQ4_0: Kernel::template run<WeightType::kQ4_0, kTerms>(a); return;
    case WeightType::kQ4_1: Kernel::template run<WeightType::kQ4_1, kTerms>(a); return;
    default: return;  // float matrices are never packed
  }
}

template <class Kernel>
inline void run_for_type(const MatmulPanels& a) {
  if (a.terms == 2)
    run_for_terms<Kernel, 2>(a);
  else
    run_for_terms<Kernel, 1>(a);
}

}  // namespace
}  // namespace baton::cpu
