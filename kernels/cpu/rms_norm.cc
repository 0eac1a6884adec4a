// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/rms_norm.h"

#include "kernels/cpu/lanes_scalar.h"
#include "kernels/cpu/op_functions.h"

namespace baton::cpu::scalar {

void rms_norm(const float* x, const float* gain, std::uint32_t n, float epsilon, float* y) {
  rms_norm_row<ScalarLanes>(x, gain, n, epsilon, y);
}

}  // namespace baton::cpu::scalar
