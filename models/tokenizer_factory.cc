// SPDX-License-Identifier: Apache-2.0
#include "models/tokenizer_factory.h"

#include "models/bpe_tokenizer.h"
#include "models/byte_cursor.h"
#include "models/pre_tokenizer.h"

namespace baton {
namespace {

tl::unexpected<Error> bad_key(std::string_view key, const std::string& what) {
  return fail(ErrorCode::kCorrupt, "key " + quoted(key) + " " + what + ": convert the model again with a current converter");
}

Result<const PreTokenizer*> read_pre_tokenizer(const GgufFile& file) {
  const std::optional<std::string> model = file.get_string("tokenizer.ggml.model");
  if (!model) return bad_key("tokenizer.ggml.model", "is missing or not a string, so the file has no tokenizer");
  if (*model != "gpt2") {
    return fail(ErrorCode::kIncompatible, "tokenizer.ggml.model " + quoted(*model) +
                                              " is not supported (\"gpt2\", byte-level BPE, is): use another model");
  }
  const std::optional<std::string> name = file.get_string("tokenizer.ggml.pre");
  if (!name) return bad_key("tokenizer.ggml.pre", "is missing or not a string (it says how to cut text before merging)");
  const PreTokenizer* found = find_pre_tokenizer(*name);
  if (found == nullptr) {
    return fail(ErrorCode::kIncompatible, "tokenizer.ggml.pre " + quoted(*name) + " is not supported (" +
                                              supported_pre_tokenizers() + " are): use another model");
  }
  return found;
}

Result<std::vector<TokenKind>> read_kinds(const GgufFile& file, std::size_t tokens) {
  constexpr std::string_view kKey = "tokenizer.ggml.token_type";
  const std::optional<std::vector<std::int64_t>> types = file.get_ints(kKey);
  if (!types) return bad_key(kKey, "is missing or not a list of integers");
  if (types->size() != tokens)
    return bad_key(kKey, "has " + std::to_string(types->size()) + " entries for " + std::to_string(tokens) + " tokens");
  std::vector<TokenKind> kinds;
  kinds.reserve(types->size());
  for (const std::int64_t type : *types) {
    if (type < 1 || type > 6) return bad_key(kKey, "has the type " + std::to_string(type) + ", not 1 to 6");
    kinds.push_back(static_cast<TokenKind>(type));
  }
  return kinds;
}

// -1: the key is absent.
Result<TokenId> read_id(const GgufFile& file, std::string_view key, std::size_t tokens) {
  const std::optional<std::uint64_t> id = file.get_uint(key);
  if (!id) return -1;
  if (*id >= tokens) return bad_key(key, "is " + std::to_string(*id) + ", behind the vocabulary of " + std::to_string(tokens));
  return static_cast<TokenId>(*id);
}

Result<std::unique_ptr<Tokenizer>> read_tokenizer(const GgufFile& file) {
  const Result<const PreTokenizer*> pre_tokenizer = read_pre_tokenizer(file);
  if (!pre_tokenizer) return tl::unexpected<Error>(pre_tokenizer.error());
  std::optional<std::vector<std::string>> tokens = file.get_strings("tokenizer.ggml.tokens");
  if (!tokens) return bad_key("tokenizer.ggml.tokens", "is missing or not a list of strings");
  std::optional<std::vector<std::string>> merges = file.get_strings("tokenizer.ggml.merges");
  if (!merges) return bad_key("tokenizer.ggml.merges", "is missing or not a list of strings");
  if (tokens->size() > kMaxVocabulary)
    return bad_key("tokenizer.ggml.tokens", "has more than " + std::to_string(kMaxVocabulary) + " entries");
  Result<std::vector<TokenKind>> kinds = read_kinds(file, tokens->size());
  if (!kinds) return tl::unexpected<Error>(kinds.error());
  const Result<TokenId> bos = read_id(file, "tokenizer.ggml.bos_token_id", tokens->size());
  if (!bos) return tl::unexpected<Error>(bos.error());
  const Result<TokenId> eos = read_id(file, "tokenizer.ggml.eos_token_id", tokens->size());
  if (!eos) return tl::unexpected<Error>(eos.error());

  BpeVocabulary vocabulary;
  vocabulary.tokens = std::move(*tokens);
  vocabulary.kinds = std::move(*kinds);
  vocabulary.merges = std::move(*merges);
  vocabulary.pre_tokenizer = *pre_tokenizer;
  vocabulary.add_bos = file.get_bool("tokenizer.ggml.add_bos_token").value_or((*pre_tokenizer)->add_bos);
  vocabulary.bos = *bos;
  vocabulary.eos = *eos;
  return BpeTokenizer::make(vocabulary);
}

}  // namespace

Result<std::unique_ptr<Tokenizer>> make_tokenizer(const GgufFile& file) {
  auto tokenizer = read_tokenizer(file);
  if (!tokenizer) return fail(tokenizer.error().code, file.path() + ": " + tokenizer.error().message);
  return tokenizer;
}

}  // namespace baton
