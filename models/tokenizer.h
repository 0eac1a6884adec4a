// SPDX-License-Identifier: Apache-2.0
// Tokenizer: text to ids and back, from the vocabulary stored in the model file. Immutable after loading, so any thread may
// call it. encode() is linear or n log n in the text, whatever the text (hostile megabytes included).
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/sampling_params.h"
#include "runtime/base/result.h"

namespace baton {

struct EncodeOptions {
  bool add_special = true;    // begin-of-sequence where the model wants one
  bool parse_special = false; // "<|im_start|>" in the text becomes that special token (only for trusted, templated text)
};

class Tokenizer {
 public:
  virtual ~Tokenizer() = default;
  // Never fails: every byte string has an encoding (invalid UTF-8 goes through as bytes).
  virtual std::vector<TokenId> encode(std::string_view text, const EncodeOptions& options) const = 0;
  // The bytes of one token; may be part of a UTF-8 character. Special tokens yield "" unless asked for.
  virtual std::string token_bytes(TokenId id, bool render_special) const = 0;
  virtual std::uint32_t vocab_size() const = 0;
  virtual TokenId bos() const = 0;  // -1: none
  virtual TokenId eos() const = 0;  // -1: none
};

// Turns ids into text as they come; holds back bytes until they complete a UTF-8 character, so no piece ever ends in half
// of one. Bytes that cannot be UTF-8 come out as U+FFFD. One per stream.
class StreamDetokenizer {
 public:
  explicit StreamDetokenizer(const Tokenizer& tokenizer) : tokenizer_(tokenizer) {}
  std::string push(TokenId id);  // the text that became certain; may be empty
  std::string flush();           // what is left, at the end of the stream

 private:
  const Tokenizer& tokenizer_;
  std::string pending_;
};

}  // namespace baton
