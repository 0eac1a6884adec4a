// SPDX-License-Identifier: Apache-2.0
#include "runtime/base/thread_name.h"

#include <sys/prctl.h>

namespace baton {

void name_this_thread(const char* name) { prctl(PR_SET_NAME, name); }

}  // namespace baton
