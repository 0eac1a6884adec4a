// SPDX-License-Identifier: Apache-2.0
// Which UCX there is, for reports. Apart from ucx_library.h, so that nobody needs UCX's headers for it. Any thread.
#pragma once

#include <string>

#include "runtime/base/result.h"

namespace baton {

// "1.22.0"; loads the library. kUnavailable says why it cannot be loaded.
Result<std::string> ucx_version();

}  // namespace baton
