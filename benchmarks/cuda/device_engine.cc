// SPDX-License-Identifier: Apache-2.0
// Tokens per second of the whole engine at the 8B shape, as the engine thread sees it: from the call of step() to its return, copies, drawing and
// the host's work included. Decoding: sequences with their own prompts of random ids, 64 steps around a context of 1,024 tokens.
#include <algorithm>

#include "benchmarks/cuda/device_rig.h"
#include "engine/cuda_engine.h"
#include "runtime/base/random.h"

namespace baton {
namespace {

constexpr std::uint32_t kContext = 1024, kSteps = 64, kMostSequences = 128, kBlockTokens = 16;
constexpr double kLinear = 6.98e9, kHead = 0.525e9;  // weights of a layer's matrices, of the logits'
constexpr double kKvTokenBytes = 131072;             // of all layers
constexpr double kAttentionFlop = 4.0 * 32 * 128 * 32;  // of a query and a key, all layers

class EngineBench {
 public:
  EngineBench(CudaEngine& engine, std::string numerics, std::uint32_t rounds, DeviceBenchReport& report) : engine_(engine), numerics_(std::move(numerics)), rounds_(rounds), report_(report) {}

  void prefill(std::uint32_t sequences, std::uint32_t tokens) {
    BatchPlan plan;
    for (std::uint32_t i = 0; i < sequences; ++i) plan.sequences.push_back(sequence(i, 0, tokens));
    const double rows = static_cast<double>(sequences) * tokens;
    const double seconds = (2 * kLinear * rows + kAttentionFlop * rows * tokens / 2) / report_.matmul.median;
    add("prefill", std::to_string(sequences) + " x " + std::to_string(tokens), steps(plan, 1), rows, std::max(seconds, 2 * (kLinear + kHead) / report_.read.median));
  }

  void decode(std::uint32_t batch) {
    for (std::uint32_t i = 0; i < batch; ++i) engine_.step({.step = 1, .sequences = {sequence(i, 0, kContext - kSteps / 2)}});
    BatchPlan plan;
    for (std::uint32_t i = 0; i < batch; ++i) plan.sequences.push_back(sequence(i, kContext - kSteps / 2, 1));
    const double bytes = 2 * (kLinear + kHead) + batch * kKvTokenBytes * kContext;
    add("decode", "batch " + std::to_string(batch) + ", context 1024", steps(plan, kSteps), batch, bytes / report_.read.median);
  }

 private:
  SequencePlan sequence(std::uint32_t index, std::uint32_t position, std::uint32_t tokens) const {
    SequencePlan plan;
    plan.sequence = index;
    plan.first_position = position;
    for (std::uint32_t i = 0; i < tokens; ++i) plan.tokens.push_back(static_cast<TokenId>(random_at(index, i) % kLlama8bVocabulary));
    // Strided over the pool: neighbours in a sequence are none in memory.
    const std::uint32_t count = (std::max(position + tokens, kContext + kSteps) + kBlockTokens - 1) / kBlockTokens, stride = engine_.pool_blocks() / count;
    for (std::uint32_t i = 0; i < count; ++i) plan.blocks.push_back(i * stride + index);
    plan.sample = true;
    return plan;
  }

  // Seconds of one step; a step that follows another goes on with the tokens that it drew.
  Spread steps(const BatchPlan& first, std::uint32_t count) {
    std::vector<double> samples;
    for (std::uint32_t round = 0; round <= rounds_; ++round) {
      BatchPlan plan = first;
      const Seconds took = seconds_of([&] {
        for (std::uint32_t i = 0; i < count; ++i) {
          const StepResult result = engine_.step(plan);
          if (i + 1 == count) break;
          for (std::size_t s = 0; s < plan.sequences.size(); ++s) plan.sequences[s].tokens[0] = result.sequences[s].token, ++plan.sequences[s].first_position;
        }
      });
      if (round != 0) samples.push_back(took.wall / count);
    }
    return spread_of(std::move(samples));
  }

  void add(std::string what, std::string detail, const Spread& seconds, double tokens, double least_seconds) {
    report_.rows.push_back({std::move(what), numerics_ + ", " + detail, seconds, rate_of(seconds, tokens), "tokens", tokens / least_seconds, {}});
  }

  CudaEngine& engine_;
  const std::string numerics_;
  const std::uint32_t rounds_;
  DeviceBenchReport& report_;
};

}  // namespace

Result<DeviceBenchReport> bench_device_engine(const DeviceBenchOptions& options, const std::function<void(std::string_view)>& progress) {
  DeviceBenchReport report;
  {
    const auto rig = DeviceRig::open(options);
    if (!rig) return tl::unexpected<Error>(rig.error());
    progress("limits");
    RETURN_IF_ERROR((*rig)->limits(report));
  }
  for (const Numerics numerics : options.numerics) {
    std::unique_ptr<CudaEngine> engine;
    const Seconds start = seconds_of([&] {
      auto made = make_cuda_engine({.device = options.device, .random_shape = llama_8b_shape(), .random_vocabulary = kLlama8bVocabulary, .numerics = numerics, .block_tokens = kBlockTokens,
                                    .max_model_len = 16384, .kv_bytes = std::uint64_t{40} << 30, .max_batched_tokens = 8192, .max_sequences = kMostSequences});
      if (!made) progress(made.error().message);
      else engine = std::move(*made);
    });
    if (!engine) return fail(ErrorCode::kResourceExhausted, "the engine of the bench could not be made");
    progress(std::string(to_string(numerics)) + ": ready after " + std::to_string(start.wall) + " s; " + engine->plan());
    EngineBench bench(*engine, std::string(to_string(numerics)), options.rounds, report);
    bench.prefill(1, 16);
    bench.prefill(1, 512);
    bench.prefill(1, 2048);
    bench.prefill(4, 2048);
    bench.prefill(1, 8192);
    for (const std::uint32_t batch : {1u, 16u, 64u, 128u}) bench.decode(batch);
  }
  return report;
}

}  // namespace baton
