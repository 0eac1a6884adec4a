// SPDX-License-Identifier: Apache-2.0
// DeviceInputs: what a step reads, packed into one pinned buffer that goes to the device in one copy. Where an array lies depends
// only on the sizes of those before it. Grows; then pointers of before, and what captured them, are void.
#pragma once

#include <cstring>
#include <span>
#include <vector>

#include "kernels/cuda/device.h"
#include "runtime/base/check.h"

namespace baton {

class DeviceInputs {
 public:
  void clear() { used_ = 0; }
  // Room for so many bytes in all; true if the buffers are others now.
  Result<bool> reserve(std::size_t bytes) {
    if (bytes <= host_.bytes()) return false;
    auto host = cuda::Memory::pinned(2 * bytes);
    if (!host) return tl::unexpected<Error>(host.error());
    auto device = cuda::Memory::on_device(2 * bytes);
    if (!device) return tl::unexpected<Error>(device.error());
    host_ = std::move(*host);
    device_ = std::move(*device);
    return true;
  }
  template <class T>
  static std::size_t room_for(const std::vector<T>& values) {
    return (values.size() * sizeof(T) + kAlign - 1) / kAlign * kAlign;
  }
  // The array's place on the device, after send().
  template <class T>
  T* put(const std::vector<T>& values) {
    CHECK(used_ + room_for(values) <= host_.bytes());
    if (!values.empty()) std::memcpy(host_.data() + used_, values.data(), values.size() * sizeof(T));
    auto* place = reinterpret_cast<T*>(device_.data() + used_);
    used_ += room_for(values);
    return place;
  }
  void send(cuda::Stream stream) const { cuda::copy(stream, device_.data(), host_.data(), used_); }

 private:
  static constexpr std::size_t kAlign = 64;
  cuda::Memory host_, device_;
  std::size_t used_ = 0;
};

}  // namespace baton
