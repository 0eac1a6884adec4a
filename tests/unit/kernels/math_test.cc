// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cmath>

#include "kernels/deterministic_math.h"
#include "kernels/numerics.h"

namespace baton {
namespace {

TEST(DeterministicMath, ExponentialAndLogarithmAreNearTheCLibrary) {
  for (double x = -690; x < 705; x += 0.137) EXPECT_NEAR(deterministic_exp(x) / std::exp(x), 1, 1e-14) << x;
  for (double x = 1e-12; x < 1e15; x *= 1.0173) EXPECT_NEAR(deterministic_log(x), std::log(x), 1e-14 * (1 + std::fabs(std::log(x)))) << x;
  EXPECT_EQ(deterministic_log(1), 0);
  EXPECT_EQ(deterministic_exp(0), 1);
  EXPECT_EQ(deterministic_exp(-1000), 0);
  EXPECT_TRUE(std::isinf(deterministic_exp(1000)));
  EXPECT_TRUE(std::isinf(deterministic_log(0)));
  EXPECT_TRUE(std::isnan(deterministic_exp(std::nan(""))));
}

TEST(DeterministicMath, SineAndCosineStayExactAtTheLongestPositions) {
  for (double x = -1e6; x < 1e6; x += 773.77) {
    EXPECT_NEAR(deterministic_sincos(x).sine, std::sin(x), 1e-13) << x;
    EXPECT_NEAR(deterministic_sincos(x).cosine, std::cos(x), 1e-13) << x;
  }
  for (double x = -7; x < 7; x += 0.01) {
    EXPECT_NEAR(deterministic_sincos(x).sine, std::sin(x), 1e-15);
    EXPECT_NEAR(deterministic_sincos(x).cosine, std::cos(x), 1e-15);
  }
}

TEST(DeterministicMath, BitsAreThoseOfEveryCompiler) {
  // Frozen values: a change of compiler or flags that alters a bit breaks the promise of equal tokens.
  EXPECT_EQ(deterministic_exp(1.0), 0x1.5bf0a8b14576ap+1);
  EXPECT_EQ(deterministic_log(10.0), 0x1.26bb1bbb55516p+1);
  EXPECT_EQ(deterministic_sincos(1.0).sine, 0x1.aed548f090ceep-1);
  EXPECT_EQ(deterministic_sincos(1.0).cosine, 0x1.14a280fb5068cp-1);
}

TEST(Numerics, NamesAndTheModeThatDoesNotExist) {
  EXPECT_EQ(parse_numerics("reference"), Numerics::kReference);
  EXPECT_EQ(parse_numerics("invariant"), Numerics::kInvariant);
  EXPECT_EQ(parse_numerics("fast"), Numerics::kFast);
  EXPECT_FALSE(parse_numerics("exact"));
}

}  // namespace
}  // namespace baton
