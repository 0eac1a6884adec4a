// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/silu_multiply.h"

#include "kernels/cpu/lanes_scalar.h"
#include "kernels/cpu/op_functions.h"

namespace baton::cpu::scalar {

void silu_multiply(float* gate, const float* up, std::uint32_t n) { silu_multiply_row<ScalarLanes>(gate, up, n); }

}  // namespace baton::cpu::scalar
