// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/rms_norm.h"

#include "kernels/cpu/lanes_avx2.h"
#include "kernels/cpu/op_functions.h"

namespace baton::cpu::avx2 {

void rms_norm(const float* x, const float* gain, std::uint32_t n, float epsilon, float* y) {
  rms_norm_row<Avx2Lanes>(x, gain, n, epsilon, y);
}

}  // namespace baton::cpu::avx2
