// SPDX-License-Identifier: Apache-2.0
// A KV pool in plain memory for tests of engines: aligned as attach_pool() asks, and filled with NaN patterns, so that
// reading a slot that was never written shows.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <span>

#include "kernels/kv_geometry.h"
#include "runtime/base/check.h"

namespace baton::test {

class EnginePool {
 public:
  EnginePool(const KvGeometry& geometry, std::size_t blocks)
      : size_(blocks * geometry.block_bytes()), memory_(static_cast<std::byte*>(std::aligned_alloc(64, (size_ + 63) / 64 * 64)), std::free) {
    CHECK(memory_ != nullptr);
    std::memset(memory_.get(), 0xff, size_);
  }
  std::span<std::byte> bytes() { return {memory_.get(), size_}; }

 private:
  std::size_t size_;
  std::unique_ptr<std::byte, void (*)(void*)> memory_;
};

}  // namespace baton::test
