// SPDX-License-Identifier: Apache-2.0
#include "models/bpe_tokenizer.h"

#include <algorithm>
#include <numeric>
#include <tuple>

#include "models/byte_cursor.h"
#include "models/unicode.h"

namespace baton {
namespace {

tl::unexpected<Error> bad(const std::string& what) {
  return fail(ErrorCode::kCorrupt, what + "; the model file's tokenizer is damaged: download or convert the model again");
}

// GPT-2 spells each byte as a character that can be printed: most of Latin-1 as itself, the 68 others from U+0100 on.
struct ByteSpelling {
  std::array<std::uint16_t, 256> of_byte{};
  std::array<int, 0x144> byte_of{};

  ByteSpelling() {
    byte_of.fill(-1);
    std::uint16_t spare = 0x100;
    for (std::uint16_t byte = 0; byte < 256; ++byte) {
      const bool itself = (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
      of_byte[byte] = itself ? byte : spare++;
      byte_of[of_byte[byte]] = byte;
    }
  }
};

// The bytes that a spelled token stands for; a token with any other character in it stands for its own text.
std::string unspell(const ByteSpelling& spelling, const std::string& token) {
  std::string out;
  for (std::size_t at = 0; at < token.size();) {
    const Utf8Char c = char_at(token, at);
    const bool broken = c.code >= 0x80 && c.length == 1;
    if (broken || c.code >= spelling.byte_of.size() || spelling.byte_of[c.code] < 0) return token;
    out += static_cast<char>(spelling.byte_of[c.code]);
    at += c.length;
  }
  return out;
}

// Distinct tokens sorted by their spelling, for looking up the parts of merges.
class TokenIndex {
 public:
  explicit TokenIndex(const std::vector<std::string>& tokens) : tokens_(tokens), order_(tokens.size()) {
    std::iota(order_.begin(), order_.end(), 0);
    std::sort(order_.begin(), order_.end(), [&](TokenId a, TokenId b) { return text(a) < text(b); });
  }

  Result<void> check_distinct() const {
    const auto twice =
        std::adjacent_find(order_.begin(), order_.end(), [&](TokenId a, TokenId b) { return text(a) == text(b); });
    if (twice == order_.end()) return {};
    return bad("tokens " + std::to_string(twice[0]) + " and " + std::to_string(twice[1]) + " are both " + quoted(text(*twice)));
  }

  TokenId find(std::string_view wanted) const {  // -1: there is none
    const auto found =
        std::lower_bound(order_.begin(), order_.end(), wanted, [&](TokenId id, std::string_view w) { return text(id) < w; });
    return found != order_.end() && text(*found) == wanted ? *found : -1;
  }

 private:
  std::string_view text(TokenId id) const { return tokens_[static_cast<std::size_t>(id)]; }

