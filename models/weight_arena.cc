// SPDX-License-Identifier: Apache-2.0
#include "models/weight_arena.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <string>
#include <thread>

#include "runtime/base/check.h"

namespace baton {
namespace {

constexpr std::size_t kHugePage = std::size_t{2} << 20;
constexpr std::uint64_t kMagic = 0x3165727574616562u;

// At the start of a shared file; the weights begin a page further on.
struct Header {
  std::uint64_t magic = 0;
  std::uint64_t key = 0;
  std::uint64_t bytes = 0;
};
constexpr std::size_t kHeaderBytes = 4096;

std::size_t whole_huge_pages(std::size_t bytes) { return (bytes + kHugePage - 1) / kHugePage * kHugePage; }

// The same file under a description of our own, so that its lock is ours alone. A mapping keeps the description, and with it
// the lock, so unlocking is not left to close().
class LockedFile {
 public:
  explicit LockedFile(int inherited) : file_(::open(("/proc/self/fd/" + std::to_string(inherited)).c_str(), O_RDWR | O_CLOEXEC)) {
    const auto deadline = std::chrono::steady_clock::now() + kLockPatience;
    while (file_ >= 0 && !(locked_ = ::flock(file_, LOCK_EX | LOCK_NB) == 0) && std::chrono::steady_clock::now() < deadline)
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  ~LockedFile() {
    if (locked_) ::flock(file_, LOCK_UN);
    if (file_ >= 0) ::close(file_);
  }
  LockedFile(const LockedFile&) = delete;
  LockedFile& operator=(const LockedFile&) = delete;
  int file() const { return file_; }
  bool locked() const { return locked_; }

 private:
  // Whoever fills needs a second or so for a gigabyte; one that was stopped must not hold up the others for ever.
  static constexpr std::chrono::seconds kLockPatience{30};
  const int file_;
  bool locked_ = false;
};

bool sealed(int file) {
  const int seals = ::fcntl(file, F_GET_SEALS);
  return seals >= 0 && (seals & F_SEAL_WRITE) != 0;
}

}  // namespace

WeightArena::~WeightArena() {
  if (mapping_ != nullptr) ::munmap(mapping_, mapped_bytes_);
}

Result<std::span<const std::byte>> WeightArena::obtain(std::uint64_t key, std::size_t bytes,
                                                       const std::function<void(std::span<std::byte>)>& fill) {
  CHECK(mapping_ == nullptr, "an arena is filled once");
  if (bytes == 0) return std::span<const std::byte>{};
  if (shared_ && obtain_shared(key, bytes, fill)) return std::span<const std::byte>(mapping_ + kHeaderBytes, bytes);
  return obtain_private(bytes, fill);
}

Result<std::span<const std::byte>> WeightArena::obtain_private(std::size_t bytes, const std::function<void(std::span<std::byte>)>& fill) {
  // One huge page more than needed, so that the used part can begin at a boundary.
  const std::size_t room = whole_huge_pages(bytes) + kHugePage;
  void* address = ::mmap(nullptr, room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (address == MAP_FAILED)
    return fail(ErrorCode::kResourceExhausted, "no memory for " + std::to_string(bytes >> 20) + " MiB of weights: " + std::strerror(errno));
  mapping_ = static_cast<std::byte*>(address);
  mapped_bytes_ = room;
  std::byte* begin = mapping_ + (kHugePage - reinterpret_cast<std::uintptr_t>(mapping_) % kHugePage) % kHugePage;
  (void)::madvise(begin, whole_huge_pages(bytes), MADV_HUGEPAGE);  // faster where the kernel has them, right without
  fill({begin, bytes});
  (void)::mprotect(mapping_, room, PROT_READ);  // only guards against our own mistakes
  return std::span<const std::byte>(begin, bytes);
}

bool WeightArena::obtain_shared(std::uint64_t key, std::size_t bytes, const std::function<void(std::span<std::byte>)>& fill) {
  const LockedFile own(*shared_);
  if (!own.locked()) return false;
  if (!sealed(own.file()) && !fill_shared(own.file(), key, bytes, fill)) return false;
  struct stat status {};
  const std::size_t total = whole_huge_pages(kHeaderBytes + bytes);
  if (::fstat(own.file(), &status) != 0 || static_cast<std::size_t>(status.st_size) != total) return false;
  void* address = ::mmap(nullptr, total, PROT_READ, MAP_SHARED, own.file(), 0);
  if (address == MAP_FAILED) return false;
  (void)::madvise(address, total, MADV_HUGEPAGE);
  Header header;
  std::memcpy(&header, address, sizeof header);
  if (header.magic != kMagic || header.key != key || header.bytes != bytes) {
    ::munmap(address, total);
    return false;
  }
  mapping_ = static_cast<std::byte*>(address);
  mapped_bytes_ = total;
  is_shared_ = true;
  return true;
}

// The seal is what says that the content is whole.
bool WeightArena::fill_shared(int file, std::uint64_t key, std::size_t bytes, const std::function<void(std::span<std::byte>)>& fill) {
  const std::size_t total = whole_huge_pages(kHeaderBytes + bytes);
  if (::ftruncate(file, static_cast<off_t>(total)) != 0) return false;
  // Takes the memory now: where there is too little, this fails instead of a later write to the mapping killing the process.
  if (::fallocate(file, 0, 0, static_cast<off_t>(total)) != 0) return false;
  void* address = ::mmap(nullptr, total, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  if (address == MAP_FAILED) return false;
  auto* begin = static_cast<std::byte*>(address);
  fill({begin + kHeaderBytes, bytes});
  const Header header{kMagic, key, bytes};
  std::memcpy(begin, &header, sizeof header);
  ::munmap(address, total);
  return ::fcntl(file, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW) == 0;
}

}  // namespace baton
