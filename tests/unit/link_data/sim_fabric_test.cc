// SPDX-License-Identifier: Apache-2.0
// The simulated data plane's faults, and what the shipped rules make of them.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <memory>

#include "runtime/link/sim_data_plane.h"
#include "tests/support/data_plane_rig.h"

namespace baton::test {
namespace {

constexpr std::uint64_t kBlock = 4096;
constexpr std::size_t kBlocks = 16;

struct World {
  explicit World(std::uint64_t seed, SimFabricOptions options = {}) : heap(seed), fabric(heap, options) {
    for (std::size_t i = 0; i < 3; ++i) make(i, 1);
  }
  ~World() {
    for (auto& plane : planes) plane.reset();
  }
  void make(std::size_t i, std::uint64_t incarnation) {
    keys[i] = {NodeId{i + 1}, Incarnation{incarnation}};
    planes[i] = fabric.make(
        keys[i], 1 << 20, [this, i](DataPlaneEvent event) { logs[i].add(std::move(event)); }, test_digest);
    fill_pattern(planes[i]->pool(), i);
  }
  void connect(std::size_t from, std::size_t to) { planes[from]->connect(keys[to], planes[to]->address()); }
  void transfer(std::uint64_t n, std::size_t from, std::size_t to, Duration limit = 1s) {
    std::vector<Place> places;
    std::vector<Piece> pieces;
    for (std::uint32_t i = 0; i < kBlocks; ++i) {
      places.push_back({(n % 16) * kBlocks * kBlock + i * kBlock, kBlock, i});
      pieces.push_back({i * kBlock, kBlock, i, 1});
    }
    planes[to]->open(transfer_id(n), keys[from], places, limit);
    planes[from]->push(n, keys[to], transfer_id(n), pieces);
  }
  std::string closed(std::size_t i, std::uint64_t n) {
    const auto reasons = logs[i].closed(transfer_id(n));
    return reasons.size() == 1 ? reasons[0] : std::to_string(reasons.size()) + " times";
  }
  void run(Duration time) { heap.run_until(heap.now() + time); }

