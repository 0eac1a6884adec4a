// SPDX-License-Identifier: Apache-2.0
// Data on the device for tests: vectors there and back, bfloat16 as the CPU rounds it, and the distance of results from a reference in
// double precision. A test program that finds no device fails: it is run where one is.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <span>
#include <vector>

#include "kernels/cpu/half.h"
#include "kernels/cuda/device.h"

namespace baton::test {

// The stream that all tests of a program use; the first use takes device 0.
inline cuda::Stream test_stream() {
  static const auto facts = cuda::use_device(0);
  if (!facts) {
    ADD_FAILURE() << facts.error().message;
    std::abort();
  }
  static const cuda::OwnedStream stream;
  return stream.get();
}

// An array on the device; what was not given is poison: NaN in every float format.
template <class T>
class OnDevice {
 public:
  explicit OnDevice(std::size_t count) : count_(count) {
    test_stream();
    auto memory = cuda::Memory::on_device(std::max<std::size_t>(count * sizeof(T), 16));
    EXPECT_TRUE(memory) << memory.error().message;
    memory_ = std::move(*memory);
    cuda::fill(test_stream(), memory_.data(), 0xff, memory_.bytes());
  }
  explicit OnDevice(std::span<const T> values) : OnDevice(values.size()) { cuda::copy(test_stream(), memory_.data(), values.data(), values.size_bytes()); }
  explicit OnDevice(const std::vector<T>& values) : OnDevice(std::span<const T>(values)) {}
  T* data() const { return reinterpret_cast<T*>(memory_.data()); }
  std::size_t count() const { return count_; }
  std::vector<T> values() const {
    std::vector<T> out(count_);
    cuda::copy(test_stream(), out.data(), memory_.data(), count_ * sizeof(T));
    cuda::fill(test_stream(), scratch(), 0, 16);
    wait();
    return out;
  }

 private:
  static std::byte* scratch() {
    static const auto memory = cuda::Memory::on_device(16);
    return memory->data();
  }
  static void wait() {
    cuda::Stopwatch watch;
    watch.start(test_stream());
    watch.stop(test_stream());
    watch.seconds();
  }
  cuda::Memory memory_;
  std::size_t count_;
};

inline cuda::Bf16 to_bf16(float value) { return {cpu::float_to_bfloat(value)}; }
inline double to_double(cuda::Bf16 value) { return static_cast<double>(cpu::bfloat_to_float(value.bits)); }
inline double to_double(float value) { return static_cast<double>(value); }
inline std::vector<cuda::Bf16> to_bf16(const std::vector<float>& values) {
  std::vector<cuda::Bf16> out;
  out.reserve(values.size());
  for (const float value : values) out.push_back(to_bf16(value));
  return out;
}

// |out - reference| / |reference|; infinite if anything is no number.
template <class T>
double distance(const std::vector<T>& out, const std::vector<double>& reference) {
  EXPECT_EQ(out.size(), reference.size());
  double difference = 0, norm = 0;
  for (std::size_t i = 0; i < reference.size(); ++i) {
    const double value = to_double(out[i]);
    if (!std::isfinite(value)) return std::numeric_limits<double>::infinity();
    difference += (value - reference[i]) * (value - reference[i]);
    norm += reference[i] * reference[i];
  }
  return norm == 0 ? std::sqrt(difference) : std::sqrt(difference / norm);
}
inline constexpr double kBf16Distance = 4e-3;  // one rounding to 8 bits of everything, and of weights in attention
inline constexpr double kFloatDistance = 1e-5;

template <class T>
bool same_bits(std::span<const T> a, std::span<const T> b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size_bytes()) == 0;
}

}  // namespace baton::test
