// SPDX-License-Identifier: Apache-2.0
#include "tests/support/tiny_tokenizer.h"

#include "models/unicode.h"

namespace baton::test {

std::string spelled(std::string_view bytes) {
  std::string out;
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    std::uint32_t code = byte;
    if (byte <= 0x20) code = 0x100u + byte;                            // 33 bytes: U+0100..U+0120
    if (byte >= 0x7F && byte <= 0xA0) code = 0x121u + (byte - 0x7Fu);  // 34 bytes: U+0121..U+0142
    if (byte == 0xAD) code = 0x143;
    append_utf8(code, out);
  }
  return out;
}

std::vector<std::string> TinyTokenizer::tokens() const {
  std::vector<std::string> out;
  for (int byte = 0; byte < 256; ++byte) out.push_back(spelled(std::string(1, static_cast<char>(byte))));
  for (const auto& [left, right] : merges) out.push_back(spelled(left + right));
  out.insert(out.end(), controls.begin(), controls.end());
  out.insert(out.end(), user_defined.begin(), user_defined.end());
  return out;
}

std::vector<std::int32_t> TinyTokenizer::types() const {
  std::vector<std::int32_t> out(256 + merges.size(), 1);
  out.insert(out.end(), controls.size(), 3);
  out.insert(out.end(), user_defined.size(), 4);
  return out;
}

std::vector<std::string> TinyTokenizer::merge_lines() const {
  std::vector<std::string> out;
  for (const auto& [left, right] : merges) out.push_back(spelled(left) + " " + spelled(right));
  return out;
}

void TinyTokenizer::add_to(GgufWriter& writer) const {
  writer.add_string("tokenizer.ggml.model", model).add_string("tokenizer.ggml.pre", pre);
  writer.add_strings("tokenizer.ggml.tokens", tokens()).add_ints("tokenizer.ggml.token_type", types());
  writer.add_strings("tokenizer.ggml.merges", merge_lines());
}

}  // namespace baton::test