  const std::vector<std::string>& tokens_;
  std::vector<TokenId> order_;
};

bool is_special(TokenKind kind) { return kind == TokenKind::kControl || kind == TokenKind::kUnknown; }

Result<void> check_sizes(const BpeVocabulary& v) {
  if (v.tokens.empty() || v.tokens.size() > kMaxVocabulary) {
    return bad("the vocabulary has " + std::to_string(v.tokens.size()) + " tokens, not 1 to " + std::to_string(kMaxVocabulary));
  }
  if (v.merges.size() > kMaxMerges) {
    return bad("there are " + std::to_string(v.merges.size()) + " merges, more than " + std::to_string(kMaxMerges));
  }
  if (v.kinds.size() != v.tokens.size()) {
    return bad("there are " + std::to_string(v.tokens.size()) + " tokens but " + std::to_string(v.kinds.size()) +
               " token types");
  }
  for (std::size_t i = 0; i < v.tokens.size(); ++i) {
    const bool whole = is_special(v.kinds[i]) || v.kinds[i] == TokenKind::kUserDefined;
    if (v.tokens[i].size() > (whole ? kMaxSpecialBytes : kMaxTokenBytes)) {
      return bad("token " + std::to_string(i) + " has " + std::to_string(v.tokens[i].size()) + " bytes, more than the limit");
    }
  }
  for (const TokenId id : {v.bos, v.eos}) {
    if (id < -1 || id >= static_cast<TokenId>(v.tokens.size())) {
      return bad("the begin or end token " + std::to_string(id) + " is not in the vocabulary of " +
                 std::to_string(v.tokens.size()));
    }
  }
  return {};
}

Result<MergeTable> make_merges(const BpeVocabulary& v, const TokenIndex& index) {
  std::vector<Merge> merges;
  merges.reserve(v.merges.size());
  for (const std::string& line : v.merges) {
    const auto rank = static_cast<std::uint32_t>(merges.size());
    const std::size_t space = line.find(' ', 1);  // a space of a part is spelled U+0120, so the first one separates
    if (space == std::string::npos || space + 1 == line.size())
      return bad("merge " + std::to_string(rank) + " " + quoted(line) + " is not two parts");
    const std::string left = line.substr(0, space);
    const std::string right = line.substr(space + 1);
    const Merge merge{index.find(left), index.find(right), index.find(left + right)};
    if (merge.left < 0 || merge.right < 0 || merge.merged < 0) {
      return bad("merge " + std::to_string(rank) + " " + quoted(line) +
                 " has a part or a result that is not in the vocabulary");
    }
    merges.push_back(merge);
  }
  return MergeTable(std::move(merges), static_cast<std::uint32_t>(v.tokens.size()));
}

}  // namespace

Result<std::unique_ptr<Tokenizer>> BpeTokenizer::make(const BpeVocabulary& v) {
  RETURN_IF_ERROR(check_sizes(v));
  const TokenIndex index(v.tokens);
  RETURN_IF_ERROR(index.check_distinct());
  Result<MergeTable> merges = make_merges(v, index);
  if (!merges) return tl::unexpected<Error>(merges.error());

  const ByteSpelling spelling;
  std::unique_ptr<BpeTokenizer> made(new BpeTokenizer());
  std::vector<std::pair<std::string, TokenId>> all_specials;
  std::vector<std::pair<std::string, TokenId>> user_defined;
  for (std::size_t i = 0; i < v.tokens.size(); ++i) {
    const auto id = static_cast<TokenId>(i);
    const bool user = v.kinds[i] == TokenKind::kUserDefined;
    const bool whole = user || is_special(v.kinds[i]);
    made->bytes_.push_back(whole ? v.tokens[i] : unspell(spelling, v.tokens[i]));
    if (whole && !v.tokens[i].empty()) all_specials.emplace_back(v.tokens[i], id);
    if (user && !v.tokens[i].empty()) user_defined.emplace_back(v.tokens[i], id);
    if (!whole && v.pre_tokenizer->whole_piece_first) made->by_bytes_.push_back(id);
  }
  for (std::size_t byte = 0; byte < 256; ++byte) {
    std::string spelled;
    append_utf8(spelling.of_byte[byte], spelled);
    made->byte_ids_[byte] = index.find(spelled);
  }
  std::sort(made->by_bytes_.begin(), made->by_bytes_.end(), [&](TokenId a, TokenId b) {
    return std::tie(made->bytes_[static_cast<std::size_t>(a)], a) < std::tie(made->bytes_[static_cast<std::size_t>(b)], b);
  });
  made->kinds_ = v.kinds;
  made->merges_ = std::move(*merges);
  made->all_specials_ = SpecialMatcher(std::move(all_specials));
  made->user_defined_ = SpecialMatcher(std::move(user_defined));
  made->pre_tokenizer_ = v.pre_tokenizer;
  made->add_bos_ = v.add_bos;
  made->bos_ = v.bos;
  made->eos_ = v.eos;
  return std::unique_ptr<Tokenizer>(std::move(made));
}

std::vector<TokenId> BpeTokenizer::encode(std::string_view text, const EncodeOptions& options) const {
  std::vector<TokenId> out;
  if (options.add_special && add_bos_ && bos_ >= 0) out.push_back(bos_);
  const SpecialMatcher& specials = options.parse_special ? all_specials_ : user_defined_;
  BpeMerger merger(merges_);
  for (std::size_t at = 0; at < text.size();) {
    const SpecialMatcher::Match match = specials.find(text, at);
    encode_plain(text.substr(at, match.at - at), merger, out);
    if (match.id >= 0) out.push_back(match.id);
    at = match.at + match.length;
  }
  return out;
}

void BpeTokenizer::encode_plain(std::string_view text, BpeMerger& merger, std::vector<TokenId>& out) const {
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = pre_tokenizer_->piece_end(text, at);
    const std::string_view piece = text.substr(at, end - at);
    at = end;
    if (pre_tokenizer_->whole_piece_first) {
      if (const TokenId id = find_whole(piece); id >= 0) {
        out.push_back(id);
        continue;
      }
    }
    for (const char byte : piece) {
      if (merger.symbols().size() == BpeMerger::kMaxSymbols) merger.merge_into(out);
      if (const TokenId id = byte_ids_[static_cast<unsigned char>(byte)]; id >= 0) merger.symbols().push_back(id);
    }
    merger.merge_into(out);
  }
}

TokenId BpeTokenizer::find_whole(std::string_view piece) const {
  const auto text = [this](TokenId id) -> std::string_view { return bytes_[static_cast<std::size_t>(id)]; };
  const auto found =
      std::lower_bound(by_bytes_.begin(), by_bytes_.end(), piece, [&](TokenId id, std::string_view p) { return text(id) < p; });
  return found != by_bytes_.end() && text(*found) == piece ? *found : -1;
}

std::string BpeTokenizer::token_bytes(TokenId id, bool render_special) const {
  if (id < 0 || static_cast<std::size_t>(id) >= bytes_.size()) return {};
  const auto index = static_cast<std::size_t>(id);
  if (is_special(kinds_[index]) && !render_special) return {};
  return bytes_[index];
}

}  // namespace baton
