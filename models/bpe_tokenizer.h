// SPDX-License-Identifier: Apache-2.0
// BpeTokenizer: byte-level byte-pair encoding (GPT-2's family: SmolLM2, Qwen2, Llama 3). Immutable; any thread may call it;
// owns its vocabulary. encode() is O(n log n) in the text. A byte that has no token of its own (some vocabularies lack
// those that no UTF-8 contains) has no encoding and is left out, as Hugging Face's implementation does.
// Texts are taken as they are, without Unicode normalization, so that decoding gives the same bytes back.
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "models/bpe_merges.h"
#include "models/pre_tokenizer.h"
#include "models/special_matcher.h"
#include "models/tokenizer.h"
#include "runtime/base/result.h"

namespace baton {

constexpr std::uint32_t kMaxVocabulary = 1u << 20;
constexpr std::uint32_t kMaxMerges = 1u << 21;
constexpr std::size_t kMaxTokenBytes = 4096;

// As in tokenizer.ggml.token_type.
enum class TokenKind : std::uint8_t { kNormal = 1, kUnknown = 2, kControl = 3, kUserDefined = 4, kUnused = 5, kByte = 6 };

// What a model file says about its tokenizer, not yet checked.
struct BpeVocabulary {
  std::vector<std::string> tokens;  // in GPT-2's spelling: each byte as one printable character
  std::vector<TokenKind> kinds;     // one per token
  std::vector<std::string> merges;  // "left right", most important first
  const PreTokenizer* pre_tokenizer = nullptr;
  bool add_bos = false;
  TokenId bos = -1;
  TokenId eos = -1;
};

class BpeTokenizer final : public Tokenizer {
 public:
  static Result<std::unique_ptr<Tokenizer>> make(const BpeVocabulary& vocabulary);

  std::vector<TokenId> encode(std::string_view text, const EncodeOptions& options) const override;
  std::string token_bytes(TokenId id, bool render_special) const override;
  std::uint32_t vocab_size() const override { return static_cast<std::uint32_t>(bytes_.size()); }
  TokenId bos() const override { return bos_; }
  TokenId eos() const override { return eos_; }

 private:
  BpeTokenizer() = default;
  void encode_plain(std::string_view text, BpeMerger& merger, std::vector<TokenId>& out) const;
  TokenId find_whole(std::string_view piece) const;  // -1: no token has exactly these bytes

  std::vector<std::string> bytes_;  // of each token; specials: their text
  std::vector<TokenKind> kinds_;
  std::array<TokenId, 256> byte_ids_{};  // -1: no token
  std::vector<TokenId> by_bytes_;        // ids of ordinary tokens in the order of their bytes; only for whole_piece_first
  MergeTable merges_;
  SpecialMatcher all_specials_;
  SpecialMatcher user_defined_;  // these are matched whatever the options say
  const PreTokenizer* pre_tokenizer_ = nullptr;
  bool add_bos_ = false;
  TokenId bos_ = -1;
  TokenId eos_ = -1;
};

}  // namespace baton
