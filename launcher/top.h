// SPDX-License-Identifier: Apache-2.0
// What `baton top` shows: rates are the differences of two reports.
#pragma once

#include <string>

#include "protocol/messages.h"

namespace baton {

// A worker of another pid than before has counted anew: no rate.
std::string render_top(const StatusReport& before, const StatusReport& now, double seconds);

}  // namespace baton
