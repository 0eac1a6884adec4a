// SPDX-License-Identifier: Apache-2.0
// SharedMemoryDirectory: a directory of this process in /dev/shm for the segments that UCX creates there. UCX gives a
// segment a name, fills it (a second for a few GiB) and only then removes the name; a process killed in between leaves
// memory that nothing ever frees. So each process works in a directory that it holds a lock on, and every newcomer of the
// same user removes the directories whose lock is free: their owners are dead. The kernel drops the lock with the process,
// in any container. Made and destroyed by the owner of UCX; any thread.
#pragma once

#include <string>

#include "runtime/base/result.h"

namespace baton {

class SharedMemoryDirectory {
 public:
  static Result<SharedMemoryDirectory> create(const std::string& base = "/dev/shm");
  SharedMemoryDirectory(SharedMemoryDirectory&& other) noexcept;
  SharedMemoryDirectory& operator=(SharedMemoryDirectory&&) = delete;
  ~SharedMemoryDirectory();

  const std::string& path() const { return path_; }

 private:
  SharedMemoryDirectory(std::string path, int lock_fd) : path_(std::move(path)), lock_fd_(lock_fd) {}

  std::string path_;
  int lock_fd_ = -1;
};

}  // namespace baton
