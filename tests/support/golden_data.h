// SPDX-License-Identifier: Apache-2.0
// The fixtures of tests/golden/data as structs, and where the model they were made from lies. tests/golden/README.md says
// what each field means. A missing or broken fixture ends the test program; a missing model is for the test to skip.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace baton::test {

// SmolLM2-135M-Instruct.Q4_1.gguf: $BATON_TEST_MODEL, else in the default cache. nullopt: not there.
std::optional<std::string> golden_model_path();
// What to tell the reader of a skipped test.
std::string golden_model_missing();

struct GoldenLogits {
  std::uint32_t position = 0;  // the logits after tokens[0..position]
  float max_abs = 0;           // over the whole vocabulary
  std::vector<std::int32_t> ids;
  std::vector<float> values;
};
struct GoldenLogitsPrompt {
  std::string name;
  std::vector<std::int32_t> tokens;
  std::vector<GoldenLogits> positions;
};
std::vector<GoldenLogitsPrompt> load_golden_logits();

struct GoldenGreedy {
  bool chat = false;
  std::string text;                                           // what was tokenized (with parse_special for chat)
  std::vector<std::pair<std::string, std::string>> messages;  // role, content; chat only
  std::vector<std::int32_t> prompt_ids;
  std::vector<std::int32_t> ids;
  std::vector<float> logprobs;
  std::vector<float> gaps;  // lead of ids[i] over the runner-up, in natural log
};
std::vector<GoldenGreedy> load_golden_greedy();

struct GoldenText {
  std::string text;
  std::vector<std::int32_t> ids;          // special tokens not parsed
  std::vector<std::int32_t> special_ids;  // special tokens parsed
};
std::vector<GoldenText> load_golden_tokenizer();

struct GoldenPieces {
  std::string text;
  std::vector<std::pair<std::string, std::vector<std::int32_t>>> lengths;  // by name of tokenizer.ggml.pre, in bytes
};
std::vector<GoldenPieces> load_golden_pretokenizer();

// The code points of \p{L}, \p{N} and \s, in this order, as first and last of ranges, alternating.
std::vector<std::vector<std::int32_t>> load_golden_char_classes();

struct GoldenUtf8 {
  std::string bytes;
  std::string text;
};
std::vector<GoldenUtf8> load_golden_utf8();

}  // namespace baton::test
