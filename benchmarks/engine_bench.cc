// SPDX-License-Identifier: Apache-2.0
#include "benchmarks/engine_bench.h"

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <optional>

#include "benchmarks/busy_neighbour.h"
#include "benchmarks/engine_rig.h"
#include "benchmarks/limits.h"
#include "benchmarks/llama_cpp.h"

namespace baton {
namespace {

constexpr std::uint32_t kLongPrompt = 512;
constexpr std::uint32_t kBatchPrompt = 128;
constexpr std::uint32_t kFromEmpty = 128;  // tokens decoded, as llama-bench's tg128
constexpr std::uint32_t kAtDepth = 64;
constexpr std::uint32_t kInBatch = 32;     // of each sequence

// What a row does, on both sides.
struct Work {
  std::string what;
  std::uint32_t batch = 1;    // 0: a prompt
  std::uint32_t context = 0;  // tokens in the context before
  std::uint32_t tokens = 0;   // of each sequence

  double all_tokens() const { return static_cast<double>(tokens) * std::max(batch, 1u); }
};

std::vector<Work> works() {
  std::vector<Work> all = {{"prefill 512 tokens", 0, 0, kLongPrompt},
                           {"decode batch 1, from empty", 1, 0, kFromEmpty},
                           {"decode batch 1, after 512", 1, kLongPrompt, kAtDepth}};
  for (const std::uint32_t batch : {4u, 16u, 32u}) all.push_back({"decode batch " + std::to_string(batch) + ", after 128", batch, kBatchPrompt, kInBatch});
  return all;
}

Seconds run_ours(EngineRig& rig, const Work& work) {
  if (work.batch == 0) return rig.prefill();
  return work.batch == 1 ? rig.decode(work.tokens, work.context) : rig.decode_batch(work.batch, work.tokens);
}

Result<double> run_peer(LlamaCpp& peer, const Work& work) {
  if (work.batch == 0) return peer.prefill(work.tokens);
  return work.batch == 1 ? peer.decode(work.tokens, work.context) : peer.decode_batch(work.batch, work.context, work.tokens);
}

struct Limit {
  double tokens_per_second = 0;
  const char* by = "";
};

// What the machine allows of this work at most, from what was measured in the same round.
Limit limit_of(const Work& work, const ModelCost& cost, Numerics numerics, double bandwidth, double peak) {
  const double steps = work.batch == 0 ? 1 : work.tokens;  // the weights are read once in each
  const double context = work.context + (work.batch == 0 ? 0.0 : work.tokens / 2.0);
  const double bytes = static_cast<double>(cost.weight_bytes) + std::max(work.batch, 1u) * context * static_cast<double>(cost.kv_token_bytes);
  const Limit memory{work.all_tokens() / (steps * bytes / bandwidth), "read bandwidth"};
  if (numerics == Numerics::kReference || peak == 0) return work.batch == 0 ? Limit{} : memory;  // float32 has no integer limit
  const double terms = numerics == Numerics::kInvariant ? 2 : 1;  // int8 products per weight
  const double weights = work.batch == 0 ? static_cast<double>(cost.prompt_weights) : static_cast<double>(cost.step_weights);
  const Limit compute{peak / (2 * weights * terms), "integer peak"};
  return compute.tokens_per_second < memory.tokens_per_second ? compute : memory;
}

// All rows of one number of threads.
class ThreadsBench {
 public:
  using Progress = std::function<void(std::string_view)>;
  ThreadsBench(const EngineBenchOptions& options, std::uint32_t threads, const Progress& progress)
      : options_(options), threads_(threads), progress_(progress), pool_(threads) {}

  Result<void> run(EngineBenchReport& report) {
    RETURN_IF_ERROR(open(report));
    for (const Work& work : works()) {
      progress_(std::to_string(threads_) + (threads_ == 1 ? " thread: " : " threads: ") + work.what);
      for (std::size_t i = 0; i < rigs_.size(); ++i) {
        rows_.emplace_back().what = work.what;
        rows_.back().threads = threads_;
        rows_.back().numerics = to_string(options_.numerics[i]);
        run_ours(*rigs_[i], work);  // once for warmth
      }
      std::vector<std::vector<double>> per_cpu(rigs_.size());
      for (std::uint32_t round = 0; round < options_.rounds; ++round) RETURN_IF_ERROR(run_round(work, per_cpu));
      for (std::size_t i = 0; i < rigs_.size(); ++i) current(i).ours_per_cpu_second = spread_of(per_cpu[i]);
    }
    report.rows.insert(report.rows.end(), rows_.begin(), rows_.end());
    report.limits.push_back({threads_, spread_of(bandwidths_), spread_of(peaks_), peer_ ? peer_->switches() : ""});
    if (peer_) report.peer = peer_->version();
    return {};
  }

