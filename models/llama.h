// SPDX-License-Identifier: Apache-2.0
// The Llama decoder (Touvron et al. 2023; Llama 3: Grattafiori et al. 2024) from GGUF: pre-norm blocks of grouped-query
// attention with rotary positions and a SiLU-gated feed-forward. Everything the file says is checked against the shapes of
// its tensors; a tensor that this decoder would not use is an error, for ignoring it would give wrong tokens.
#pragma once

#include <memory>

#include "models/model.h"
#include "models/weight_arena.h"
#include "runtime/base/result.h"

namespace baton {

// `backend` outlives the model.
Result<std::unique_ptr<Model>> load_llama(std::unique_ptr<GgufFile> file, cpu::Backend& backend, std::unique_ptr<WeightArena> arena);

// What load_llama() would give, or why it would fail.
Result<ModelInfo> examine_llama(const GgufFile& file);

}  // namespace baton
