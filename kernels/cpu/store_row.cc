// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/store_row.h"

#include "kernels/cpu/lanes_scalar.h"
#include "kernels/cpu/op_functions.h"

namespace baton::cpu::scalar {

void store_row(const float* x, std::uint32_t n, DType dtype, std::byte* out) { store_row_body<ScalarLanes>(x, n, dtype, out); }

}  // namespace baton::cpu::scalar
