// SPDX-License-Identifier: Apache-2.0
// exp, log, sine and cosine in double precision from +, -, x, / alone, so that every compiler and C library gives the same
// bits (libm's differ between versions). Accurate to a few units in the last place; for tables and per-token scalars, not
// for inner loops (those use the float32 exponential of kernels/cpu/lanes_math.h).
#pragma once

namespace baton {

// 0 below -700, infinity above 709. NaN gives NaN.
double deterministic_exp(double x);
// Natural logarithm; x > 0 and normal, or +0 (-> -infinity).
double deterministic_log(double x);

struct SineCosine {
  double sine = 0;
  double cosine = 1;
};
// |x| <= 2^24 radians (rotary angles reach the longest position).
SineCosine deterministic_sincos(double x);

}  // namespace baton
