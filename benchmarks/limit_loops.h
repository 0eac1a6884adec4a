// SPDX-License-Identifier: Apache-2.0
// The loops that limits.cc times, one file per instruction set. Each does one thing as fast as the CPU can: read memory
// once, or multiply and add numbers in registers. Thread-safe; no state.
#pragma once

#include <cstddef>
#include <cstdint>

namespace baton::limit_loops {

// The sum of all words, so that no load can be left out. `bytes`: a multiple of 1024; `memory` aligned to 64.
using ReadLoop = std::uint64_t (*)(const std::byte* memory, std::size_t bytes);
std::uint64_t read_words(const std::byte* memory, std::size_t bytes);   // 8 bytes a load, or what the compiler makes of it
std::uint64_t read_avx2(const std::byte* memory, std::size_t bytes);    // 32 bytes a load
std::uint64_t read_avx512(const std::byte* memory, std::size_t bytes);  // 64 bytes a load
// The same, and 8 KiB ahead is asked for into the second-level cache, as the matmul kernels do: on some CPUs the hardware's own
// streams do not reach the memory's speed.
std::uint64_t read_avx512_ahead(const std::byte* memory, std::size_t bytes);

// `turns` turns of independent chains of integer dot products, the CPU's fastest way; returns 8-bit multiplications plus
// additions done. `sink` takes a value that depends on all of them.
using DotLoop = std::uint64_t (*)(std::uint64_t turns, std::int32_t& sink);
std::uint64_t dots_avx2(std::uint64_t turns, std::int32_t& sink);    // vpmaddubsw, vpmaddwd, vpaddd
std::uint64_t dots_avx512(std::uint64_t turns, std::int32_t& sink);  // vpdpbusd (AVX-512 VNNI)

// The same for float32 fused multiply-adds; returns multiplications plus additions done.
using FloatLoop = std::uint64_t (*)(std::uint64_t turns, float& sink);
std::uint64_t multiply_add_avx2(std::uint64_t turns, float& sink);
std::uint64_t multiply_add_avx512(std::uint64_t turns, float& sink);

}  // namespace baton::limit_loops
