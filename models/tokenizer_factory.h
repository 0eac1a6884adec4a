// SPDX-License-Identifier: Apache-2.0
// The tokenizer that a model file describes by its tokenizer.ggml.* keys. The file is not needed afterwards.
#pragma once

#include <memory>

#include "models/gguf.h"
#include "models/tokenizer.h"
#include "runtime/base/result.h"

namespace baton {

// tokenizer.ggml.model "gpt2" with a known tokenizer.ggml.pre; anything else is an error that lists what is supported.
Result<std::unique_ptr<Tokenizer>> make_tokenizer(const GgufFile& file);

}  // namespace baton
