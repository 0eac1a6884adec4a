// SPDX-License-Identifier: Apache-2.0
// BusyNeighbour: a process that does nothing but keep one core busy while this object lives, as other users of a shared
// machine do. It is pinned to that core, and the kernel ends it with us.
#pragma once

#include <sys/types.h>

#include "runtime/base/result.h"

namespace baton {

class BusyNeighbour {
 public:
  // On the last core that this process may use.
  static Result<BusyNeighbour> start();
  BusyNeighbour(BusyNeighbour&& other) noexcept;
  BusyNeighbour& operator=(BusyNeighbour&&) = delete;
  ~BusyNeighbour();  // ends and reaps the process
  int core() const { return core_; }

 private:
  BusyNeighbour(pid_t pid, int core) : pid_(pid), core_(core) {}
  pid_t pid_;
  int core_;
};

}  // namespace baton
