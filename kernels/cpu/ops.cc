// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/ops.h"

#include <cpuid.h>

#include "kernels/cpu/op_functions.h"

namespace baton::cpu {
namespace {

constexpr Ops kScalarOps{"scalar",          scalar::dequantize_row, scalar::rms_norm,      scalar::quantize_row,
                         scalar::matmul_quantized, scalar::dot_rows, scalar::rope,          scalar::store_row,
                         scalar::attention, scalar::silu_multiply,  scalar::add,           scalar::exponential_sum};

constexpr Ops kAvx2Ops{"avx2",          avx2::dequantize_row, avx2::rms_norm,      avx2::quantize_row,
                       avx2::matmul_quantized, avx2::dot_rows, avx2::rope,          avx2::store_row,
                       avx2::attention, avx2::silu_multiply,  avx2::add,           avx2::exponential_sum};

// Half-float conversion, which not every compiler's feature builtin knows: leaf 1, ECX bit 29.
bool has_f16c() {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  return __get_cpuid(1, &eax, &ebx, &ecx, &edx) != 0 && (ecx & (1u << 29)) != 0;
}

}  // namespace

const Ops& scalar_ops() { return kScalarOps; }

const Ops* avx2_ops() {
  static const bool supported = __builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("fma") != 0 && has_f16c();
  return supported ? &kAvx2Ops : nullptr;
}

const Ops& best_ops() {
  const Ops* avx2 = avx2_ops();
  return avx2 != nullptr ? *avx2 : kScalarOps;
}

}  // namespace baton::cpu
