// SPDX-License-Identifier: Apache-2.0
// A tokenizer with a few merges and special tokens: any text comes back from its tokens, whole and as a stream. The first byte
// says whether special tokens are parsed.
#include "models/tokenizer.h"

#include <unistd.h>

#include "models/tokenizer_factory.h"
#include "models/unicode.h"
#include "runtime/base/check.h"
#include "tests/fuzz/target.h"
#include "tests/support/gguf_writer.h"
#include "tests/support/tiny_tokenizer.h"

namespace baton::fuzz {
namespace {

std::unique_ptr<Tokenizer> make_tiny() {
  test::TinyTokenizer tiny;
  tiny.merges = {{"t", "h"}, {"th", "e"},      {" ", "the"}, {"a", "a"},  {"aa", "aa"},
                 {"1", "2"}, {"\xc3", "\xa9"}, {" ", " "},   {"\n", "\n"}};
  tiny.controls = {"<|begin|>", "<|end|>"};
  tiny.user_defined = {"<tool>", "<|"};
  test::GgufWriter writer;
  tiny.add_to(writer);
  const test::TempFile file(writer.build());
  return make_tokenizer(*GgufFile::open(file.path()).value()).value();
}

}  // namespace

void run_tokenizer(std::string_view bytes) {
  static const std::unique_ptr<Tokenizer> tokenizer = make_tiny();
  if (bytes.empty()) return;
  const bool special = (bytes[0] & 1) != 0;
  const std::string_view text = bytes.substr(1);
  const std::vector<TokenId> ids = tokenizer->encode(text, {.add_special = false, .parse_special = special});
  std::string back, streamed;
  StreamDetokenizer stream(*tokenizer);
  for (const TokenId id : ids) {
    CHECK(id >= 0 && static_cast<std::uint32_t>(id) < tokenizer->vocab_size(), "an id of the vocabulary");
    back += tokenizer->token_bytes(id, true);
    streamed += stream.push(id);
  }
  streamed += stream.flush();
  CHECK(back == text, "the text comes back");
  if (!special) CHECK(streamed == replace_invalid_utf8(text), "the stream says the same");
}

}  // namespace baton::fuzz
