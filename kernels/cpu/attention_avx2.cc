// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/attention.h"

#include "kernels/cpu/lanes_avx2.h"
#include "kernels/cpu/op_functions.h"

namespace baton::cpu::avx2 {

void attention(const Attention& arguments) { attention_body<Avx2Lanes>(arguments); }

}  // namespace baton::cpu::avx2
