// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/attention.h"

#include "kernels/cpu/lanes_scalar.h"
#include "kernels/cpu/op_functions.h"

namespace baton::cpu::scalar {

void attention(const Attention& arguments) { attention_body<ScalarLanes>(arguments); }

}  // namespace baton::cpu::scalar
