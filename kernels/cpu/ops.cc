// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/ops.h"

#include <cpuid.h>

#include <cstdlib>
#include <string>
#include <string_view>

#include "kernels/cpu/op_functions.h"
#include "kernels/cpu/self_test.h"
#include "runtime/base/log.h"

namespace baton::cpu {
namespace {

constexpr Ops kScalarOps{"scalar",          scalar::dequantize_row, scalar::rms_norm,      scalar::quantize_block,
                         scalar::matmul_panels, scalar::dot_rows,   scalar::rope,          scalar::store_row,
                         scalar::attention, scalar::silu_multiply,  scalar::exponential_sum};

constexpr Ops kAvx2Ops{"avx2",          avx2::dequantize_row, avx2::rms_norm,      avx2::quantize_block,
                       avx2::matmul_panels, avx2::dot_rows,   avx2::rope,          avx2::store_row,
                       avx2::attention, avx2::silu_multiply,  avx2::exponential_sum};

// The ops where wider registers pay; the others are a few percent of a step.
constexpr Ops kAvx512Ops{"avx512",          avx2::dequantize_row, avx2::rms_norm,      avx2::quantize_block,
                         avx512::matmul_panels, avx512::dot_rows, avx2::rope,          avx2::store_row,
                         avx512::attention, avx2::silu_multiply,  avx2::exponential_sum};

// Half-float conversion, which not every compiler's feature builtin knows: leaf 1, ECX bit 29.
bool has_f16c() {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  return __get_cpuid(1, &eax, &ebx, &ecx, &edx) != 0 && (ecx & (1u << 29)) != 0;
}

const Ops& choose() {
  const char* const wanted = std::getenv("BATON_CPU_KERNELS");
  const std::string_view name = wanted != nullptr ? wanted : "";
  if (name == "scalar") return kScalarOps;
  if (name == "avx2" && avx2_ops() != nullptr) return *avx2_ops();
  if (name == "avx512" && avx512_ops() != nullptr) return *avx512_ops();
  if (!name.empty())
    log_warn("kernels", "BATON_CPU_KERNELS names no kernels of this CPU; choosing by ourselves", {{"value", std::string(name)}, {"known", "scalar, avx2, avx512"}});
  return fastest_exact(kScalarOps, {avx2_ops(), avx512_ops()});
}

}  // namespace

const Ops& scalar_ops() { return kScalarOps; }

const Ops* avx2_ops() {
  static const bool supported = __builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("fma") != 0 && has_f16c();
  return supported ? &kAvx2Ops : nullptr;
}

const Ops* avx512_ops() {
  static const bool supported = avx2_ops() != nullptr && __builtin_cpu_supports("avx512f") != 0 && __builtin_cpu_supports("avx512bw") != 0 &&
                                __builtin_cpu_supports("avx512vl") != 0 && __builtin_cpu_supports("avx512dq") != 0 &&
                                __builtin_cpu_supports("avx512vnni") != 0;
  return supported ? &kAvx512Ops : nullptr;
}

const Ops& best_ops() {
  static const Ops& chosen = choose();
  return chosen;
}

}  // namespace baton::cpu
