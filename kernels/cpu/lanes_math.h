// SPDX-License-Identifier: Apache-2.0
// The float32 exponential over a lanes type (the same bits for every one), and loads of rows whose length is no multiple
// of eight. Polynomial: Cephes expf, relative error below 2e-7.
#pragma once

#include <cstddef>
#include <cstdint>

namespace baton::cpu {
namespace {

// e^x: x = n ln2 + r, |r| <= ln2/2, e^x = 2^n p(r). 0 below -86 (so that 2^n p stays normal), infinity above 88.37.
template <class Lanes>
inline Lanes exponential(Lanes x) {
  const Lanes lowest = Lanes::broadcast(-86.0F);
  const Lanes highest = Lanes::broadcast(88.37F);
  const Lanes clamped = minimum(maximum(x, lowest), highest);
  // Adding 1.5 x 2^23 rounds to an integer and leaves it in the low bits of the sum.
  const Lanes magic = Lanes::broadcast(12582912.0F);
  const Lanes shifted = multiply_add(clamped, Lanes::broadcast(1.44269504F), magic);
  const Lanes n = subtract(shifted, magic);
  Lanes r = multiply_add(n, Lanes::broadcast(-0.693359375F), clamped);
  r = multiply_add(n, Lanes::broadcast(2.12194440e-4F), r);
  Lanes p = Lanes::broadcast(1.9875691500e-4F);
  p = multiply_add(p, r, Lanes::broadcast(1.3981999507e-3F));
  p = multiply_add(p, r, Lanes::broadcast(8.3334519073e-3F));
  p = multiply_add(p, r, Lanes::broadcast(4.1665795894e-2F));
  p = multiply_add(p, r, Lanes::broadcast(1.6666665459e-1F));
  p = multiply_add(p, r, Lanes::broadcast(5.0000001201e-1F));
  p = add(multiply_add(p, multiply(r, r), r), Lanes::broadcast(1.0F));
  Lanes result = scale_by_power(p, shifted);
  result = select_less(x, lowest, Lanes::broadcast(0.0F), result);
  result = select_less(highest, x, Lanes::broadcast(__builtin_inff()), result);
  return keep_nan(x, result);
}

// The first `count` (0..8) lanes from memory, the rest zero.
template <class Lanes>
inline Lanes load_partial(const float* from, std::uint32_t count) {
  float padded[8] = {};
  for (std::uint32_t i = 0; i < count && i < 8; ++i) padded[i] = from[i];
  return Lanes::load(padded);
}
template <class Lanes>
inline void store_partial(Lanes value, float* to, std::uint32_t count) {
  float padded[8];
  value.store(padded);
  for (std::uint32_t i = 0; i < count && i < 8; ++i) to[i] = padded[i];
}
// Lanes [at, at + 8) of a row of n floats, zero past its end.
template <class Lanes>
inline Lanes load_within(const float* row, std::uint32_t at, std::uint32_t n) {
  if (at + 8 <= n) return Lanes::load(row + at);
  return load_partial<Lanes>(row + at, at < n ? n - at : 0);
}

}  // namespace
}  // namespace baton::cpu
