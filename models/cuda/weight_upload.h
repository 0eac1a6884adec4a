// SPDX-License-Identifier: Apache-2.0
// WeightUpload: matrices of a model file to the device as bfloat16, whatever format the file has, through two pinned buffers:
// one is filled by all threads while the other travels. Lives while a model is loaded; its end waits for the last copy.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/cpu/thread_pool.h"
#include "kernels/cuda/device.h"
#include "kernels/weight_view.h"
#include "runtime/base/result.h"

namespace baton {

class WeightUpload {
 public:
  WeightUpload(cuda::Stream stream, std::uint32_t threads) : stream_(stream), threads_(threads) {}
  ~WeightUpload();
  WeightUpload(const WeightUpload&) = delete;
  WeightUpload& operator=(const WeightUpload&) = delete;
  Result<void> begin();

  void put(cuda::Bf16* to, const WeightView& view);
  void put(float* to, const std::vector<float>& values);

 private:
  struct Slot {
    cuda::Memory memory;
    cuda::Stopwatch sent;  // stops when the copy has left
    bool used = false;
  };
  Slot& next();
  void send(Slot& slot, void* to, std::size_t bytes);
  void convert(const WeightView& view, std::uint32_t begin, std::uint32_t count, cuda::Bf16* to);

  cuda::Stream stream_;
  ThreadPool threads_;
  Slot slots_[2];
  int turn_ = 0;
};

}  // namespace baton