 private:
  Result<void> open(EngineBenchReport& report) {
    for (const Numerics numerics : options_.numerics) {
      auto rig = EngineRig::open({.model_path = options_.model_path, .numerics = numerics, .threads = threads_,
                                  .long_prompt = kLongPrompt, .batch_prompt = kBatchPrompt, .decode_most = kFromEmpty});
      if (!rig) return tl::unexpected<Error>(rig.error());
      rigs_.push_back(std::move(*rig));
    }
    const auto cost = model_cost(options_.model_path, rigs_.front()->info().geometry);
    if (!cost) return tl::unexpected<Error>(cost.error());
    cost_ = *cost;
    report.weight_bytes = cost_.weight_bytes;
    report.weights = cost_.step_weights;
    memory_.emplace(cost_.weight_bytes);
    if (options_.peer_folder.empty()) return {};
    auto peer = LlamaCpp::open(options_.peer_folder, options_.model_path, threads_);
    if (!peer) return tl::unexpected<Error>(peer.error());
    peer_.emplace(std::move(*peer));
    progress_("looking for llama.cpp's best switches with " + std::to_string(threads_) + (threads_ == 1 ? " thread" : " threads"));
    return peer_->tune();
  }

  // The row of rig i among those of the current work, which are the last ones.
  EngineBenchRow& current(std::size_t i) { return rows_[rows_.size() - rigs_.size() + i]; }

  Result<void> run_round(const Work& work, std::vector<std::vector<double>>& per_cpu) {
    const double bandwidth = read_bandwidth(pool_, *memory_), peak = integer_peak(pool_);
    bandwidths_.push_back(bandwidth);
    peaks_.push_back(peak);
    for (std::size_t i = 0; i < rigs_.size(); ++i) {
      const Limit limit = limit_of(work, cost_, options_.numerics[i], bandwidth, peak);
      if (limit.tokens_per_second > 0) current(i).limit.push_back(limit.tokens_per_second);
      current(i).limited_by = limit.by;
    }
    RETURN_IF_ERROR(run_pair(work, false, &per_cpu));
    if (!options_.neighbour) return {};
    const auto neighbour = BusyNeighbour::start();
    if (!neighbour) return tl::unexpected<Error>(neighbour.error());
    return run_pair(work, true, nullptr);
  }

  // Ours, each numerics, and then the peer once for all of them.
  Result<void> run_pair(const Work& work, bool disturbed, std::vector<std::vector<double>>* per_cpu) {
    for (std::size_t i = 0; i < rigs_.size(); ++i) {
      const Seconds seconds = run_ours(*rigs_[i], work);
      (disturbed ? current(i).ours_disturbed : current(i).ours).push_back(work.all_tokens() / seconds.wall);
      if (per_cpu != nullptr) (*per_cpu)[i].push_back(work.all_tokens() / seconds.cpu);
    }
    if (!peer_) return {};
    const Result<double> rate = run_peer(*peer_, work);
    if (!rate) return tl::unexpected<Error>(rate.error());
    for (std::size_t i = 0; i < rigs_.size(); ++i) (disturbed ? current(i).peer_disturbed : current(i).peer).push_back(*rate);
    return {};
  }

  const EngineBenchOptions& options_;
  const std::uint32_t threads_;
  const Progress& progress_;
  ThreadPool pool_;  // for the limits
  std::vector<std::unique_ptr<EngineRig>> rigs_;  // one per numerics
  std::optional<LlamaCpp> peer_;
  std::optional<LimitMemory> memory_;
  ModelCost cost_;
  std::vector<EngineBenchRow> rows_;
  std::vector<double> bandwidths_, peaks_;
};

}  // namespace

Result<EngineBenchReport> bench_engine(const EngineBenchOptions& options, const std::function<void(std::string_view)>& progress) {
  EngineBenchReport report;
  report.model = options.model_path;
  report.cpu = cpu_description();
  report.kernels = cpu::best_ops().name;
  report.peak_instruction = integer_peak_instruction();
  if (getloadavg(&report.load_before, 1) != 1) report.load_before = 0;
  for (const std::uint32_t threads : options.threads) RETURN_IF_ERROR(ThreadsBench(options, threads, progress).run(report));
  return report;
}

}  // namespace baton
