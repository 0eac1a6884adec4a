// SPDX-License-Identifier: Apache-2.0
// Random tensors for tests: floats, and matrices in every weight format with scales of a chosen size, from a seed alone.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernels/weight_view.h"

namespace baton::test {

// Uniform in [-magnitude, magnitude).
std::vector<float> random_floats(std::size_t count, std::uint64_t seed, float magnitude = 1.0F);

// A matrix that owns its bytes.
struct RandomMatrix {
  std::vector<std::byte> bytes;
  WeightView view;
};
// Weights of about [-magnitude, magnitude); the scales of neighbouring blocks differ.
RandomMatrix random_matrix(WeightType type, std::uint32_t rows, std::uint32_t columns, std::uint64_t seed, float magnitude = 1.0F);
// Every element in double precision, decoded from the format's definition and from no kernel of ours.
std::vector<double> exact_weights(const WeightView& view);

}  // namespace baton::test
