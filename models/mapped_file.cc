// SPDX-License-Identifier: Apache-2.0
#include "models/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace baton {
namespace {

struct Descriptor {
  int value = -1;
  ~Descriptor() {
    if (value >= 0) ::close(value);
  }
};

tl::unexpected<Error> system_failure(const std::string& path, const char* what, int error) {
  const ErrorCode code = error == ENOENT || error == ENOTDIR ? ErrorCode::kNotFound : ErrorCode::kIo;
  return fail(code, "cannot " + std::string(what) + " " + path + ": " + std::strerror(error));
}

}  // namespace

Result<std::unique_ptr<MappedFile>> MappedFile::open(const std::string& path) {
  // O_NONBLOCK: opening a FIFO by mistake must not wait for a writer.
  const Descriptor descriptor{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
  if (descriptor.value < 0) return system_failure(path, "open", errno);
  struct stat status {};
  if (::fstat(descriptor.value, &status) != 0) return system_failure(path, "examine", errno);
  if (!S_ISREG(status.st_mode)) return fail(ErrorCode::kInvalidArgument, path + " is not a regular file");
  if (status.st_size <= 0) return fail(ErrorCode::kCorrupt, path + " is empty: download it again");
  const auto size = static_cast<std::size_t>(status.st_size);
  void* address = ::mmap(nullptr, size, PROT_READ, MAP_SHARED, descriptor.value, 0);
  if (address == MAP_FAILED) return system_failure(path, "map", errno);
  return std::unique_ptr<MappedFile>(new MappedFile({static_cast<const std::byte*>(address), size}));
}

void MappedFile::release(std::span<const std::byte> part) const {
  const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  const auto begin = (reinterpret_cast<std::uintptr_t>(part.data()) + page - 1) / page * page;
  const auto end = (reinterpret_cast<std::uintptr_t>(part.data()) + part.size()) / page * page;
  if (begin < end) (void)::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
}

MappedFile::~MappedFile() { ::munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size()); }

}  // namespace baton
