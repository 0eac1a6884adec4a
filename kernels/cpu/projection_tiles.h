// SPDX-License-Identifier: Apache-2.0
// The output features of several projections of one input, as one row of tiles of 16 that any threads may share.
#pragma once

#include "kernels/cpu/layers.h"

namespace baton::cpu {

class ProjectionTiles {
 public:
  ProjectionTiles(Backend& backend, const Input& x, std::span<const Projection> projections)
      : backend_(backend), x_(x), projections_(projections) {}

  std::uint32_t count() const {
    std::uint32_t tiles = 0;
    for (const Projection& projection : projections_) tiles += projection.weights->tiles();
    return tiles;
  }
  void compute(std::uint32_t begin, std::uint32_t end, std::uint32_t thread) const;

 private:
  void panels(const Projection& projection, std::uint32_t begin, std::uint32_t end) const;
  void floats(const Projection& projection, std::uint32_t begin, std::uint32_t end, std::uint32_t thread) const;

  Backend& backend_;
  const Input& x_;
  std::span<const Projection> projections_;
};

}  // namespace baton::cpu
