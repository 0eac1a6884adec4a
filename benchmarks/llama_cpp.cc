// SPDX-License-Identifier: Apache-2.0
#include "benchmarks/llama_cpp.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>

#include "benchmarks/run_tool.h"

namespace baton {
namespace {

constexpr Duration kRunLimit = std::chrono::minutes(5);
constexpr std::uint32_t kTunePrompt = 512;
constexpr std::uint32_t kTuneTokens = 32;
constexpr std::uint32_t kTuneBatch = 16;

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : " ") + word;
  return text.empty() ? "defaults" : text;
}

// One switch and the values to try.
struct Switch {
  const char* name;
  std::vector<const char*> values;
};

// One switch after the other, each with the best of those before: the values for which `measure` gives the most.
template <class Measure>
Result<std::vector<std::string>> best_of(const std::vector<Switch>& switches, const Measure& measure) {
  std::vector<std::string> chosen;
  for (const Switch& each : switches) {
    double best = 0;
    const char* winner = nullptr;
    for (const char* value : each.values) {
      std::vector<std::string> words = chosen;
      words.insert(words.end(), {each.name, value});
      const Result<double> rate = measure(words);
      if (!rate) return tl::unexpected<Error>(rate.error());
      if (winner != nullptr && *rate <= best) continue;
      best = *rate;
      winner = value;
    }
    chosen.insert(chosen.end(), {each.name, winner});
  }
  return chosen;
}

}  // namespace

Result<LlamaCpp> LlamaCpp::open(const std::string& folder, const std::string& model_path, std::uint32_t threads) {
  for (const char* tool : {"/llama-bench", "/llama-batched-bench"})
    if (access((folder + tool).c_str(), X_OK) != 0)
      return fail(ErrorCode::kNotFound, "there is no " + folder + tool + "; tools/get_llama_cpp.sh builds it");
  return LlamaCpp(folder, model_path, threads);
}

Result<double> LlamaCpp::bench(const Words& test, const Words& switches) {
  Words argv = {folder_ + "/llama-bench", "-m", model_path_, "-t", std::to_string(threads_), "-r", "1", "-o", "jsonl"};
  argv.insert(argv.end(), test.begin(), test.end());
  argv.insert(argv.end(), switches.begin(), switches.end());
  const auto output = run_tool(argv, kRunLimit);
  if (!output) return tl::unexpected<Error>(output.error());
  resident_bytes_ = std::max(resident_bytes_, output->resident_bytes);
  version_ = "llama.cpp " + json_text(output->text, "build_commit");
  return json_number(output->text, "avg_ts");
}

Result<double> LlamaCpp::batched_bench(std::uint32_t batch, std::uint32_t prompt, std::uint32_t tokens, const Words& switches) {
  const std::string context = std::to_string(batch * (prompt + tokens) + 64);
  Words argv = {folder_ + "/llama-batched-bench", "-m", model_path_, "-t", std::to_string(threads_), "-c", context, "-npp", std::to_string(prompt),
                "-ntg", std::to_string(tokens), "-npl", std::to_string(batch), "--output-format", "jsonl"};
  argv.insert(argv.end(), switches.begin(), switches.end());
  const auto output = run_tool(argv, kRunLimit);
  if (!output) return tl::unexpected<Error>(output.error());
  return json_number(output->text, "speed_tg");
}

Result<void> LlamaCpp::tune() {
  const Switch flash{"-fa", {"on", "off"}}, repack{"--repack", {"1", "0"}}, load{"-lm", {"mmap", "none"}}, micro_batch{"-ub", {"512", "256", "128"}};
  const auto prompt = best_of({flash, repack, load, micro_batch},
                              [&](const Words& words) { return bench({"-p", std::to_string(kTunePrompt), "-n", "0"}, words); });
  if (!prompt) return tl::unexpected<Error>(prompt.error());
  const auto decode = best_of({flash, repack, load}, [&](const Words& words) { return bench({"-p", "0", "-n", std::to_string(kTuneTokens)}, words); });
  if (!decode) return tl::unexpected<Error>(decode.error());
  const auto batch = best_of({flash, load}, [&](const Words& words) { return batched_bench(kTuneBatch, kTuneTokens, kTuneTokens, words); });
  if (!batch) return tl::unexpected<Error>(batch.error());
  prefill_switches_ = *prompt;
  decode_switches_ = *decode;
  batch_switches_ = *batch;
  return {};
}

Result<double> LlamaCpp::prefill(std::uint32_t tokens) { return bench({"-p", std::to_string(tokens), "-n", "0"}, prefill_switches_); }

Result<double> LlamaCpp::decode(std::uint32_t tokens, std::uint32_t depth) {
  return bench({"-p", "0", "-n", std::to_string(tokens), "-d", std::to_string(depth)}, decode_switches_);
}

Result<double> LlamaCpp::decode_batch(std::uint32_t batch, std::uint32_t prompt, std::uint32_t tokens) {
  return batched_bench(batch, prompt, tokens, batch_switches_);
}

std::string LlamaCpp::switches() const {
  return "prefill " + joined(prefill_switches_) + "; decode " + joined(decode_switches_) + "; batches " + joined(batch_switches_);
}

}  // namespace baton
