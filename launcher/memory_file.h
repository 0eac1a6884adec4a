// SPDX-License-Identifier: Apache-2.0
// MemoryFile: an anonymous file in memory that may be sealed, for processes that inherit its descriptor. Its memory is free
// again when the last process that has it, or a mapping of it, is gone: nothing is left behind, however they end.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

namespace baton {

class MemoryFile {
 public:
  MemoryFile() : descriptor_(::memfd_create("baton-weights", MFD_CLOEXEC | MFD_ALLOW_SEALING)) {}
  ~MemoryFile() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;
  // -1 where the kernel gives none: then every worker keeps its own copy.
  int descriptor() const { return descriptor_; }

 private:
  const int descriptor_;
};

}  // namespace baton
