// SPDX-License-Identifier: Apache-2.0
// Log-probabilities in the two forms of OpenAI's API: chat's list of {token, logprob, bytes, top_logprobs}, and completions' four
// parallel lists. Kept as JSON text from the start: a token with twenty alternatives is a few hundred bytes of text, and several times
// that as values. What JSON cannot say (minus infinity) is -9999, as the API says of unlikely tokens. Pure but for the position in the
// text that the lists count; one per choice, and one per prompt whose own are asked for; HTTP thread.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "models/tokenizer.h"
#include "protocol/messages.h"
#include "server/openai_request.h"

namespace baton {

class LogprobText {
 public:
  // Borrows both.
  LogprobText(const OpenAiCall& call, const Tokenizer& tokenizer) : call_(call), tokenizer_(tokenizer) {}

  // The text of these tokens stands before the first one that is added (completions count characters).
  void stand_behind(const std::vector<TokenId>& prompt);
  void add(const ClientToken& token) { add(token.token, &token); }
  // `known`: nullptr for a token of which nothing is known.
  void add(TokenId token, const ClientToken* known);
  // What was added since the last take, behind what `prompt` has (nullptr: nothing); "null" if there is nothing.
  std::string take(const LogprobText* prompt = nullptr);
  // Of what take() would give.
  std::size_t bytes() const { return entries_.size() + offsets_.size() + logprobs_.size() + tops_.size(); }

 private:
  std::string name_of(TokenId token) const;
  std::string text_of(TokenId token) const;
  std::string chat_entry(TokenId token, float logprob, const std::string* top) const;
  void add_chat(const ClientToken& token);
  void add_completion(TokenId token, const ClientToken* known);

  const OpenAiCall& call_;
  const Tokenizer& tokenizer_;
  std::string entries_;                    // insides of lists: chat's content, completions' tokens,
  std::string offsets_, logprobs_, tops_;  // and their other three
  std::int64_t offset_ = 0;                // characters of the text before the next token
};

}  // namespace baton
