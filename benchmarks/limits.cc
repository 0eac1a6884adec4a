// SPDX-License-Identifier: Apache-2.0
#include "benchmarks/limits.h"

#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <vector>

#include "benchmarks/limit_loops.h"
#include "benchmarks/measure.h"

namespace baton {
namespace {

constexpr std::size_t kPiece = std::size_t{64} << 10;
constexpr std::size_t kHugePage = std::size_t{2} << 20;
constexpr std::size_t kGrain = std::size_t{4} << 20;     // handed to a thread at once, where there is enough
constexpr std::size_t kLeastRead = std::size_t{64} << 20;  // in all, so that the clock is not what is measured
constexpr std::uint32_t kPeakPieces = 16;     // per thread, so that threads finish together
constexpr std::uint64_t kPeakTurns = 200'000;  // of one piece: about a millisecond

bool has_avx512() {
  return __builtin_cpu_supports("avx512f") != 0 && __builtin_cpu_supports("avx512bw") != 0 && __builtin_cpu_supports("avx512vl") != 0 &&
         __builtin_cpu_supports("avx512dq") != 0 && __builtin_cpu_supports("avx512vnni") != 0;
}
bool has_avx2() { return __builtin_cpu_supports("avx2") != 0; }

std::vector<limit_loops::ReadLoop> read_loops() {
  std::vector<limit_loops::ReadLoop> loops = {limit_loops::read_words};
  if (has_avx2()) loops.push_back(limit_loops::read_avx2);
  if (has_avx512()) loops.insert(loops.end(), {limit_loops::read_avx512, limit_loops::read_avx512_ahead});
  return loops;
}

limit_loops::DotLoop dot_loop() { return has_avx512() ? limit_loops::dots_avx512 : has_avx2() ? limit_loops::dots_avx2 : nullptr; }

}  // namespace

LimitMemory::LimitMemory(std::size_t bytes) : bytes_((bytes + kPiece - 1) / kPiece * kPiece) {
  const std::size_t whole = (bytes_ + kHugePage - 1) / kHugePage * kHugePage;
  memory_.reset(static_cast<std::byte*>(std::aligned_alloc(kHugePage, whole)));
  madvise(memory_.get(), whole, MADV_HUGEPAGE);  // a wish
  std::memset(memory_.get(), 1, whole);
}

void LimitMemory::Free::operator()(std::byte* memory) const { std::free(memory); }

double read_bandwidth(ThreadPool& threads, const LimitMemory& memory) {
  const auto pieces = static_cast<std::uint32_t>(memory.bytes() / kPiece);
  const std::uint32_t grain = std::clamp<std::uint32_t>(pieces / (threads.threads() * 4), 1, kGrain / kPiece);
  const std::size_t passes = std::max<std::size_t>(1, kLeastRead / memory.bytes());
  std::atomic<std::uint64_t> sum{0};
  double best = 0;
  for (const limit_loops::ReadLoop loop : read_loops()) {
    const Seconds seconds = seconds_of([&] {
      for (std::size_t pass = 0; pass < passes; ++pass)
        threads.parallel_for(pieces, grain, [&](std::uint32_t begin, std::uint32_t end, std::uint32_t) {
          sum += loop(memory.data() + begin * kPiece, (end - begin) * kPiece);
        });
    });
    best = std::max(best, static_cast<double>(memory.bytes() * passes) / seconds.wall);
  }
  return sum == 0 ? 0 : best;
}

namespace {

// Operations per second of a loop that calculates in registers. Number: what it calculates with.
template <class Number>
double peak_of(ThreadPool& threads, std::uint64_t (*loop)(std::uint64_t, Number&)) {
  if (loop == nullptr) return 0;
  std::atomic<std::uint64_t> operations{0};
  std::atomic<Number> last{0};
  const Seconds seconds = seconds_of([&] {
    threads.parallel_for(threads.threads() * kPeakPieces, 1, [&](std::uint32_t begin, std::uint32_t end, std::uint32_t) {
      for (std::uint32_t piece = begin; piece < end; ++piece) {
        auto sink = static_cast<Number>(piece);
        operations += loop(kPeakTurns, sink);
        last = sink;
      }
    });
  });
  return static_cast<double>(operations) / seconds.wall;
}

}  // namespace

double integer_peak(ThreadPool& threads) { return peak_of(threads, dot_loop()); }

double float_peak(ThreadPool& threads) {
  if (!has_avx2() || __builtin_cpu_supports("fma") == 0) return 0;
  return peak_of(threads, has_avx512() ? limit_loops::multiply_add_avx512 : limit_loops::multiply_add_avx2);
}

std::string integer_peak_instruction() {
  const limit_loops::DotLoop loop = dot_loop();
  return loop == nullptr ? "" : loop == limit_loops::dots_avx512 ? "vpdpbusd zmm" : "vpmaddubsw ymm";
}

std::string cpu_description() {
  std::ifstream stream("/proc/cpuinfo");
  std::string name = "unknown CPU";
  for (std::string line; std::getline(stream, line);) {
    const std::size_t colon = line.find(": ");
    if (!line.starts_with("model name") || colon == std::string::npos) continue;
    name = line.substr(colon + 2);
    break;
  }
  return name + (has_avx512() ? " (AVX-512 VNNI)" : has_avx2() ? " (AVX2)" : " (no AVX2)");
}

}  // namespace baton
