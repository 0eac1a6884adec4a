// SPDX-License-Identifier: Apache-2.0
// One HTTP question of the launcher's own, as `up` asks the gateway whether it is ready. Any thread; blocks at most `limit`.
#pragma once

#include <optional>
#include <string>

#include "runtime/base/time.h"

namespace baton {

// The status of GET `path` at "http://host:port"; nullopt: nobody answered in time.
std::optional<int> http_status(const std::string& url, const std::string& path, Duration limit);

}  // namespace baton
