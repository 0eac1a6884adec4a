// SPDX-License-Identifier: Apache-2.0
// The architectures Baton can run: general.architecture of a model file -> the function that loads it. A new family is
// one file pair in models/ and one line in registry.cc.
#pragma once

#include <memory>

#include "models/model.h"
#include "models/weight_arena.h"
#include "runtime/base/result.h"

namespace baton {

// `backend` outlives the model; `arena` is where it keeps weights that it lays out anew. An unknown architecture is an error
// that lists the known ones.
Result<std::unique_ptr<Model>> load_model(std::unique_ptr<GgufFile> file, cpu::Backend& backend, std::unique_ptr<WeightArena> arena);

// What load_model() would give, or why it would fail, without laying weights out: reads the header and the small tensors.
Result<ModelInfo> examine_model(const GgufFile& file);

}  // namespace baton
