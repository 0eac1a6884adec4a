// SPDX-License-Identifier: Apache-2.0
// Pre-tokenizers: how a text is cut into pieces before byte-pair merging; no merge crosses a cut. One table entry per name
// of tokenizer.ggml.pre, each a hand-written matcher of that model's published pattern. Pure functions; cutting a text piece
// by piece is linear in its length whatever the text (each character is looked at a bounded number of times).
// A new one: a function in pre_tokenizer.cc, a line in its table, its pattern in tools/golden/make_tokenizer.py.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace baton {

struct PreTokenizer {
  std::string_view name;  // the value of tokenizer.ggml.pre
  // The end of the piece that begins at `at`; at < text.size(), the result is > at.
  std::size_t (*piece_end)(std::string_view text, std::size_t at);
  bool whole_piece_first;  // a piece that is in the vocabulary is that token, whatever the merges say
  bool add_bos;            // when the file has no tokenizer.ggml.add_bos_token
};

const PreTokenizer* find_pre_tokenizer(std::string_view name);  // nullptr: not supported
std::string supported_pre_tokenizers();                         // "smollm, gpt-2, ..."

}  // namespace baton
