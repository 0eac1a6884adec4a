// SPDX-License-Identifier: Apache-2.0
// The schema of the topology file: which keys there are, of which type, in which range. Turns the YAML tree (with overrides
// on top) into a Topology; meaning across keys is check_topology.h's. Adding a key: one line here, one field in topology.h,
// one row in docs/topology.md.
#pragma once

#include <string>

#include "config/section.h"
#include "config/topology.h"

namespace baton {

// `home` replaces "~", `folder` is what relative paths start from. Problems go to the context's reporter.
Topology read_topology(ReadContext& context, const YamlNode& root, const std::string& home, const std::string& folder);

// "oracle:layers=4,step_time=2ms" -> options; problems are reported at `place`.
OracleSection read_oracle_options(std::string_view path, const Place& place, Reporter& reporter);

}  // namespace baton
