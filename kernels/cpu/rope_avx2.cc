// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/rope.h"

#include "kernels/cpu/lanes_avx2.h"
#include "kernels/cpu/op_functions.h"

namespace baton::cpu::avx2 {

void rope(float* heads, std::uint32_t count, std::uint32_t head_dim, std::uint32_t rotary, const float* c, const float* s) {
  rope_heads<Avx2Lanes>(heads, count, head_dim, rotary, c, s);
}

}  // namespace baton::cpu::avx2
