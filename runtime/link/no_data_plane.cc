// SPDX-License-Identifier: Apache-2.0
#include "runtime/link/no_data_plane.h"

#include <sys/mman.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace baton {
namespace {

constexpr const char* kAlone = "this worker is alone in its cluster and has no data plane";

}  // namespace

Result<std::unique_ptr<NoDataPlane>> NoDataPlane::create(std::uint64_t pool_bytes, DataPlaneSink sink) {
  if (pool_bytes == 0) return fail(ErrorCode::kInvalidArgument, "a pool of 0 bytes");
  void* pool = mmap(nullptr, pool_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (pool == MAP_FAILED) return fail(ErrorCode::kResourceExhausted, "cannot allocate the pool of " + std::to_string(pool_bytes) + " bytes: " + std::strerror(errno));
  madvise(pool, pool_bytes, MADV_HUGEPAGE);  // a wish
  return std::unique_ptr<NoDataPlane>(new NoDataPlane({static_cast<std::byte*>(pool), pool_bytes}, std::move(sink)));
}

NoDataPlane::~NoDataPlane() { munmap(pool_.data(), pool_.size()); }

void NoDataPlane::open(const TransferId& transfer, const PeerKey&, std::vector<Place>, Duration) { sink_(TransferClosed{transfer, kAlone}); }

void NoDataPlane::push(std::uint64_t ticket, const PeerKey&, const TransferId& transfer, std::vector<Piece>) {
  sink_(PushDone{ticket, transfer, false, kAlone});
}

}  // namespace baton
