// SPDX-License-Identifier: Apache-2.0
// Names of threads, for tools that show where CPU time goes (top -H, perf, `baton bench serve`): baton-loop, baton-edge,
// baton-data, baton-engine, baton-kernel-N.
#pragma once

namespace baton {

// At most 15 characters; longer ones are cut. Of the calling thread; of the main one this is the process's name, too.
void name_this_thread(const char* name);

}  // namespace baton
