// SPDX-License-Identifier: Apache-2.0
// What can be told of a model without loading it: that its file is a whole GGUF file, and its length. Pure but for the file.
#pragma once

#include <cstdint>
#include <memory>

#include "config/topology.h"
#include "models/gguf.h"
#include "runtime/base/result.h"

namespace baton {

// The tokens of prompt and answer that the model was made for; 0 if its file does not say.
std::uint64_t context_length(const GgufFile& file);

// The topology's model, which is no oracle. An error if its file cannot be found or is no good, or if max_model_len is above
// its context.
Result<std::unique_ptr<GgufFile>> open_model(const Topology& topology);

// The same before anything is started, also for an oracle. Prints "baton COMMAND: …" to standard error if it returns false.
bool check_model(const char* command, const Topology& topology);

}  // namespace baton
