// SPDX-License-Identifier: Apache-2.0
// A model as the gateway serves one, small: every byte of a text is the token of that number, 256 and 257 are <|im_start|> and
// <|im_end|>, 258 is <s> (the beginning of text, where wanted), and the chat template is ChatML's.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "server/openai_request.h"

namespace baton::test {

inline constexpr const char* kChatMl =
    "{%- for message in messages -%}{{ '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}{%- endfor "
    "-%}"
    "{%- if add_generation_prompt -%}{{ '<|im_start|>assistant\\n' }}{%- endif -%}";

struct ServedModel {
  std::unique_ptr<Tokenizer> tokenizer;
  OpenAiModel model;  // named "tiny" and "other"
};

// `chat_template` "": none.
ServedModel make_served_model(std::uint32_t max_model_len = 256, const std::string& chat_template = kChatMl,
                              bool add_bos = false);

}  // namespace baton::test
