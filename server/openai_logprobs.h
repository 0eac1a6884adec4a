// SPDX-License-Identifier: Apache-2.0
// Log-probabilities in the two forms of OpenAI's API: chat's list of {token, logprob, bytes, top_logprobs}, and completions' four
// parallel lists. What JSON cannot say (minus infinity) is -9999, as the API says of unlikely tokens. Pure but for the position
// in the text that the lists count; one per choice; HTTP thread.
#pragma once

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <cstdint>
#include <string>
#include <vector>

#include "models/tokenizer.h"
#include "protocol/messages.h"
#include "server/openai_request.h"

namespace baton {

class ChoiceLogprobs {
 public:
  // Borrows both.
  ChoiceLogprobs(const OpenAiCall& call, const Tokenizer& tokenizer) : call_(call), tokenizer_(tokenizer) {}

  // Of the prompt (completions with echo), whose first token has none.
  void add_prompt(const std::vector<TokenId>& ids, const std::vector<ClientToken>& known);
  void add(const ClientToken& token);
  // What was added since the last take; null if nothing was.
  boost::json::value take();

 private:
  std::string name_of(TokenId token) const;
  std::string text_of(TokenId token) const;
  boost::json::object chat_entry(TokenId token, float logprob) const;
  void add_chat(const ClientToken& token);
  void add_completion(TokenId token, const ClientToken* known);

  const OpenAiCall& call_;
  const Tokenizer& tokenizer_;
  boost::json::array content_;                                // chat
  boost::json::array tokens_, logprobs_, tops_, offsets_;     // completions
  std::int64_t offset_ = 0;                                   // characters of the text before the next token
};

}  // namespace baton
