// SPDX-License-Identifier: Apache-2.0
#include "models/oracle_tokenizer.h"

namespace baton {
namespace {

class OracleTokenizer final : public Tokenizer {
 public:
  explicit OracleTokenizer(std::uint32_t vocab_size) : vocab_size_(vocab_size) {}

  std::vector<TokenId> encode(std::string_view text, const EncodeOptions&) const override {
    std::vector<TokenId> ids;
    ids.reserve(text.size());
    for (const char c : text) ids.push_back(static_cast<unsigned char>(c) + 1);
    return ids;
  }
  std::string token_bytes(TokenId id, bool render_special) const override {
    if (id == 0) return render_special ? "<stop>" : "";
    if (id <= 256) return std::string(1, static_cast<char>(id - 1));
    return "<" + std::to_string(id) + ">";
  }
  std::uint32_t vocab_size() const override { return vocab_size_; }
  TokenId bos() const override { return -1; }
  TokenId eos() const override { return 0; }

 private:
  std::uint32_t vocab_size_;
};

}  // namespace

std::unique_ptr<Tokenizer> make_oracle_tokenizer(std::uint32_t vocab_size) { return std::make_unique<OracleTokenizer>(vocab_size); }

}  // namespace baton
