// SPDX-License-Identifier: Apache-2.0
#include "models/model.h"

#include <algorithm>

namespace baton {

std::vector<TokenId> stop_tokens_of(const GgufFile& file, std::uint32_t vocab_size) {
  std::vector<TokenId> tokens;
  for (const char* key : {"tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id", "tokenizer.ggml.eom_token_id"}) {
    const auto id = file.get_uint(key);
    if (!id || *id >= vocab_size) continue;
    const auto token = static_cast<TokenId>(*id);
    if (std::find(tokens.begin(), tokens.end(), token) == tokens.end()) tokens.push_back(token);
  }
  return tokens;
}

}  // namespace baton
