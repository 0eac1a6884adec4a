// SPDX-License-Identifier: Apache-2.0
// What a model file holds, told from its header: for `baton model inspect` and for plans. No weights are read. Plain data.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "models/gguf.h"

namespace baton {

struct ModelFacts {
  std::string path, name, architecture;
  std::uint64_t file_bytes = 0;
  std::uint64_t weight_bytes = 0;  // of the tensors whose type is known
  std::uint64_t parameters = 0;
  // Of the architecture's own keys; 0: the file does not say.
  std::uint64_t layers = 0, width = 0, feed_forward = 0, heads = 0, kv_heads = 0, head_dim = 0, context = 0, vocabulary = 0;
  std::string tokenizer;                                             // "gpt2, smollm"; empty: none
  std::vector<std::pair<std::string, std::int64_t>> special_tokens;  // "bos" and its id
  std::uint64_t chat_template_bytes = 0;                             // 0: the file has none
  struct Type {
    std::string name;
    std::uint64_t tensors = 0, elements = 0, bytes = 0;  // bytes 0: a type Baton does not know
  };
  std::vector<Type> types;                                                                   // by bytes, most first
  std::string why_not;                                                                       // empty: this version can run it
  std::uint64_t kv_bytes_per_token() const { return 2 * layers * kv_heads * head_dim * 2; }  // as float16, the default
};

ModelFacts inspect_model(const GgufFile& file);

}  // namespace baton
