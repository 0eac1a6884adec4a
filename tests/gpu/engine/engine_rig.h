// SPDX-License-Identifier: Apache-2.0
// A random Llama with heads of 64 as a file, and a way to run prompts through any engine: in chunks, alone or in company.
#pragma once

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

#include "engine/engine.h"
#include "tests/support/gguf_writer.h"
#include "tests/support/random_weights.h"

namespace baton::test {

struct SmallLlama {
  std::uint32_t layers = 3, width = 256, heads = 6, kv_heads = 2, head_dim = 64, feed_forward = 448, vocabulary = 512, context = 2048;
  WeightType type = WeightType::kBF16;
  std::optional<std::uint32_t> nan_token = {};
  std::string build() const;
};

// Tokens and log-probabilities of one sequence's answer.
struct Answer {
  std::vector<TokenId> tokens;
  std::vector<float> logprobs;
  std::vector<std::vector<TokenLogprob>> top;
  std::vector<std::uint64_t> digests;  // of the prompt's full blocks
  std::string error;
};

struct Request {
  std::vector<TokenId> prompt;
  std::uint32_t generate = 8;
  std::uint32_t chunk = 100000;
  SamplingParams sampling = {};
  std::vector<TokenId> forced = {};  // what follows the prompt instead of what was drawn
};

// All requests at once, each step with the next chunk of every one; blocks are dealt out in turn, from `first_block` on.
std::vector<Answer> answer_all(Engine& engine, const std::vector<Request>& requests, std::uint32_t first_block = 0);

std::vector<TokenId> random_prompt(std::uint32_t length, std::uint32_t vocabulary, std::uint64_t seed);

}  // namespace baton::test
