// SPDX-License-Identifier: Apache-2.0
// Runs a helper program to its end, with no shell in between. Blocks its thread.
#pragma once

#include <string>
#include <vector>

#include "runtime/base/result.h"

namespace baton {

// argv[0] is looked up in PATH. Standard input is empty; both outputs go to the file `log_path` (made anew). The value is the
// exit status; a program that cannot be started, or that a signal ended, is an error.
Result<int> run_program(const std::vector<std::string>& argv, const std::string& log_path);

// The last `limit` bytes of a text file, for an error message; empty if it cannot be read.
std::string tail_of_file(const std::string& path, std::size_t limit);

}  // namespace baton
