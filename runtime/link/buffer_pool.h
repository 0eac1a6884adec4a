// SPDX-License-Identifier: Apache-2.0
// BufferPool: memory for frames and for what waits to go into them, used again instead of given back: a flood would otherwise make
// the allocator return pages to the kernel and fault them in anew for every frame. One thread, owned by Links. Bounded: it
// keeps kBuffersMax buffers of at most twice kBufferBytes.
#pragma once

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

namespace baton {

class BufferPool {
 public:
  static constexpr std::size_t kBuffersMax = 64;
  static constexpr std::size_t kBufferBytes = 64u << 10;

  // Empty, with room for kBufferBytes at least.
  std::string take() {
    std::string buffer;
    if (buffers_.empty()) {
      buffer.reserve(kBufferBytes);
    } else {
      buffer = std::move(buffers_.back());
      buffers_.pop_back();
    }
    return buffer;
  }
  // Only those of about that size are kept.
  void give(std::string buffer) {
    if (buffer.capacity() < kBufferBytes || buffer.capacity() > 2 * kBufferBytes || buffers_.size() >= kBuffersMax) return;
    buffer.clear();
    buffers_.push_back(std::move(buffer));
  }

 private:
  std::vector<std::string> buffers_;
};

}  // namespace baton
