// SPDX-License-Identifier: Apache-2.0
// llama.cpp as the peer of `baton bench engine`: its own llama-bench and llama-batched-bench, run as programs on the same
// file with the same threads, batch and context. Which of its switches are best here is measured first, so that the peer
// is compared at its best. Blocks; one caller.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "runtime/base/result.h"

namespace baton {

class LlamaCpp {
 public:
  // `folder` holds llama-bench and llama-batched-bench (tools/get_llama_cpp.sh). kNotFound says how to get them.
  static Result<LlamaCpp> open(const std::string& folder, const std::string& model_path, std::uint32_t threads);

  // Tries flash attention, repacking and loading modes (and micro-batches for prompts); later calls use the best of each kind.
  Result<void> tune();

  // Tokens per second. Each starts the program anew; it warms itself up.
  Result<double> prefill(std::uint32_t tokens);                                  // into an empty context
  Result<double> decode(std::uint32_t tokens, std::uint32_t depth);              // one sequence, `depth` tokens in before
  Result<double> decode_batch(std::uint32_t batch, std::uint32_t prompt, std::uint32_t tokens);  // of all sequences together

  // "llama.cpp 1a2b3c4", once something ran.
  const std::string& version() const { return version_; }
  // The switches that won: "prefill: -fa on ...; decode: ...; batches: ...".
  std::string switches() const;
  // The most memory a run of llama-bench held.
  std::uint64_t resident_bytes() const { return resident_bytes_; }

 private:
  using Words = std::vector<std::string>;
  LlamaCpp(std::string folder, std::string model_path, std::uint32_t threads)
      : folder_(std::move(folder)), model_path_(std::move(model_path)), threads_(threads) {}
  Result<double> bench(const Words& test, const Words& switches);
  Result<double> batched_bench(std::uint32_t batch, std::uint32_t prompt, std::uint32_t tokens, const Words& switches);

  std::string folder_;
  std::string model_path_;
  std::uint32_t threads_;
  Words prefill_switches_, decode_switches_, batch_switches_;
  std::string version_;
  std::uint64_t resident_bytes_ = 0;
};

}  // namespace baton
