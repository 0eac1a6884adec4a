// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/add.h"

#include "kernels/cpu/lanes_scalar.h"
#include "kernels/cpu/op_functions.h"

namespace baton::cpu::scalar {

void add(float* x, const float* y, std::uint32_t n) { add_row<ScalarLanes>(x, y, n); }

}  // namespace baton::cpu::scalar