  EventHeap heap;
  SimFabric fabric;
  PeerKey keys[3];
  EventLog logs[3];
  std::unique_ptr<SimDataPlane> planes[3];
};

TEST(SimFabric, PiecesArriveInAnyOrder) {
  World world(3);
  world.connect(0, 1);
  world.transfer(1, 0, 1);
  world.run(1s);
  EXPECT_EQ(world.closed(1, 1), "complete");
  const auto arrived = world.logs[1].arrived(transfer_id(1));
  EXPECT_FALSE(std::is_sorted(arrived.begin(), arrived.end(),
                              [](const auto& a, const auto& b) { return a.first_place < b.first_place; }));
}

TEST(SimFabric, ALostTailIsEndedByTheTimeLimitAndTheTearDown) {
  World world(1);
  world.connect(0, 1);
  world.fabric.set_faults({.tail_lost = 1'000'000});
  world.transfer(1, 0, 1, 50ms);
  world.run(240ms);
  EXPECT_EQ(world.closed(1, 1), "0 times");  // in quarantine: posted receives, connection not torn down yet
  EXPECT_GT(world.planes[1]->stats().quarantined_places, 0u);
  world.run(20ms);
  EXPECT_EQ(world.closed(1, 1), "deadline");
  EXPECT_EQ(world.planes[1]->stats().torn_down, 1u);
  EXPECT_EQ(world.logs[0].done(1).size(), 1u);
  EXPECT_FALSE(world.logs[0].done(1)[0].ok);
  // Both ends have rebuilt.
  world.fabric.set_faults({});
  world.transfer(2, 0, 1);
  world.run(1s);
  EXPECT_EQ(world.closed(1, 2), "complete");
}

TEST(SimFabric, ALostCompletionIsRescuedByTheTimeLimit) {
  World world(1);
  world.connect(0, 1);
  world.fabric.set_faults({.completion_lost = 1'000'000});
  world.transfer(1, 0, 1, 50ms);
  world.run(2s);
  EXPECT_EQ(world.closed(1, 1), "deadline");
  EXPECT_EQ(world.logs[0].done(1).size(), 1u);
  EXPECT_EQ(world.planes[1]->stats().posted_receives, 0u);
}

TEST(SimFabric, LateBytesLandBeforeTransferClosedOnly) {
  SimFabricOptions options;
  options.late_by = 100ms;  // within the grace
  World world(1, options);
  world.connect(0, 1);
  world.run(10ms);
  world.fabric.set_faults({.late = 1'000'000});
  world.transfer(1, 0, 1);
  world.run(5ms);
  world.planes[1]->close(transfer_id(1));
  world.run(200ms);
  EXPECT_EQ(world.closed(1, 1), "closed");
  EXPECT_GT(world.fabric.late_writes(), 0u);  // the window was real
  EXPECT_EQ(world.planes[1]->stats().torn_down, 0u);
  EXPECT_TRUE(world.logs[1].arrived(transfer_id(1)).empty());
}

TEST(SimFabric, BytesThatWouldBeTooLateNeverLand) {
  SimFabricOptions options;
  options.late_by = 10s;
  World world(1, options);
  world.connect(0, 1);
  world.run(10ms);
  world.fabric.set_faults({.late = 1'000'000});
  world.transfer(1, 0, 1);
  world.run(5ms);
  world.planes[1]->close(transfer_id(1));
  world.run(1s);
  EXPECT_EQ(world.closed(1, 1), "closed");
  const std::vector<std::byte> before(world.planes[1]->pool().begin(), world.planes[1]->pool().end());
  world.run(20s);
  EXPECT_TRUE(std::ranges::equal(before, world.planes[1]->pool()));
}

TEST(SimFabric, AFlippedBitShowsInTheDigest) {
  World world(1);
  world.connect(0, 1);
  world.fabric.set_faults({.bit_flipped = 1'000'000});
  world.transfer(1, 0, 1);
  world.run(1s);
  EXPECT_EQ(world.closed(1, 1), "complete");
  for (const PieceArrived& piece : world.logs[1].arrived(transfer_id(1)))
    EXPECT_NE(piece.digests[0], test_digest(world.planes[0]->pool().subspan(piece.first_place * kBlock, kBlock), piece.first_place));
}

TEST(SimFabric, ARefusedPieceFailsThePushAndNothingElse) {
  World world(1);
  world.connect(0, 1);
  world.fabric.set_faults({.refused = 1'000'000});
  world.transfer(1, 0, 1, 200ms);
  world.run(100ms);
  ASSERT_EQ(world.logs[0].done(1).size(), 1u);
  EXPECT_EQ(world.logs[0].done(1)[0].reason, "refused by the receiver");
  world.run(1s);
  EXPECT_EQ(world.closed(1, 1), "deadline");
}

TEST(SimFabric, AKilledSenderClosesItsTransfersSoon) {
  World world(1);
  world.connect(0, 1);
  world.connect(2, 1);
  world.run(10ms);
  world.transfer(1, 0, 1, 60s);
  world.transfer(2, 2, 1, 60s);
  world.run(100us);
  world.fabric.kill(world.keys[0]);
  world.run(1s);
  EXPECT_TRUE(world.closed(1, 1).starts_with("connection lost")) << world.closed(1, 1);
  EXPECT_EQ(world.closed(1, 2), "complete");
  EXPECT_FALSE(world.logs[1].failed(world.keys[0]).empty());
  EXPECT_EQ(world.logs[0].done_count(), 0u);  // the dead hear nothing
}

TEST(SimFabric, AKilledReceiverFailsPushesAndItsNextLifeIsReachable) {
  World world(1);
  world.connect(0, 1);
  world.run(10ms);
  world.transfer(1, 0, 1, 60s);
  world.fabric.kill(world.keys[1]);
  world.run(1s);
  ASSERT_EQ(world.logs[0].done(1).size(), 1u);
  EXPECT_FALSE(world.logs[0].done(1)[0].ok);
  world.make(1, 2);
  world.connect(0, 1);
  world.transfer(2, 0, 1);
  world.run(1s);
  EXPECT_EQ(world.closed(1, 2), "complete");
}

TEST(SimFabric, APausedSenderRunsIntoTheTimeLimitAndLandsNothingWhenResumed) {
  World world(1);
  world.connect(0, 1);
  world.run(10ms);
  world.transfer(1, 0, 1, 100ms);
  world.run(60us);
  world.fabric.pause(world.keys[0]);
  world.run(1s);
  EXPECT_EQ(world.closed(1, 1), "deadline");
  std::ranges::fill(world.planes[1]->pool(), std::byte{0x5a});
  world.fabric.resume(world.keys[0]);
  world.run(1s);
  EXPECT_TRUE(std::ranges::all_of(world.planes[1]->pool(), [](std::byte b) { return b == std::byte{0x5a}; }));
  EXPECT_EQ(world.logs[0].done(1).size(), 1u);
  world.transfer(2, 0, 1);
  world.run(1s);
  EXPECT_EQ(world.closed(1, 2), "complete");
}

TEST(SimFabric, AShortPartitionDelaysALongOneBreaks) {
  World world(1);
  world.connect(0, 1);
  world.run(10ms);
  world.transfer(1, 0, 1, 60s);
  world.fabric.partition(world.keys[0], world.keys[1]);
  world.run(1s);
  EXPECT_EQ(world.closed(1, 1), "0 times");
  world.fabric.heal(world.keys[0], world.keys[1]);
  world.run(1s);
  EXPECT_EQ(world.closed(1, 1), "complete");
  world.transfer(2, 0, 1, 60s);
  world.fabric.partition(world.keys[1], world.keys[0]);
  world.run(5s);
  EXPECT_TRUE(world.closed(1, 2).starts_with("connection lost")) << world.closed(1, 2);
  ASSERT_EQ(world.logs[0].done(2).size(), 1u);
  world.fabric.heal(world.keys[0], world.keys[1]);
  world.run(1s);
  world.transfer(3, 0, 1);
  world.run(1s);
  EXPECT_EQ(world.closed(1, 3), "complete");
}

TEST(SimFabric, ATearDownSparesTransfersThatLostNothing) {
  World world(1);
  world.connect(0, 1);
  world.run(10ms);
  world.fabric.set_faults({.tail_lost = 1'000'000});
  world.transfer(1, 0, 1, 50ms);
  world.run(20ms);
  world.fabric.set_faults({});
  // Open, but its pieces wait behind the stuck ones until the connection is torn down and made again.
  world.transfer(2, 0, 1, 60s);
  world.run(2s);
  EXPECT_EQ(world.closed(1, 1), "deadline");
  EXPECT_EQ(world.closed(1, 2), "complete");
  EXPECT_TRUE(world.logs[0].done(2)[0].ok);
}

// Everything at once, many seeds: every open and push ends exactly once, and nothing is left posted.
TEST(SimFabric, EveryTransferEndsOnceUnderAllFaults) {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    SimFabricOptions options;
    options.faults = {20'000, 5'000, 5'000, 20'000, 20'000};
    World world(seed, options);
    for (std::size_t a = 0; a < 3; ++a)
      for (std::size_t b = 0; b < 3; ++b)
        if (a != b) world.connect(a, b);
    Random random(seed);
    struct Made {
      std::uint64_t n;
      std::size_t from, to;
    };
    std::vector<Made> made;
    for (std::uint64_t n = 1; n <= 60; ++n) {
      const std::size_t from = random.below(3), to = (from + 1 + random.below(2)) % 3;
      world.transfer(n, from, to, 300ms);
      made.push_back({n, from, to});
      world.run(Duration{static_cast<std::int64_t>(random.below(20'000'000))});
      if (random.chance(1, 8)) world.planes[to]->close(transfer_id(n));
      if (random.chance(1, 8)) world.planes[from]->abandon(transfer_id(n));
      if (random.chance(1, 12)) world.fabric.pause(world.keys[from]);
      if (random.chance(1, 4)) world.fabric.resume(world.keys[random.below(3)]);
      if (random.chance(1, 20)) world.fabric.partition(world.keys[0], world.keys[1 + random.below(2)]);
      if (random.chance(1, 6)) world.fabric.heal(world.keys[0], world.keys[1 + random.below(2)]);
    }
    world.fabric.set_faults({});
    for (std::size_t i = 0; i < 3; ++i) world.fabric.resume(world.keys[i]);
    world.fabric.heal(world.keys[0], world.keys[1]);
    world.fabric.heal(world.keys[0], world.keys[2]);
    world.run(20s);
    for (const Made& one : made) {
      EXPECT_EQ(world.logs[one.to].closed(transfer_id(one.n)).size(), 1u) << "seed " << seed << " transfer " << one.n;
      EXPECT_EQ(world.logs[one.from].done(one.n).size(), 1u) << "seed " << seed << " transfer " << one.n;
    }
    for (std::size_t i = 0; i < 3; ++i) {
      const PlaneCore::Stats stats = world.planes[i]->stats();
      EXPECT_EQ(stats.open_transfers + stats.posted_receives + stats.posted_sends, 0u) << "seed " << seed;
    }
    EXPECT_EQ(world.fabric.messages(), 0u) << "seed " << seed;
  }
}

TEST(SimFabric, ASeedDecidesEverything) {
  const auto play = [](std::uint64_t seed) {
    SimFabricOptions options;
    options.faults = {20'000, 5'000, 5'000, 20'000, 20'000};
    World world(seed, options);
    world.connect(0, 1);
    world.connect(1, 2);
    for (std::uint64_t n = 1; n <= 20; ++n) {
      world.transfer(n, n % 2, n % 2 + 1, 100ms);
      world.run(3ms);
    }
    world.run(5s);
    return world.heap.hash();
  };
  EXPECT_EQ(play(5), play(5));
  EXPECT_NE(play(5), play(6));
}

}  // namespace
}  // namespace baton::test
