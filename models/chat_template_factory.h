// SPDX-License-Identifier: Apache-2.0
// The chat template that a model file carries (tokenizer.chat_template), with the texts of its special tokens. The file and the
// tokenizer are not needed afterwards.
#pragma once

#include <memory>

#include "models/chat_template.h"
#include "models/gguf.h"
#include "models/tokenizer.h"
#include "runtime/base/result.h"

namespace baton {

// nullptr: the model has none.
Result<std::shared_ptr<const ChatTemplate>> chat_template_of(const GgufFile& file, const Tokenizer& tokenizer);

}  // namespace baton
