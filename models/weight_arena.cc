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

// At the very end of a shared file, so that the weights begin at a huge page's boundary.
struct Trailer {
  std::uint64_t magic = 0;
  std::uint64_t key = 0;
  std::uint64_t bytes = 0;
};

#if !defined(MADV_COLLAPSE)
#define MADV_COLLAPSE 25  // Linux 6.1; older kernels refuse it, and pages stay small
#endif

std::size_t whole_huge_pages(std::size_t bytes) { return (bytes + kHugePage - 1) / kHugePage * kHugePage; }

// Maps at a huge page's boundary, without which the kernel cannot use one. Null where it cannot be mapped.
std::byte* map_aligned(int file, std::size_t bytes, int protection) {
  const std::size_t room = bytes + kHugePage;
  void* reserved = ::mmap(nullptr, room, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (reserved == MAP_FAILED) return nullptr;
  auto* begin = static_cast<std::byte*>(reserved);
  const std::size_t before = (kHugePage - reinterpret_cast<std::uintptr_t>(begin) % kHugePage) % kHugePage;
  const int flags = MAP_FIXED | (file >= 0 ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS);
  void* address = ::mmap(begin + before, bytes, protection, flags, file, 0);
  if (before > 0) ::munmap(begin, before);
  ::munmap(begin + before + bytes, room - before - bytes);
  if (address == MAP_FAILED) return nullptr;
  (void)::madvise(address, bytes, MADV_HUGEPAGE);  // faster where the kernel has them, right without
  return static_cast<std::byte*>(address);
}

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

// Whether it is a memory file to begin with, and one whose maker allows seals.
bool sealable(int file) {
  const int seals = ::fcntl(file, F_GET_SEALS);
  return seals >= 0 && (seals & F_SEAL_SEAL) == 0;
}

}  // namespace

WeightArena::~WeightArena() {
  if (mapping_ != nullptr) ::munmap(mapping_, mapped_bytes_);
}

Result<std::span<const std::byte>> WeightArena::obtain(std::uint64_t key, std::size_t bytes,
                                                       const std::function<void(std::span<std::byte>)>& fill) {
  CHECK(mapping_ == nullptr, "an arena is filled once");
  if (bytes == 0) return std::span<const std::byte>{};
  if (shared_ && obtain_shared(key, bytes, fill)) return std::span<const std::byte>(mapping_, bytes);
  return obtain_private(bytes, fill);
}

Result<std::span<const std::byte>> WeightArena::obtain_private(std::size_t bytes, const std::function<void(std::span<std::byte>)>& fill) {
  mapping_ = map_aligned(-1, whole_huge_pages(bytes), PROT_READ | PROT_WRITE);
  if (mapping_ == nullptr)
    return fail(ErrorCode::kResourceExhausted, "no memory for " + std::to_string(bytes >> 20) + " MiB of weights: " + std::strerror(errno));
  mapped_bytes_ = whole_huge_pages(bytes);
  fill({mapping_, bytes});
  (void)::mprotect(mapping_, mapped_bytes_, PROT_READ);  // only guards against our own mistakes
  return std::span<const std::byte>(mapping_, bytes);
}

bool WeightArena::obtain_shared(std::uint64_t key, std::size_t bytes, const std::function<void(std::span<std::byte>)>& fill) {
  const LockedFile own(*shared_);
  if (!own.locked()) return false;
  if (!sealed(own.file()) && !fill_shared(own.file(), key, bytes, fill)) return false;
  struct stat status {};
  const std::size_t total = whole_huge_pages(bytes + sizeof(Trailer));
  if (::fstat(own.file(), &status) != 0 || static_cast<std::size_t>(status.st_size) != total) return false;
  std::byte* address = map_aligned(own.file(), total, PROT_READ);
  if (address == nullptr) return false;
  Trailer trailer;
  std::memcpy(&trailer, address + total - sizeof trailer, sizeof trailer);
  if (trailer.magic != kMagic || trailer.key != key || trailer.bytes != bytes) {
    ::munmap(address, total);
    return false;
  }
  (void)::madvise(address, total, MADV_COLLAPSE);  // maps the huge pages that fill_shared() made
  mapping_ = address;
  mapped_bytes_ = total;
  is_shared_ = true;
  return true;
}

// The seal is what says that the content is whole.
bool WeightArena::fill_shared(int file, std::uint64_t key, std::size_t bytes, const std::function<void(std::span<std::byte>)>& fill) {
  const std::size_t total = whole_huge_pages(bytes + sizeof(Trailer));
  if (!sealable(file) || ::ftruncate(file, static_cast<off_t>(total)) != 0) return false;
  std::byte* begin = map_aligned(file, total, PROT_READ | PROT_WRITE);
  if (begin == nullptr) return false;
  // Takes the memory now: where there is too little, this fails instead of a later write to the mapping killing the process.
  if (::madvise(begin, total, MADV_POPULATE_WRITE) != 0) {
    ::munmap(begin, total);
    [[maybe_unused]] const int given_back = ::ftruncate(file, 0);  // what it did take: the private copy needs it
    return false;
  }
  // Files in memory get huge pages by themselves only where the administrator says so; asked for like this, always. In small
  // pages decode at batch 1 was measured 1.5 times slower.
  (void)::madvise(begin, total, MADV_COLLAPSE);
  fill({begin, bytes});
  const Trailer trailer{kMagic, key, bytes};
  std::memcpy(begin + total - sizeof trailer, &trailer, sizeof trailer);
  ::munmap(begin, total);
  return ::fcntl(file, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW) == 0;
}

}  // namespace baton
