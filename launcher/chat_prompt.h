// SPDX-License-Identifier: Apache-2.0
// ChatPrompt: a conversation as the ids of a prompt, by the chat template and the tokenizer in the model's file. Immutable; any
// thread.
#pragma once

#include "runtime/base/json.h"
#include <memory>
#include <vector>

#include "config/topology.h"
#include "models/chat_template.h"
#include "models/tokenizer.h"
#include "runtime/base/result.h"

namespace baton {

class ChatPrompt {
 public:
  // An error if the model's file is not on this machine or has no template.
  static Result<ChatPrompt> load(const Topology& topology);

  // messages: an array of {"role", "content"}. An assistant's turn follows what it ends in.
  Result<std::vector<TokenId>> ids(const boost::json::value& messages) const;

 private:
  ChatPrompt(std::shared_ptr<const Tokenizer> tokenizer, std::shared_ptr<const ChatTemplate> chat) : tokenizer_(std::move(tokenizer)), template_(std::move(chat)) {}
  std::shared_ptr<const Tokenizer> tokenizer_;
  std::shared_ptr<const ChatTemplate> template_;
};

}  // namespace baton
