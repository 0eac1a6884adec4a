// SPDX-License-Identifier: Apache-2.0
// A random llama small enough for unit tests, as a GGUF file: 2 layers, width 64, 4 heads over 2 KV heads of 16, 96
// tokens, context 256. Its logits mean nothing, but depend on every weight and every earlier token.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "kernels/weight_view.h"
#include "tests/support/gguf_writer.h"

namespace baton::test {

inline constexpr std::uint32_t kTinyVocabulary = 96;
inline constexpr std::uint32_t kTinyWidth = 64;
inline constexpr std::uint32_t kTinyContext = 256;

struct TinyLlama {
  WeightType type = WeightType::kQ4_1;     // of the matrices
  std::uint64_t seed = 1;
  bool tied = true;                        // no output.weight
  bool frequency_factors = false;          // with rope_freqs.weight
  std::optional<std::uint32_t> nan_token = {};  // its embedding row is NaN (type kF32 only)
  std::string architecture = "llama";
  std::string without_tensor = {};              // this tensor is left out
  std::string without_key = {};                 // this key is left out
  std::string wrong_shape = {};                 // this matrix has one row too few
  std::function<void(GgufWriter&)> more = {};   // adds keys or tensors of its own
};

std::string build_tiny_llama(const TinyLlama& options);

}  // namespace baton::test
