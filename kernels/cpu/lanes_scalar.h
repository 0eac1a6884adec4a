// SPDX-License-Identifier: Apache-2.0
// ScalarLanes: eight float lanes in plain C++, the reference for Avx2Lanes (same members, same bits). Float kernels are
// written once over a lanes type, so the order of every sum is fixed by the source and not by the instruction set.
// Sums over a row use 16 lanes (two of these; one AVX-512 register): element i belongs to lane i mod 16.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>

#include "kernels/cpu/half.h"

namespace baton::cpu {
namespace {

struct ScalarLanes {
  float lane[8];

  template <class Function>
  static ScalarLanes make(Function function) {
    ScalarLanes result;
    for (int i = 0; i < 8; ++i) result.lane[i] = function(i);
    return result;
  }
  static ScalarLanes broadcast(float value) {
    return make([&](int) { return value; });
  }
  static ScalarLanes load(const float* from) {
    return make([&](int i) { return from[i]; });
  }
  static ScalarLanes load_half(const std::byte* from) {
    std::uint16_t raw[8];
    memcpy(raw, from, sizeof raw);
    return make([&](int i) { return half_to_float(raw[i]); });
  }
  static ScalarLanes load_bfloat(const std::byte* from) {
    std::uint16_t raw[8];
    memcpy(raw, from, sizeof raw);
    return make([&](int i) { return bfloat_to_float(raw[i]); });
  }
  void store(float* to) const {
    for (int i = 0; i < 8; ++i) to[i] = lane[i];
  }
  void store_half(std::byte* to) const {
    std::uint16_t raw[8];
    for (int i = 0; i < 8; ++i) raw[i] = float_to_half(lane[i]);
    memcpy(to, raw, sizeof raw);
  }
  void store_bfloat(std::byte* to) const {
    std::uint16_t raw[8];
    for (int i = 0; i < 8; ++i) raw[i] = float_to_bfloat(lane[i]);
    memcpy(to, raw, sizeof raw);
  }
};

inline ScalarLanes add(ScalarLanes a, ScalarLanes b) {
  return ScalarLanes::make([&](int i) { return a.lane[i] + b.lane[i]; });
}
inline ScalarLanes subtract(ScalarLanes a, ScalarLanes b) {
  return ScalarLanes::make([&](int i) { return a.lane[i] - b.lane[i]; });
}
inline ScalarLanes multiply(ScalarLanes a, ScalarLanes b) {
  return ScalarLanes::make([&](int i) { return a.lane[i] * b.lane[i]; });
}
inline ScalarLanes divide(ScalarLanes a, ScalarLanes b) {
  return ScalarLanes::make([&](int i) { return a.lane[i] / b.lane[i]; });
}
// a x b + c, rounded once.
inline ScalarLanes multiply_add(ScalarLanes a, ScalarLanes b, ScalarLanes c) {
  return ScalarLanes::make([&](int i) { return std::fma(a.lane[i], b.lane[i], c.lane[i]); });
}
// The second where either is NaN, as x86 has it.
inline ScalarLanes maximum(ScalarLanes a, ScalarLanes b) {
  return ScalarLanes::make([&](int i) { return a.lane[i] > b.lane[i] ? a.lane[i] : b.lane[i]; });
}
inline ScalarLanes minimum(ScalarLanes a, ScalarLanes b) {
  return ScalarLanes::make([&](int i) { return a.lane[i] < b.lane[i] ? a.lane[i] : b.lane[i]; });
}
// a < b ? yes : no (no where either is NaN).
inline ScalarLanes select_less(ScalarLanes a, ScalarLanes b, ScalarLanes yes, ScalarLanes no) {
  return ScalarLanes::make([&](int i) { return a.lane[i] < b.lane[i] ? yes.lane[i] : no.lane[i]; });
}
// NaN lanes of a replace those of b.
inline ScalarLanes keep_nan(ScalarLanes a, ScalarLanes b) {
  return ScalarLanes::make([&](int i) { return a.lane[i] != a.lane[i] ? a.lane[i] : b.lane[i]; });
}
// value x 2^n where the low bits of `shifted` hold n (see lanes_math.h).
inline ScalarLanes scale_by_power(ScalarLanes value, ScalarLanes shifted) {
  return ScalarLanes::make([&](int i) { return float_of(bits_of(value.lane[i]) + (bits_of(shifted.lane[i]) << 23)); });
}
// Lanes 0 and 1, 2 and 3, ... exchanged.
inline ScalarLanes swap_pairs(ScalarLanes a) {
  return ScalarLanes::make([&](int i) { return a.lane[i ^ 1]; });
}
// The one order in which 16 lanes become a sum: halves folded onto each other, 16 -> 8 -> 4 -> 2 -> 1.
inline float reduce_sum(ScalarLanes low, ScalarLanes high) {
  float fold[8];
  for (int i = 0; i < 8; ++i) fold[i] = low.lane[i] + high.lane[i];
  for (int width = 4; width >= 1; width /= 2)
    for (int i = 0; i < width; ++i) fold[i] = fold[i] + fold[i + width];
  return fold[0];
}

}  // namespace
}  // namespace baton::cpu
