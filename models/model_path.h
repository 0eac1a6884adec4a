// SPDX-License-Identifier: Apache-2.0
// From what a user writes as the model's path to the one .gguf file that is meant.
#pragma once

#include <string>

#include "runtime/base/result.h"

namespace baton {

// A file stands for itself; a directory must hold exactly one .gguf file (not looking into its subdirectories), and a link there
// must not lead out of it.
Result<std::string> resolve_model_path(const std::string& path);

}  // namespace baton
