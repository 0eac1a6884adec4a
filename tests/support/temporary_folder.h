// SPDX-License-Identifier: Apache-2.0
// A folder of its own for a test, where this machine keeps what is temporary; gone with the object.
#pragma once

#include <stdlib.h>

#include <filesystem>
#include <string>

#include "runtime/base/check.h"

namespace baton::test {

class TemporaryFolder {
 public:
  TemporaryFolder() : path_((std::filesystem::temp_directory_path() / "baton_test_XXXXXX").string()) {
    CHECK(mkdtemp(path_.data()) != nullptr, "no temporary folder");
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace baton::test
