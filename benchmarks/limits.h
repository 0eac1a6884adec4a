// SPDX-License-Identifier: Apache-2.0
// What this machine can do at most, measured: the yardsticks that stand beside every figure of the CPU engine. Run on the
// caller's ThreadPool, so that the limit has the threads that the measured thing has. One caller at a time.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "kernels/cpu/thread_pool.h"

namespace baton {

// Memory with known content in huge pages where the kernel gives them; owned, aligned to 2 MiB.
class LimitMemory {
 public:
  // `bytes` is rounded up to whole 64 KiB.
  explicit LimitMemory(std::size_t bytes);
  const std::byte* data() const { return memory_.get(); }
  std::size_t bytes() const { return bytes_; }

 private:
  struct Free {
    void operator()(std::byte* memory) const;
  };
  std::size_t bytes_;
  std::unique_ptr<std::byte, Free> memory_;
};

// Bytes per second at which the threads read all of `memory`, the best of every access width this CPU has. Small memory is read
// several times, so that this is the rate of the cache it fits into.
double read_bandwidth(ThreadPool& threads, const LimitMemory& memory);

// 8-bit integer operations (a multiplication or an addition each) per second of all threads, in registers.
double integer_peak(ThreadPool& threads);
// float32 operations (a fused multiply-add is two) per second of all threads, in registers; 0 without AVX2 and FMA.
double float_peak(ThreadPool& threads);
// What integer_peak() runs: "vpdpbusd zmm", "vpmaddubsw ymm", or "" where this CPU has neither (the peak is 0 then).
std::string integer_peak_instruction();

// The model name that /proc/cpuinfo gives, and which of AVX2, AVX-512 and VNNI it has.
std::string cpu_description();

}  // namespace baton
