// SPDX-License-Identifier: Apache-2.0
#include "server/guarded.h"

#include "runtime/base/log.h"

namespace baton {

void log_failure(const char* what, const char* why) noexcept {
  try {
    log_error("http", std::string(what) + " failed", {{"why", why}});
  } catch (...) {  // there is no memory for words: what failed is dealt with all the same
    return;
  }
}

}  // namespace baton
