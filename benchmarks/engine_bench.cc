// SPDX-License-Identifier: Apache-2.0
#include "benchmarks/engine_bench.h"

#include <algorithm>
#include <chrono>
#include <ctime>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <memory>

#include "engine/cpu_engine.h"

namespace baton {
namespace {

// Wall time, and the CPU time of all threads: on a machine shared with others only the second can be repeated.
struct Seconds {
  double wall = 0;
  double cpu = 0;
};

double cpu_clock() {
  timespec time{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

Seconds seconds_of(const std::function<void()>& work) {
  const double cpu = cpu_clock();
  const auto begin = std::chrono::steady_clock::now();
  work();
  return {std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count(), cpu_clock() - cpu};
}

// Tokens per second of wall time and per second of CPU time.
struct Rate {
  double wall = 0;
  double cpu = 0;
};

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

// Best of three passes over 256 MiB that no cache holds, in GB/s.
double read_bandwidth(std::uint32_t threads) {
  constexpr std::uint32_t kPieces = 256;
  constexpr std::size_t kPieceWords = (std::size_t{1} << 20) / sizeof(std::uint64_t);
  const std::vector<std::uint64_t> memory(kPieces * kPieceWords, 1);
  std::vector<std::uint64_t> sums(kPieces);
  ThreadPool pool(threads);
  double best = 0;
  for (int pass = 0; pass < 3; ++pass) {
    const Seconds seconds = seconds_of([&] {
      pool.parallel_for(kPieces, 4, [&](std::uint32_t begin, std::uint32_t end, std::uint32_t) {
        for (std::uint32_t piece = begin; piece < end; ++piece) {
          std::uint64_t sum[8] = {};  // independent chains, so that loads and not adds are the limit
          const std::uint64_t* words = memory.data() + piece * kPieceWords;
          for (std::size_t i = 0; i < kPieceWords; i += 8)
            for (std::size_t lane = 0; lane < 8; ++lane) sum[lane] += words[i + lane];
          for (const std::uint64_t part : sum) sums[piece] += part;
        }
      });
    });
    best = std::max(best, static_cast<double>(memory.size() * sizeof(std::uint64_t)) / seconds.wall / 1e9);
  }
  return best;
}

class Bench {
 public:
  Bench(CpuEngine& engine, const EngineBenchOptions& options) : engine_(engine), options_(options) {
    const KvGeometry& geometry = engine.info().geometry;
    blocks_per_sequence_ = geometry.blocks_for(options.prefill_tokens + options.decode_steps + 1);
    const std::size_t bytes = kMostSequences * blocks_per_sequence_ * geometry.block_bytes();
    pool_.reset(static_cast<std::byte*>(std::aligned_alloc(64, (bytes + 63) / 64 * 64)));
    std::fill_n(pool_.get(), bytes, std::byte{0});
    pool_bytes_ = bytes;
  }
  Result<void> attach() { return engine_.attach_pool({pool_.get(), pool_bytes_}); }

  // One prompt of prefill_tokens, best of three.
  Rate prefill() {
    Rate best;
    for (int pass = 0; pass < 3; ++pass) {
      const BatchPlan plan{.step = 0, .sequences = {prompt(0)}};
      const Seconds seconds = seconds_of([&] { engine_.step(plan); });
      best.wall = std::max(best.wall, options_.prefill_tokens / seconds.wall);
      best.cpu = std::max(best.cpu, options_.prefill_tokens / seconds.cpu);
    }
    return best;
  }
  // `batch` sequences that each follow a prompt; the median step.
  Rate decode(std::uint32_t batch) {
    BatchPlan plan;
    for (std::uint32_t i = 0; i < batch; ++i) plan.sequences.push_back(prompt(i));
    std::vector<double> wall, cpu;
    for (std::uint32_t step = 0; step <= options_.decode_steps; ++step) {
      StepResult result;
      const Seconds seconds = seconds_of([&] { result = engine_.step(plan); });
      if (step > 0) {  // step 0 is the prompts
        wall.push_back(seconds.wall);
        cpu.push_back(seconds.cpu);
      }
      for (std::uint32_t i = 0; i < batch; ++i) {
        plan.sequences[i].first_position += static_cast<std::uint32_t>(plan.sequences[i].tokens.size());
        plan.sequences[i].tokens = {result.sequences[i].token};
      }
    }
    return {batch / median(wall), batch / median(cpu)};
  }

 private:
  static constexpr std::uint32_t kMostSequences = 8;
  struct Free {
    void operator()(std::byte* memory) const { std::free(memory); }
  };

  SequencePlan prompt(std::uint32_t index) const {
    SequencePlan plan;
    plan.sequence = index;
    plan.sample = true;
    for (std::uint32_t i = 0; i < options_.prefill_tokens; ++i)
      plan.tokens.push_back(static_cast<TokenId>((i * 7919u + index * 104729u) % engine_.info().vocab_size));
    for (std::uint32_t i = 0; i < blocks_per_sequence_; ++i) plan.blocks.push_back(index * blocks_per_sequence_ + i);
    return plan;
  }

  CpuEngine& engine_;
  const EngineBenchOptions& options_;
  std::uint32_t blocks_per_sequence_ = 0;
  std::unique_ptr<std::byte, Free> pool_;
  std::size_t pool_bytes_ = 0;
};

Result<void> bench_threads(const EngineBenchOptions& options, std::uint32_t threads) {
  auto engine = make_cpu_engine({.model_path = options.model_path,
                                 .numerics = options.numerics,
                                 .threads = threads,
                                 .kernels = options.scalar_kernels ? &cpu::scalar_ops() : nullptr});
  if (!engine) return tl::unexpected<Error>(engine.error());
  Bench bench(**engine, options);
  RETURN_IF_ERROR(bench.attach());
  const double bandwidth = read_bandwidth(threads);
  std::error_code ignored;
  const double gigabytes = static_cast<double>(std::filesystem::file_size(options.model_path, ignored)) / 1e9;
  std::printf("threads %u: read bandwidth %.1f GB/s = %.0f steps/s of the whole file at most\n", threads, bandwidth,
              bandwidth / gigabytes);
  const Rate prefill = bench.prefill();
  std::printf("threads %u: prefill %u tokens %.0f tok/s (%.0f per CPU second)\n", threads, options.prefill_tokens, prefill.wall,
              prefill.cpu);
  for (const std::uint32_t batch : {1u, 8u}) {
    const Rate rate = bench.decode(batch);
    std::printf("threads %u: decode batch %u after %u tokens %.1f tok/s (%.1f per CPU second) = %.2f of the bandwidth's limit\n",
                threads, batch, options.prefill_tokens, rate.wall, rate.cpu, rate.wall / batch * gigabytes / bandwidth);
  }
  std::fflush(stdout);
  return {};
}

}  // namespace

int bench_engine(const EngineBenchOptions& options) {
  for (const std::uint32_t threads : options.threads) {
    const Result<void> done = bench_threads(options, threads);
    if (done) continue;
    std::fprintf(stderr, "bench engine: %s\n", done.error().message.c_str());
    return 1;
  }
  return 0;
}

}  // namespace baton
