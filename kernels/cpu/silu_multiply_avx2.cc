// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/silu_multiply.h"

#include "kernels/cpu/lanes_avx2.h"
#include "kernels/cpu/op_functions.h"

namespace baton::cpu::avx2 {

void silu_multiply(float* gate, const float* up, std::uint32_t n) { silu_multiply_row<Avx2Lanes>(gate, up, n); }

}  // namespace baton::cpu::avx2
