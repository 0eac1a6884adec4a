// SPDX-License-Identifier: Apache-2.0
// Bad words as token ids. Pure.
#pragma once

#include <string>
#include <vector>

#include "models/tokenizer.h"

namespace baton {

// As vLLM does it: each word without blanks in front gives the ids of its text, and those of the text behind a space if they
// begin with another id and are as many. Other spellings (another case, other tokens for the same letters) are not covered.
std::vector<std::vector<TokenId>> bad_word_ids(const Tokenizer& tokenizer, const std::vector<std::string>& words);

}  // namespace baton
