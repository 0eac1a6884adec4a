// SPDX-License-Identifier: Apache-2.0
// What must hold between the keys of a topology, beyond each one's type and range, and what this version cannot do yet.
// Pure apart from looking whether files exist, which can be switched off.
#pragma once

#include <cstdint>

#include "config/section.h"
#include "config/topology.h"

namespace baton {

struct CheckOptions {
  bool check_files = true;   // model.path must exist
  std::uint32_t cores = 0;   // of this machine; 0: not compared
  std::uint64_t memory = 0;  // bytes this machine lets us have; 0: not compared
};

void check_topology(const Topology& topology, const CheckOptions& options, const ReadContext& context);

// Values that are good YAML but ask for a part that is not built yet: errors, never ignored in silence.
void check_supported(const Topology& topology, const ReadContext& context);

}  // namespace baton
