// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/dot_rows.h"

#include "kernels/cpu/lanes_avx2.h"
#include "kernels/cpu/op_functions.h"

namespace baton::cpu::avx2 {

void dot_rows(const DotRows& arguments) { dot_rows_body<Avx2Lanes>(arguments); }

}  // namespace baton::cpu::avx2
