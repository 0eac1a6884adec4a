// SPDX-License-Identifier: Apache-2.0
// What the kernel knows of a running process of this machine: CPU time by name of thread, and memory. Read from /proc; any
// thread. A process that is gone, or another user's, has used nothing.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <string>

namespace baton {

// Seconds of CPU time, user and system, by thread name; threads of one name are added up. Ended threads do not count.
std::map<std::string, double> cpu_seconds_by_thread(pid_t pid);

struct MemoryUse {
  std::uint64_t resident_bytes = 0;      // Rss: shared pages count in full
  std::uint64_t proportional_bytes = 0;  // Pss: shared pages are split among those who map them
};
MemoryUse memory_use(pid_t pid);

}  // namespace baton
