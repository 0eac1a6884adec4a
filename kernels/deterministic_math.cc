// SPDX-License-Identifier: Apache-2.0
// Argument reduction after Cody and Waite, then Taylor (exp, sin, cos) or atanh (log) series, summed from the small end.
#include "kernels/deterministic_math.h"

#include <bit>
#include <cstdint>
#include <limits>

namespace baton {
namespace {

// Adding and subtracting 1.5 x 2^52 rounds to the nearest integer, ties to even.
constexpr double kRoundMagic = 6755399441055744.0;

double round_to_integer(double x) { return (x + kRoundMagic) - kRoundMagic; }

double power_of_two(std::int64_t exponent) {
  return std::bit_cast<double>(static_cast<std::uint64_t>(exponent + 1023) << 52);
}

}  // namespace

double deterministic_exp(double x) {
  if (x != x) return x;
  if (x < -700) return 0;
  if (x > 709) return std::numeric_limits<double>::infinity();
  const double n = round_to_integer(x * 1.4426950408889634);
  const double r = (x - n * 6.93147180369123816490e-01) - n * 1.90821492927058770002e-10;
  double sum = 1;
  for (int k = 14; k >= 1; --k) sum = 1 + r / k * sum;  // Horner form of the series of e^r, |r| <= ln(2)/2
  return sum * power_of_two(static_cast<std::int64_t>(n));
}

double deterministic_log(double x) {
  if (x == 0) return -std::numeric_limits<double>::infinity();
  const auto bits = std::bit_cast<std::uint64_t>(x);
  auto exponent = static_cast<std::int64_t>(bits >> 52) - 1023;
  double mantissa = std::bit_cast<double>((bits & 0x000fffffffffffffu) | 0x3ff0000000000000u);
  if (mantissa > 1.4142135623730951) {
    mantissa *= 0.5;
    ++exponent;
  }
  const double t = (mantissa - 1) / (mantissa + 1);
  const double square = t * t;
  double sum = 0;
  for (int k = 23; k >= 1; k -= 2) sum = sum * square + 1.0 / k;
  const auto e = static_cast<double>(exponent);
  return e * 6.93147180369123816490e-01 + (2 * t * sum + e * 1.90821492927058770002e-10);
}

SineCosine deterministic_sincos(double x) {
  const double quarter_turns = round_to_integer(x * 0.63661977236758134308);
  // pi/2 in two parts, the first of 33 bits, so that its product with up to 2^20 quarter turns is exact.
  const double r = (x - quarter_turns * 1.57079632673412561417) - quarter_turns * 6.07710050650619224932e-11;
  const double square = r * r;
  double sine = 1;
  for (int k = 18; k >= 2; k -= 2) sine = 1 - square / (k * (k + 1)) * sine;
  sine *= r;
  double cosine = 1;
  for (int k = 17; k >= 1; k -= 2) cosine = 1 - square / (k * (k + 1)) * cosine;
  switch (static_cast<std::int64_t>(quarter_turns) & 3) {
    case 0: return {sine, cosine};
    case 1: return {cosine, -sine};
    case 2: return {-sine, -cosine};
    default: return {-cosine, sine};
  }
}

}  // namespace baton
