// SPDX-License-Identifier: Apache-2.0
#include "launcher/shared_memory.h"

#include <gtest/gtest.h>

namespace baton {
namespace {

constexpr std::uint64_t kMiB = std::uint64_t{1} << 20;

Topology two_workers() {
  Topology topology;
  topology.kv_cache.memory = 512 * kMiB;
  topology.transport.order = {TransportOption::kShm, TransportOption::kTcp};
  PoolSection prefill, decode;
  prefill.role = PoolRole::kPrefill;
  decode.role = PoolRole::kDecode;
  topology.pools = {prefill, decode};
  return topology;
}

TEST(SharedMemory, IsLeftOutWhereItIsTooSmall) {
  const Topology topology = two_workers();
  EXPECT_EQ(shared_memory_wanted(topology), 1056 * kMiB);
  EXPECT_FALSE(why_no_shared_memory(topology, 1056 * kMiB));
  const auto why = why_no_shared_memory(topology, 64 * kMiB);  // a container's default
  ASSERT_TRUE(why);
  EXPECT_EQ(*why, "/dev/shm has 64MiB, shared memory would want 1.03GiB: enlarge it (docker run --shm-size), or lower kv_cache.memory");
}

TEST(SharedMemory, IsNotMissedByThoseWhoDoNotListIt) {
  Topology topology = two_workers();
  topology.transport.order = {TransportOption::kTcp};
  EXPECT_FALSE(why_no_shared_memory(topology, 0));
}

}  // namespace
}  // namespace baton
