// SPDX-License-Identifier: Apache-2.0
#include "models/tokenizer.h"
#include "models/unicode.h"

namespace baton {

std::string StreamDetokenizer::push(TokenId id) {
  pending_ += tokenizer_.token_bytes(id, false);
  // Only the last character can be incomplete, and it has at most four bytes: look for its first byte from the end.
  std::size_t certain = pending_.size();
  for (std::size_t back = 1; back <= 3 && back <= pending_.size(); ++back) {
    const std::string_view tail = std::string_view(pending_).substr(pending_.size() - back);
    if ((static_cast<unsigned char>(tail[0]) & 0xC0) == 0x80) continue;
    if (utf8_step(tail).kind == Utf8Step::Kind::kIncomplete) certain = pending_.size() - back;
    break;
  }
  std::string out = replace_invalid_utf8(std::string_view(pending_).substr(0, certain));
  pending_.erase(0, certain);
  return out;
}

std::string StreamDetokenizer::flush() {
  std::string out = replace_invalid_utf8(pending_);
  pending_.clear();
  return out;
}

}  // namespace baton
