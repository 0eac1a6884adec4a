// SPDX-License-Identifier: Apache-2.0
// MatmulLibrary: matrix products of many rows by NVIDIA's cuBLASLt, which is loaded when this is made: a program without
// it starts, and says what to install when an engine wants it. One engine thread. Owns 32 MiB of the device as workspace, and
// the algorithm it took for each shape (at most kMostShapes, then anew).
// Which algorithm runs depends on the number of rows: so does the last bit of a result.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <tuple>

#include "kernels/cuda/device.h"
#include "runtime/base/result.h"

namespace baton::cuda {

// out[row][i] (+)= sum over k of x[row][k] weights[i][k]
struct Matmul {
  const Bf16* x = nullptr;        // [rows][columns]
  const Bf16* weights = nullptr;  // [outputs][columns]
  std::uint32_t rows = 0, outputs = 0, columns = 0;
  MatmulOut kind = MatmulOut::kBf16;  // not kGated
  void* out = nullptr;            // [rows][outputs]
};

class MatmulLibrary {
 public:
  static Result<std::unique_ptr<MatmulLibrary>> open();
  virtual ~MatmulLibrary() = default;
  virtual void multiply(Stream stream, const Matmul& op) = 0;
};

}  // namespace baton::cuda
