// SPDX-License-Identifier: Apache-2.0
// The oracle model's tokenizer: byte b is token b + 1 (0 is the stop token); ids above 256 print as "<id>".
#pragma once

#include <memory>

#include "models/tokenizer.h"

namespace baton {

std::unique_ptr<Tokenizer> make_oracle_tokenizer(std::uint32_t vocab_size);

}  // namespace baton
