// SPDX-License-Identifier: Apache-2.0
// What the launcher knows of the user's surroundings: home folder, environment, terminal. The only place that asks.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "config/load_topology.h"

namespace baton {

// HOME, or the password file's idea of it.
std::string home_folder();
// Options for load_topology with this process's environment and cores and the command's --set flags.
LoadOptions load_options(const std::vector<std::string>& set);
// The running program, to start its siblings from.
std::string own_executable();

// Loads and shows notes and errors on standard error. nullopt: there were errors; exit with kBadConfiguration. `outcome` ends the
// count of errors, as in "; nothing was started".
std::optional<LoadedTopology> load_or_explain(const std::string& path, const LoadOptions& options, const char* outcome = "");

}  // namespace baton
