// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/add.h"

#include "kernels/cpu/lanes_avx2.h"
#include "kernels/cpu/op_functions.h"

namespace baton::cpu::avx2 {

void add(float* x, const float* y, std::uint32_t n) { add_row<Avx2Lanes>(x, y, n); }

}  // namespace baton::cpu::avx2
