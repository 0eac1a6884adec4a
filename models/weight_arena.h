// SPDX-License-Identifier: Apache-2.0
// WeightArena: the memory of weights that were laid out anew at load. Private memory by default; given the descriptor of a
// memory file (memfd_create with MFD_ALLOW_SEALING, made by whoever starts the workers of a machine), the first process to
// load fills it and seals it against writing, and all others map the same pages read-only: one copy a machine, gone with the
// last process that has it. A process that dies while filling leaves it unsealed, and the next one begins anew. Asks for huge
// pages in both cases. Filled once, then immutable; any thread may read. Owns its mapping, borrows nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <utility>

#include "runtime/base/result.h"

namespace baton {

class WeightArena {
 public:
  explicit WeightArena(std::optional<int> shared_descriptor = std::nullopt) : shared_(shared_descriptor) {}
  ~WeightArena();
  WeightArena(const WeightArena&) = delete;
  WeightArena& operator=(const WeightArena&) = delete;

  // `bytes` of memory with what `fill` writes, which is a function of `key` alone; it is not called where another process has
  // done it. A shared file that holds something else, or cannot be used, is left alone: the memory is private then.
  Result<std::span<const std::byte>> obtain(std::uint64_t key, std::size_t bytes, const std::function<void(std::span<std::byte>)>& fill);
  // Called while this process fills, with the bytes done of all; on the filling thread.
  void on_progress(std::function<void(std::size_t done, std::size_t all)> heard) { heard_ = std::move(heard); }
  void progressed(std::size_t done, std::size_t all) const {
    if (heard_) heard_(done, all);
  }
  // Whether the memory is one that other processes can share.
  bool shared() const { return is_shared_; }

 private:
  Result<std::span<const std::byte>> obtain_private(std::size_t bytes, const std::function<void(std::span<std::byte>)>& fill);
  bool obtain_shared(std::uint64_t key, std::size_t bytes, const std::function<void(std::span<std::byte>)>& fill);
  bool fill_shared(int file, std::uint64_t key, std::size_t bytes, const std::function<void(std::span<std::byte>)>& fill);

  const std::optional<int> shared_;
  std::function<void(std::size_t, std::size_t)> heard_;
  bool is_shared_ = false;
  std::byte* mapping_ = nullptr;
  std::size_t mapped_bytes_ = 0;
};

}  // namespace baton
