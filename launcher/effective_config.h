// SPDX-License-Identifier: Apache-2.0
// A topology as it counts, after flags, environment and defaults, and what a topology may hold: both made from what the reader
// of the file noted down (config/section.h), so that a new key is in them by itself. Pure.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "config/load_topology.h"

namespace baton {

// Valid YAML: fed back, it gives the same topology. Keys that are not set are left out.
std::string effective_yaml(const std::vector<ValueOrigin>& origins);

// The value as YAML writes it on one line.
std::string yaml_value(const EffectiveValue& value);

// The JSON Schema (draft 7) of topology files.
std::string topology_schema();

}  // namespace baton
