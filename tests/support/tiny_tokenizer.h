// SPDX-License-Identifier: Apache-2.0
// A small byte-level tokenizer for tests: writes the tokenizer.ggml.* keys of a vocabulary into a GgufWriter. Ids: 0..255 are
// the bytes, then one token per merge, then the special tokens in the order given.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "tests/support/gguf_writer.h"

namespace baton::test {

struct TinyTokenizer {
  std::string model = "gpt2";
  std::string pre = "smollm";
  std::vector<std::pair<std::string, std::string>> merges;  // plain bytes, e.g. {"t", "h"}, {"th", "e"}
  std::vector<std::string> controls;                        // e.g. "<|end|>"
  std::vector<std::string> user_defined;

  std::int32_t first_merge() const { return 256; }
  std::int32_t first_control() const { return 256 + static_cast<std::int32_t>(merges.size()); }
  std::int32_t first_user_defined() const { return first_control() + static_cast<std::int32_t>(controls.size()); }

  std::vector<std::string> tokens() const;
  std::vector<std::int32_t> types() const;
  std::vector<std::string> merge_lines() const;
  void add_to(GgufWriter& writer) const;  // no bos, eos or add_bos_token
};

// GPT-2's spelling of bytes, as tokens stand in a GGUF file.
std::string spelled(std::string_view bytes);

}  // namespace baton::test
