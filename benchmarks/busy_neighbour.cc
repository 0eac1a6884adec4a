// SPDX-License-Identifier: Apache-2.0
#include "benchmarks/busy_neighbour.h"

#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

namespace baton {

Result<BusyNeighbour> BusyNeighbour::start() {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  int core = -1;
  if (sched_getaffinity(0, sizeof allowed, &allowed) == 0)
    for (int each = 0; each < CPU_SETSIZE; ++each)
      if (CPU_ISSET(each, &allowed)) core = each;
  if (core < 0) return fail(ErrorCode::kIo, std::string("cannot tell which cores this process may use: ") + std::strerror(errno));
  const pid_t parent = getpid();
  const pid_t pid = fork();
  if (pid < 0) return fail(ErrorCode::kIo, std::string("cannot start a busy neighbour: ") + std::strerror(errno));
  if (pid == 0) {  // other threads may have held any lock: system calls only
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    cpu_set_t own;
    CPU_ZERO(&own);
    CPU_SET(core, &own);
    if (sched_setaffinity(0, sizeof own, &own) != 0 || getppid() != parent) _exit(1);
    for (volatile unsigned long long turns = 0;;) turns = turns + 1;
  }
  return BusyNeighbour(pid, core);
}

BusyNeighbour::BusyNeighbour(BusyNeighbour&& other) noexcept : pid_(std::exchange(other.pid_, 0)), core_(other.core_) {}

BusyNeighbour::~BusyNeighbour() {
  if (pid_ == 0) return;
  kill(pid_, SIGKILL);
  while (waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
  }
}

}  // namespace baton
