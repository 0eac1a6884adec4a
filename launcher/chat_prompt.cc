// SPDX-License-Identifier: Apache-2.0
#include "launcher/chat_prompt.h"

#include <ctime>
#include <utility>

#include "launcher/check_model.h"
#include "models/chat_template_factory.h"
#include "models/tokenizer_factory.h"

namespace baton {

Result<ChatPrompt> ChatPrompt::load(const Topology& topology) {
  if (topology.model.oracle) return fail(ErrorCode::kInvalidArgument, "the test model has no chat template");
  const auto file = open_model(topology);
  if (!file) return fail(file.error().code, "a chat needs the model's file on this machine, for its template: " + file.error().message);
  auto tokenizer = make_tokenizer(**file);
  if (!tokenizer) return tl::unexpected<Error>(tokenizer.error());
  auto chat = chat_template_of(**file, **tokenizer);
  if (!chat) return tl::unexpected<Error>(chat.error());
  if (*chat == nullptr) return fail(ErrorCode::kInvalidArgument, "the model has no chat template: use `baton submit` with a prompt of your own");
  return ChatPrompt(std::move(*tokenizer), std::move(*chat));
}

// The template writes all special tokens itself.
Result<std::vector<TokenId>> ChatPrompt::ids(const boost::json::value& messages) const {
  ChatInput input;
  input.messages = messages;
  input.now = std::time(nullptr);
  const auto text = template_->render(input);
  if (!text) return tl::unexpected<Error>(text.error());
  return tokenizer_->encode(*text, {false, true});
}

}  // namespace baton
