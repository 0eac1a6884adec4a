// SPDX-License-Identifier: Apache-2.0
// MappedFile: a regular file mapped read-only, for as long as the object lives. Any thread may read the bytes. The file must
// not be truncated meanwhile (reading behind its new end would raise SIGBUS): model files are replaced by renaming.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>

#include "runtime/base/result.h"

namespace baton {

class MappedFile {
 public:
  static Result<std::unique_ptr<MappedFile>> open(const std::string& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  std::span<const std::byte> bytes() const { return bytes_; }
  // Drops the pages that lie wholly inside `part`; a later read maps them again.
  void release(std::span<const std::byte> part) const;

 private:
  explicit MappedFile(std::span<const std::byte> bytes) : bytes_(bytes) {}
  std::span<const std::byte> bytes_;
};

}  // namespace baton
