// SPDX-License-Identifier: Apache-2.0
#include "models/chat_template_factory.h"

namespace baton {

Result<std::shared_ptr<const ChatTemplate>> chat_template_of(const GgufFile& file, const Tokenizer& tokenizer) {
  std::optional<std::string> source = file.get_string("tokenizer.chat_template");
  if (!source) return nullptr;
  const auto text_of = [&tokenizer](TokenId id) { return id < 0 ? std::string() : tokenizer.token_bytes(id, true); };
  return ChatTemplate::parse(std::move(*source), text_of(tokenizer.bos()), text_of(tokenizer.eos()));
}

}  // namespace baton
