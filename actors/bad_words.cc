// SPDX-License-Identifier: Apache-2.0
#include "actors/bad_words.h"

#include <algorithm>
#include <utility>

namespace baton {

std::vector<std::vector<TokenId>> bad_word_ids(const Tokenizer& tokenizer, const std::vector<std::string>& words) {
  std::vector<std::vector<TokenId>> sequences;
  for (const std::string& word : words) {
    const std::size_t begin = std::min(word.find_first_not_of(" \t\n\v\f\r"), word.size());
    if (begin == word.size()) {  // blanks are all there is: they themselves are meant
      sequences.push_back(tokenizer.encode(word, {false, false}));
      continue;
    }
    std::vector<TokenId> plain = tokenizer.encode(word.substr(begin), {false, false});
    std::vector<TokenId> spaced = tokenizer.encode(" " + word.substr(begin), {false, false});
    const bool another = plain.size() == spaced.size() && plain.front() != spaced.front();
    sequences.push_back(std::move(plain));
    if (another) sequences.push_back(std::move(spaced));
  }
  return sequences;
}

}  // namespace baton
