// SPDX-License-Identifier: Apache-2.0
// Lays a model's quantized matrices out in panels (kernels/cpu/panels.h), in one arena, on all threads of the backend. Nothing
// is done for numerics that read weights as they lie in the file.
#pragma once

#include <cstdint>
#include <vector>

#include "kernels/cpu/layers.h"
#include "models/gguf.h"
#include "models/weight_arena.h"
#include "runtime/base/result.h"

namespace baton {

// Sets Matrix::panels of those of `matrices` that are block-quantized. `model_hash` and the layout are the arena's key. The
// file's own pages of what was laid out are given back to the kernel.
Result<void> pack_weights(const GgufFile& file, std::uint64_t model_hash, cpu::Backend& backend, const std::vector<cpu::Matrix*>& matrices,
                          WeightArena& arena);

}  // namespace baton
