// SPDX-License-Identifier: Apache-2.0
// DeviceRig: a stream, random memory as large as wanted and the device's limits, for benchmarks. One thread; owns what it
// hands out.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "benchmarks/device_bench.h"
#include "kernels/cuda/device.h"
#include "kernels/cuda/matmul_library.h"
#include "models/llama_file.h"

namespace baton {

class DeviceRig {
 public:
  static Result<std::unique_ptr<DeviceRig>> open(const DeviceBenchOptions& options);

  cuda::Stream stream() const { return stream_.get(); }
  cuda::MatmulLibrary& library() { return *library_; }
  const cuda::DeviceFacts& facts() const { return facts_; }
  // bfloat16 values within the magnitude; lives as long as the rig.
  Result<std::byte*> random_memory(std::size_t bytes, float magnitude);
  template <class T>
  Result<T*> upload(const std::vector<T>& values) {
    const auto memory = plain_memory(values.size() * sizeof(T));
    if (!memory) return tl::unexpected<Error>(memory.error());
    cuda::copy(stream(), *memory, values.data(), values.size() * sizeof(T));
    stream_.wait();
    return reinterpret_cast<T*>(*memory);
  }
  Result<std::byte*> plain_memory(std::size_t bytes);  // zeros
  // Seconds of one of `count` pieces of work that are launched as one graph.
  Spread time(std::uint32_t count, const std::function<void(std::uint32_t)>& work) const;
  // Fills the report's limits.
  Result<void> limits(DeviceBenchReport& report);

 private:
  explicit DeviceRig(std::uint32_t rounds) : rounds_(rounds) {}
  const std::uint32_t rounds_;
  cuda::DeviceFacts facts_;
  cuda::OwnedStream stream_;
  std::unique_ptr<cuda::MatmulLibrary> library_;
  std::vector<cuda::Memory> memory_;
};

LlamaShape llama_8b_shape();
inline constexpr std::uint32_t kLlama8bVocabulary = 128256;
Spread rate_of(const Spread& seconds, double amount);

}  // namespace baton
