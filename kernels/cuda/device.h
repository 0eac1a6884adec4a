// SPDX-License-Identifier: Apache-2.0
// A CUDA device as the engine needs it: its memory, a stream, and one place where errors end. Any thread; a Device's stream is used by
// one at a time. An allocation that fails is a Result; every other error of CUDA is sticky or a bug, and ends the
// process at once with a message: what a broken device computes must not be served.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

#include "kernels/cuda/ops.h"
#include "runtime/base/result.h"

namespace baton::cuda {

// `code`: a cudaError_t. Returns if it is success.
void require_success(int code, const char* what);
// Of the launch before it.
void require_launched(const char* kernel);

struct DeviceFacts {
  std::string name;
  std::uint32_t multiprocessors = 0;
  std::size_t memory_bytes = 0;
  std::size_t free_bytes = 0;
};
// Makes device `index` this thread's, after checking that there is a driver, such a device, and one these kernels run on.
Result<DeviceFacts> use_device(std::uint32_t index);
// The same for a thread that comes later: nothing is checked again.
void select_device(std::uint32_t index);
std::uint32_t multiprocessors();  // of this thread's device

// Memory of the device, or of the host where the device may read and write it (pinned). Owns it; moves.
class Memory {
 public:
  Memory() = default;
  static Result<Memory> on_device(std::size_t bytes);
  static Result<Memory> pinned(std::size_t bytes);
  ~Memory();
  Memory(Memory&& other) noexcept { swap(other); }
  Memory& operator=(Memory&& other) noexcept {
    swap(other);
    return *this;
  }
  std::byte* data() const { return data_; }
  std::size_t bytes() const { return bytes_; }

 private:
  void swap(Memory& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
    std::swap(host_, other.host_);
  }
  std::byte* data_ = nullptr;
  std::size_t bytes_ = 0;
  bool host_ = false;
};

// Owns the stream; waits for it before it goes.
class OwnedStream {
 public:
  OwnedStream();
  ~OwnedStream();
  OwnedStream(const OwnedStream&) = delete;
  OwnedStream& operator=(const OwnedStream&) = delete;
  Stream get() const { return stream_; }
  void wait() const;

 private:
  Stream stream_ = nullptr;
};

void copy(Stream stream, void* to, const void* from, std::size_t bytes);  // any direction
void fill(Stream stream, void* memory, int byte, std::size_t bytes);

// A captured sequence of launches. Owns the executable graph.
class Graph {
 public:
  Graph() = default;
  ~Graph();
  Graph(Graph&& other) noexcept { std::swap(executable_, other.executable_); }
  Graph& operator=(Graph&& other) noexcept {
    std::swap(executable_, other.executable_);
    return *this;
  }
  // Captures what `work` enqueues on the stream.
  template <class Work>
  static Graph capture(Stream stream, const Work& work) {
    begin(stream);
    work();
    return end(stream);
  }
  bool empty() const { return executable_ == nullptr; }
  void launch(Stream stream) const;

 private:
  static void begin(Stream stream);
  static Graph end(Stream stream);
  void* executable_ = nullptr;
};

// Time on the device between two points of a stream.
class Stopwatch {
 public:
  Stopwatch();
  ~Stopwatch();
  Stopwatch(const Stopwatch&) = delete;
  Stopwatch& operator=(const Stopwatch&) = delete;
  void start(Stream stream);
  void stop(Stream stream);
  double seconds() const;  // waits for stop()

 private:
  void* begin_ = nullptr;
  void* end_ = nullptr;
};

}  // namespace baton::cuda
