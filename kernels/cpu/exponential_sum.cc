// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/exponential_sum.h"

#include "kernels/cpu/lanes_scalar.h"
#include "kernels/cpu/op_functions.h"

namespace baton::cpu::scalar {

float exponential_sum(float* x, std::uint32_t n, float maximum) { return exponential_sum_row<ScalarLanes>(x, n, maximum); }

}  // namespace baton::cpu::scalar
