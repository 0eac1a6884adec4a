// SPDX-License-Identifier: Apache-2.0
// What must be as it was before, once every job of a simulated cluster has ended and time has passed: each line is one thing that is not.
#pragma once

#include <string>
#include <vector>

#include "launcher/sim_wire.h"

namespace baton {

std::vector<std::string> sim_leftovers(SimCluster& cluster);

}  // namespace baton
