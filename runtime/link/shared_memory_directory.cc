// SPDX-License-Identifier: Apache-2.0
#include "runtime/link/shared_memory_directory.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <system_error>
#include <utility>

namespace baton {
namespace {

constexpr std::string_view kPrefix = "baton-";

// The descriptor that holds the lock, or -1 if someone else does or the directory is not ours to touch.
int try_lock(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) return -1;
  struct stat found {};
  if (fstat(fd, &found) == 0 && found.st_uid == geteuid() && flock(fd, LOCK_EX | LOCK_NB) == 0) return fd;
  ::close(fd);
  return -1;
}

bool still_there(const std::string& path, int fd) {
  struct stat by_path {}, by_fd {};
  return stat(path.c_str(), &by_path) == 0 && fstat(fd, &by_fd) == 0 && by_path.st_ino == by_fd.st_ino;
}

void remove_leftovers(const std::string& base) {
  std::error_code error;
  for (std::filesystem::directory_iterator entry(base, error), end; !error && entry != end; entry.increment(error)) {
    const std::string path = entry->path().string();
    if (!entry->path().filename().string().starts_with(kPrefix)) continue;
    const int fd = try_lock(path);
    if (fd < 0) continue;
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
    ::close(fd);
  }
}

}  // namespace

Result<SharedMemoryDirectory> SharedMemoryDirectory::create(const std::string& base) {
  remove_leftovers(base);
  // A newcomer may remove the directory between its making and its locking: then another one is made.
  for (int attempt = 0; attempt < 100; ++attempt) {
    std::string path = base + "/" + std::string(kPrefix) + "XXXXXX";
    if (mkdtemp(path.data()) == nullptr) return fail(ErrorCode::kIo, "cannot make a directory in " + base);
    const int fd = try_lock(path);
    if (fd >= 0 && still_there(path, fd)) return SharedMemoryDirectory(std::move(path), fd);
    if (fd >= 0) ::close(fd);
  }
  return fail(ErrorCode::kIo, "cannot lock a directory in " + base);
}

SharedMemoryDirectory::SharedMemoryDirectory(SharedMemoryDirectory&& other) noexcept
    : path_(std::move(other.path_)), lock_fd_(std::exchange(other.lock_fd_, -1)) {}

SharedMemoryDirectory::~SharedMemoryDirectory() {
  if (lock_fd_ < 0) return;
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
  ::close(lock_fd_);
}

}  // namespace baton
