// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/dot_rows.h"

#include "kernels/cpu/lanes_scalar.h"
#include "kernels/cpu/op_functions.h"

namespace baton::cpu::scalar {

void dot_rows(const DotRows& arguments) { dot_rows_body<ScalarLanes>(arguments); }

}  // namespace baton::cpu::scalar
