// SPDX-License-Identifier: Apache-2.0
// What every DataPlane does: the same scripts over UCX by shared memory and by TCP, over our own sockets, in process and simulated.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>

#include "tests/support/data_plane_rig.h"

// UCX forgets a small table when shared memory of a peer cannot be attached: its memory, not ours.
extern "C" const char* __lsan_default_suppressions() { return "leak:uct_mm_ep_attach_remote_seg\n"; }

namespace baton::test {
namespace {

constexpr std::byte kCanary{0xA5};
constexpr std::uint64_t kBlock = 64 << 10;

class DataPlaneConformance : public testing::TestWithParam<PlaneKind> {
 protected:
  void start(RigOptions options = {}) {
    rig_ = DataPlaneRig::make(GetParam(), options);
    for (std::size_t i = 0; i < options.planes; ++i) {
      fill_pattern(rig_->pool(i), 1000 + i);
      if (i > 0) std::ranges::fill(rig_->pool(i), kCanary);
    }
    rig_->connect(0, 1);
  }
  DataPlaneRig& rig() { return *rig_; }
  EventLog& sender() { return rig_->log(0); }
  EventLog& receiver() { return rig_->log(1); }

  std::vector<Place> blocks(std::size_t count, std::uint64_t bytes = kBlock, std::uint64_t first_offset = 0) {
    std::vector<Place> places;
    for (std::size_t i = 0; i < count; ++i) places.push_back({first_offset + i * bytes, bytes, 7 + i});
    return places;
  }
  std::vector<Piece> pieces(std::size_t count, std::uint64_t bytes = kBlock, std::uint64_t first_offset = 0) {
    std::vector<Piece> list;
    for (std::uint32_t i = 0; i < count; ++i) list.push_back({first_offset + i * bytes, bytes, i, 1});
    return list;
  }
  void open(const TransferId& id, std::vector<Place> places, Duration limit = 20s) {
    rig_->plane(1).open(id, rig_->key(0), std::move(places), limit);
  }
  void push(std::uint64_t ticket, const TransferId& id, std::vector<Piece> list) {
    rig_->plane(0).push(ticket, rig_->key(1), id, std::move(list));
  }
  bool wait_closed(const TransferId& id, std::size_t i = 1) {
    return rig_->wait([&] { return !rig_->log(i).closed(id).empty(); });
  }
  bool wait_done(std::uint64_t ticket, std::size_t i = 0) {
    return rig_->wait([&] { return !rig_->log(i).done(ticket).empty(); });
  }
  void expect_closed(const TransferId& id, const std::string& reason) {
    ASSERT_TRUE(wait_closed(id));
    EXPECT_EQ(receiver().closed(id).front(), reason);
  }
  bool untouched(std::span<const std::byte> bytes) {
    return std::all_of(bytes.begin(), bytes.end(), [](std::byte b) { return b == kCanary; });
  }
  bool same(std::uint64_t at_receiver, std::uint64_t at_sender, std::uint64_t bytes) {
    return std::memcmp(rig_->pool(1).data() + at_receiver, rig_->pool(0).data() + at_sender, bytes) == 0;
  }
  // A claim that must be refused: nothing is written, and the transfer still works afterwards.
  void expect_refused(const std::vector<Place>& places, const Piece& hostile) {
    const TransferId id = transfer_id(1);
    open(id, places);
    push(1, id, {hostile});
    ASSERT_TRUE(wait_done(1));
    rig_->pass(50ms);
    EXPECT_TRUE(untouched(rig_->pool(1)));
    EXPECT_TRUE(receiver().arrived(id).empty());
    EXPECT_TRUE(receiver().closed(id).empty());
    std::uint64_t bytes = 0;
    std::vector<Piece> honest;
    for (std::uint32_t i = 0; i < places.size(); bytes += places[i++].bytes) honest.push_back({bytes, places[i].bytes, i, 1});
    push(2, id, honest);
    expect_closed(id, "complete");
    EXPECT_TRUE(same(places[0].offset, 0, places[0].bytes));
  }

  std::unique_ptr<DataPlaneRig> rig_;
};

INSTANTIATE_TEST_SUITE_P(All, DataPlaneConformance,
                         testing::Values(PlaneKind::kUcxShm, PlaneKind::kUcxTcp, PlaneKind::kTcp, PlaneKind::kInproc, PlaneKind::kSim),
                         [](const auto& parameter) { return name_of(parameter.param); });

TEST_P(DataPlaneConformance, OnePieceArrivesAndCompletes) {
  start();
  const TransferId id = transfer_id(1);
  open(id, {{kBlock * 3, kBlock, 42}});
  push(1, id, {{kBlock * 5, kBlock, 0, 1}});
  expect_closed(id, "complete");
  ASSERT_TRUE(wait_done(1));
  EXPECT_TRUE(sender().done(1).front().ok) << sender().done(1).front().reason;
  EXPECT_TRUE(same(kBlock * 3, kBlock * 5, kBlock));
  const auto arrived = receiver().arrived(id);
  ASSERT_EQ(arrived.size(), 1u);
  EXPECT_EQ(arrived[0].from, rig().key(0));
  EXPECT_EQ(arrived[0].digests, std::vector{test_digest(rig().pool(0).subspan(kBlock * 5, kBlock), 42)});
  EXPECT_TRUE(untouched(rig().pool(1).first(kBlock * 3)));
  EXPECT_TRUE(untouched(rig().pool(1).subspan(kBlock * 4)));
}

TEST_P(DataPlaneConformance, AThousandScatteredBlocksArriveByteForByte) {
  constexpr std::size_t kBlocks = 1024;
  start({.pool_bytes = 2 * kBlocks * kBlock});
  std::vector<Place> places;
  std::vector<Piece> list;
  for (std::uint32_t i = 0; i < kBlocks; ++i) {  // every second block, in different orders on both sides
    places.push_back({((i * 37) % kBlocks) * 2 * kBlock, kBlock, i});
    list.push_back({(((i * 101) % kBlocks) * 2 + 1) * kBlock, kBlock, i, 1});
  }
  const TransferId id = transfer_id(1);
  open(id, places);
  push(1, id, list);
  expect_closed(id, "complete");
  ASSERT_TRUE(wait_done(1));
  EXPECT_TRUE(sender().done(1).front().ok);
  std::map<std::uint32_t, std::uint64_t> digests;
  for (const PieceArrived& piece : receiver().arrived(id)) digests[piece.first_place] = piece.digests.at(0);
  ASSERT_EQ(digests.size(), kBlocks);
  for (std::uint32_t i = 0; i < kBlocks; ++i) {
    EXPECT_TRUE(same(places[i].offset, list[i].source_offset, kBlock)) << i;
    EXPECT_EQ(digests[i], test_digest(rig().pool(0).subspan(list[i].source_offset, kBlock), i)) << i;
    EXPECT_TRUE(untouched(rig().pool(1).subspan(places[i].offset + kBlock, kBlock))) << i;
  }
}

TEST_P(DataPlaneConformance, MergedNeighboursArriveAsOnePiece) {
  start();
  const TransferId id = transfer_id(1);
  std::vector<Place> places = blocks(24);
  std::swap(places[8], places[16]);  // runs: 0-7, then 8, 9-15, 16, 17-23
  open(id, places);
  push(1, id,
       {{0, 8 * kBlock, 0, 8}, {8 * kBlock, kBlock, 8, 1}, {9 * kBlock, 7 * kBlock, 9, 7}, {16 * kBlock, kBlock, 16, 1}, {17 * kBlock, 7 * kBlock, 17, 7}});
  expect_closed(id, "complete");
  EXPECT_EQ(receiver().arrived(id).size(), 5u);
  EXPECT_EQ(receiver().places_arrived(id), 24u);
  for (std::size_t i = 0; i < places.size(); ++i) EXPECT_TRUE(same(places[i].offset, i * kBlock, kBlock)) << i;
  for (const PieceArrived& piece : receiver().arrived(id))
    for (std::size_t i = 0; i < piece.digests.size(); ++i) {
      const std::size_t place = piece.first_place + i;
      EXPECT_EQ(piece.digests[i], test_digest(rig().pool(0).subspan(place * kBlock, kBlock), places[place].tag));
    }
}

TEST_P(DataPlaneConformance, EverySizeArrivesAtAnyAlignment) {
  start({.pool_bytes = 32 << 20});
  const std::uint64_t sizes[] = {1, 7, 100, 1000, 4095, 8192, 8193, 20001, 65536, 100003, 262144, 368640, 1048577, 6 << 20};
  std::vector<Place> places;
  std::vector<Piece> list;
  std::uint64_t to = 3, from = 1;
  for (std::uint32_t i = 0; i < std::size(sizes); ++i) {
    places.push_back({to, sizes[i], i});
    list.push_back({from, sizes[i], i, 1});
    to += sizes[i] + 5;
    from += sizes[i] + 11;
  }
  const TransferId id = transfer_id(1);
  open(id, places);
  push(1, id, list);
  expect_closed(id, "complete");
  for (std::size_t i = 0; i < places.size(); ++i) {
    EXPECT_TRUE(same(places[i].offset, list[i].source_offset, sizes[i])) << sizes[i];
    EXPECT_TRUE(untouched(rig().pool(1).subspan(places[i].offset + sizes[i], 5))) << sizes[i];
  }
}

TEST_P(DataPlaneConformance, APieceOfAnUnknownTransferWritesNothing) {
  start();
  for (const std::uint64_t bytes : {std::uint64_t{100}, kBlock, std::uint64_t{2} << 20}) {
    push(bytes, transfer_id(99), {{0, bytes, 0, 1}});
    ASSERT_TRUE(wait_done(bytes));
  }
  EXPECT_TRUE(rig().wait([&] { return rig().stats(1).refused_pieces == 3; }));
  EXPECT_TRUE(untouched(rig().pool(1)));
}

TEST_P(DataPlaneConformance, ALargeRefusedPieceFailsItsPush) {
  start();
  push(1, transfer_id(99), {{0, 4 << 20, 0, 1}});
  ASSERT_TRUE(wait_done(1));
  EXPECT_FALSE(sender().done(1).front().ok);
  EXPECT_EQ(sender().done(1).front().reason, "refused by the receiver");
}

TEST_P(DataPlaneConformance, APieceFromAnotherPeerWritesNothing) {
  start({.planes = 3});
  std::ranges::fill(rig().pool(1), kCanary);
  const TransferId id = transfer_id(1);
  open(id, blocks(4));
  rig().connect(2, 1);
  rig().plane(2).push(1, rig().key(1), id, pieces(4));
  ASSERT_TRUE(wait_done(1, 2));
  ASSERT_TRUE(rig().wait([&] { return rig().stats(1).refused_pieces >= 1; }));
  rig().pass(50ms);
  EXPECT_TRUE(untouched(rig().pool(1)));
  push(1, id, pieces(4));
  expect_closed(id, "complete");
}

TEST_P(DataPlaneConformance, APlaceOutOfRangeWritesNothing) {
  start();
  expect_refused(blocks(4), {0, kBlock, 4, 1});
}
TEST_P(DataPlaneConformance, ARangePastTheEndWritesNothing) {
  start();
  expect_refused(blocks(4), {0, 3 * kBlock, 2, 3});
}
TEST_P(DataPlaneConformance, ARangeThatWrapsAroundWritesNothing) {
  start();
  expect_refused(blocks(4), {0, kBlock, 2, 0xffffffff});
}
TEST_P(DataPlaneConformance, AnEmptyRangeWritesNothing) {
  start();
  expect_refused(blocks(4), {0, kBlock, 0, 0});
}
TEST_P(DataPlaneConformance, TooFewBytesWriteNothing) {
  start();
  expect_refused(blocks(4), {0, 2 * kBlock - 1, 0, 2});
}
TEST_P(DataPlaneConformance, TooManyBytesWriteNothing) {
  start();
  expect_refused(blocks(4), {0, 2 * kBlock + 1, 0, 2});
}
TEST_P(DataPlaneConformance, PlacesThatAreNotNeighboursWriteNothing) {
  start();
  expect_refused({{0, kBlock, 0}, {2 * kBlock, kBlock, 1}, {3 * kBlock, kBlock, 2}}, {0, 2 * kBlock, 0, 2});
}
TEST_P(DataPlaneConformance, PlacesInDescendingOrderAreNotNeighbours) {
  start();
  expect_refused({{kBlock, kBlock, 0}, {0, kBlock, 1}}, {0, 2 * kBlock, 0, 2});
}

TEST_P(DataPlaneConformance, APlaceIsWrittenOnce) {
  start();
  const TransferId id = transfer_id(1);
  open(id, blocks(4));
  push(1, id, {{0, kBlock, 1, 1}});
  ASSERT_TRUE(rig().wait([&] { return receiver().places_arrived(id) == 1; }));
  push(2, id, {{5 * kBlock, kBlock, 1, 1}});      // the same again with other bytes
  push(3, id, {{5 * kBlock, 2 * kBlock, 1, 2}});  // and as part of a run
  ASSERT_TRUE(wait_done(2) && wait_done(3));
  rig().pass(50ms);
  EXPECT_EQ(receiver().places_arrived(id), 1u);
  EXPECT_TRUE(same(kBlock, 0, kBlock));
  EXPECT_TRUE(untouched(rig().pool(1).subspan(2 * kBlock)));
}

TEST_P(DataPlaneConformance, TheSamePlaceTwiceInOnePushLandsOnce) {
  start();
  const TransferId id = transfer_id(1);
  open(id, blocks(2));
  push(1, id, {{0, kBlock, 0, 1}, {kBlock, kBlock, 0, 1}});
  ASSERT_TRUE(wait_done(1));
  rig().pass(50ms);
  EXPECT_EQ(receiver().places_arrived(id), 1u);
}

TEST_P(DataPlaneConformance, ClosingAnIdleTransferClosesItOnce) {
  start();
  const TransferId id = transfer_id(1);
  open(id, blocks(2));
  rig().plane(1).close(id);
  rig().plane(1).close(id);
  rig().plane(1).close(transfer_id(77));
  expect_closed(id, "closed");
  push(1, id, pieces(2));
  ASSERT_TRUE(wait_done(1));
  rig().pass(50ms);
  EXPECT_EQ(receiver().closed(id).size(), 1u);
  EXPECT_EQ(receiver().closed_count(), 1u);
  EXPECT_TRUE(untouched(rig().pool(1)));
}

TEST_P(DataPlaneConformance, AfterTransferClosedNoByteChanges) {
  start({.pool_bytes = 32 << 20});
  constexpr std::uint64_t kBig = 2 << 20;
  for (std::uint64_t round = 0; round < 12; ++round) {
    const TransferId id = transfer_id(round);
    open(id, blocks(16, kBig));
    push(round, id, pieces(16, kBig));
    rig().wait([&] { return receiver().places_arrived(id) >= round; }, 2s);
    rig().plane(1).close(id);
    ASSERT_TRUE(wait_closed(id));
    // Ours again: whatever is here now must stay.
    std::ranges::fill(rig().pool(1), kCanary);
    ASSERT_TRUE(wait_done(round));
    rig().pass(20ms);
    EXPECT_TRUE(untouched(rig().pool(1))) << round;
    EXPECT_EQ(receiver().closed(id).size(), 1u);
  }
}

TEST_P(DataPlaneConformance, ATransferOutOfTimeClosesItself) {
  start();
  const TransferId never = transfer_id(1), half = transfer_id(2);
  push(9, half, pieces(1));  // refused; the connection is made by then
  ASSERT_TRUE(wait_done(9));
  open(never, blocks(2), 60ms);
  open(half, blocks(2, kBlock, 4 * kBlock), 500ms);
  push(1, half, {{0, kBlock, 0, 1}});
  expect_closed(never, "deadline");
  expect_closed(half, "deadline");
  EXPECT_EQ(receiver().places_arrived(half), 1u);
}

TEST_P(DataPlaneConformance, NothingToDoIsDoneAtOnce) {
  start();
  open(transfer_id(1), {});
  expect_closed(transfer_id(1), "complete");
  push(1, transfer_id(2), {});
  ASSERT_TRUE(wait_done(1));
  EXPECT_TRUE(sender().done(1).front().ok);
}

TEST_P(DataPlaneConformance, PlacesThatCannotBeAllowedCloseTheTransfer) {
  start();
  const std::uint64_t end = rig().pool(1).size();
  open(transfer_id(1), {{end, 1, 0}});
  open(transfer_id(2), {{end - 1, 2, 0}});
  open(transfer_id(3), {{0xffffffffffffff00, 0x200, 0}});
  open(transfer_id(4), {{0, kBlock, 0}, {kBlock - 1, kBlock, 0}});
  open(transfer_id(5), {{0, 0, 0}});
  for (std::uint64_t i = 1; i <= 5; ++i) {
    ASSERT_TRUE(wait_closed(transfer_id(i)));
    EXPECT_TRUE(receiver().closed(transfer_id(i)).front().starts_with("not allowed")) << i;
  }
}

TEST_P(DataPlaneConformance, APlaceOfAnOpenTransferCannotBeOpenedAgain) {
  start();
  open(transfer_id(1), blocks(4));
  open(transfer_id(2), blocks(1, kBlock, 3 * kBlock));
  expect_closed(transfer_id(2), "not allowed: a place of another unfinished transfer");
  rig().plane(1).close(transfer_id(1));
  expect_closed(transfer_id(1), "closed");
  open(transfer_id(3), blocks(1, kBlock, 3 * kBlock));
  push(1, transfer_id(3), pieces(1));
  expect_closed(transfer_id(3), "complete");
}

TEST_P(DataPlaneConformance, BadPushesFailAtOnce) {
  start();
  rig().plane(0).push(1, {NodeId{9}, Incarnation{9}}, transfer_id(1), pieces(1));
  push(2, transfer_id(1), {{rig().pool(0).size(), 1, 0, 1}});
  push(3, transfer_id(1), {{0xffffffffffffff00, 0x200, 0, 1}});
  for (const std::uint64_t ticket : {1, 2, 3}) {
    ASSERT_TRUE(wait_done(ticket));
    EXPECT_FALSE(sender().done(ticket).front().ok);
  }
}

TEST_P(DataPlaneConformance, AnAbandonedPushEndsOnceAndStopsReading) {
  start({.pool_bytes = 64 << 20});
  constexpr std::uint64_t kBig = 1 << 20;
  for (std::uint64_t round = 0; round < 6; ++round) {
    const TransferId id = transfer_id(round);
    open(id, blocks(48, kBig));
    push(round, id, pieces(48, kBig));
    if (round % 2 == 1) rig().wait([&] { return receiver().places_arrived(id) >= round * 3; }, 1s);
    rig().plane(0).abandon(id);
    ASSERT_TRUE(wait_done(round));
    std::ranges::fill(rig().pool(0), std::byte{1});  // ours again
    rig().plane(1).close(id);
    ASSERT_TRUE(wait_closed(id));
    fill_pattern(rig().pool(0), round);
  }
  rig().pass(20ms);
  for (std::uint64_t round = 0; round < 6; ++round) EXPECT_EQ(sender().done(round).size(), 1u);
}

TEST_P(DataPlaneConformance, DisconnectEndsItsPushesAndConnectingAgainWorks) {
  start({.pool_bytes = 64 << 20});
  open(transfer_id(1), blocks(32, 1 << 20));
  push(1, transfer_id(1), pieces(32, 1 << 20));
  rig().plane(0).disconnect(rig().key(1));
  ASSERT_TRUE(wait_done(1));
  EXPECT_TRUE(rig().wait([&] { return rig().plane(0).transport(rig().key(1)) == "none"; }));  // published a little later
  rig().plane(1).close(transfer_id(1));
  ASSERT_TRUE(wait_closed(transfer_id(1)));
  push(2, transfer_id(2), pieces(2));
  ASSERT_TRUE(wait_done(2));
  EXPECT_EQ(sender().done(2).front().reason, "unknown peer");
  rig().connect(0, 1);
  open(transfer_id(3), blocks(2));
  push(3, transfer_id(3), pieces(2));
  expect_closed(transfer_id(3), "complete");
}

TEST_P(DataPlaneConformance, ConnectIsIdempotentAndTransportTellsTheTruth) {
  start();
  EXPECT_EQ(rig().plane(0).transport({NodeId{1}, Incarnation{1}}), "none");
  for (int i = 0; i < 5; ++i) rig().connect(0, 1);
  open(transfer_id(1), blocks(2));
  push(1, transfer_id(1), pieces(2));
  expect_closed(transfer_id(1), "complete");
  const std::map<PlaneKind, std::string> expected = {
      {PlaneKind::kUcxShm, "shm"}, {PlaneKind::kUcxTcp, "tcp"}, {PlaneKind::kTcp, "tcp"}, {PlaneKind::kInproc, "inproc"}, {PlaneKind::kSim, "sim"}};
  EXPECT_TRUE(rig().wait([&] { return rig().plane(0).transport(rig().key(1)) == expected.at(GetParam()); }))
      << rig().plane(0).transport(rig().key(1));
}

TEST_P(DataPlaneConformance, NobodyAtTheAddressFailsThePush) {
  start({.planes = 3});
  const std::string address = rig().plane(2).address();
  const PeerKey gone = rig().key(2);
  rig().destroy(2);
  for (const std::string& bad : {address, std::string("nonsense"), std::string("127.0.0.1:0"), std::string("")}) {
    rig().plane(0).connect(gone, bad);
    rig().plane(0).push(1 + bad.size(), gone, transfer_id(1), pieces(1));
    ASSERT_TRUE(wait_done(1 + bad.size())) << bad;
    EXPECT_FALSE(sender().done(1 + bad.size()).front().ok);
  }
  EXPECT_FALSE(sender().failed(gone).empty());
}

TEST_P(DataPlaneConformance, ADialledLifeThatIsNotThereIsRefused) {
  start();
  const PeerKey other_life{rig().key(1).node, Incarnation{4711}};
  rig().plane(0).connect(other_life, rig().plane(1).address());
  open(transfer_id(1), blocks(2));
  rig().plane(0).push(1, other_life, transfer_id(1), pieces(2));
  ASSERT_TRUE(wait_done(1));
  EXPECT_FALSE(sender().done(1).front().ok);
  EXPECT_TRUE(untouched(rig().pool(1)));
  push(2, transfer_id(1), pieces(2));
  expect_closed(transfer_id(1), "complete");
}

TEST_P(DataPlaneConformance, ARestartedReceiverIsANewPeer) {
  start();
  const PeerKey old = rig().key(1);
  open(transfer_id(1), blocks(4));
  push(1, transfer_id(1), pieces(2));
  ASSERT_TRUE(wait_done(1));
  rig().restart(1);
  ASSERT_TRUE(rig().wait([&] { return !sender().failed(old).empty(); }));
  push(2, transfer_id(1), pieces(4));  // to the new life, which is not connected yet
  ASSERT_TRUE(wait_done(2));
  EXPECT_EQ(sender().done(2).front().reason, "unknown peer");
  rig().plane(0).push(3, old, transfer_id(1), pieces(4));
  ASSERT_TRUE(wait_done(3));
  EXPECT_FALSE(sender().done(3).front().ok);
  rig().connect(0, 1);
  open(transfer_id(2), blocks(4));
  push(4, transfer_id(2), pieces(4));
  expect_closed(transfer_id(2), "complete");
}

TEST_P(DataPlaneConformance, ASenderThatEndsClosesItsTransfers) {
  start();
  const PeerKey old = rig().key(0);
  open(transfer_id(1), blocks(4));
  open(transfer_id(2), blocks(4, kBlock, 8 * kBlock));
  push(1, transfer_id(1), pieces(2));
  ASSERT_TRUE(rig().wait([&] { return receiver().places_arrived(transfer_id(1)) == 2; }));
  rig().restart(0);
  ASSERT_TRUE(wait_closed(transfer_id(1)) && wait_closed(transfer_id(2)));
  EXPECT_TRUE(receiver().closed(transfer_id(1)).front().starts_with("connection lost")) << receiver().closed(transfer_id(1)).front();
  EXPECT_FALSE(receiver().failed(old).empty());
  fill_pattern(rig().pool(0), 5);
  rig().connect(0, 1);
  open(transfer_id(3), blocks(4));
  push(1, transfer_id(3), pieces(4));
  expect_closed(transfer_id(3), "complete");
}

TEST_P(DataPlaneConformance, AReceiverThatEndsFailsThePushesToIt) {
  start({.pool_bytes = 64 << 20});
  open(transfer_id(1), blocks(48, 1 << 20));
  push(1, transfer_id(1), pieces(48, 1 << 20));
  push(2, transfer_id(1), pieces(48, 1 << 20));
  rig().destroy(1);
  ASSERT_TRUE(wait_done(1) && wait_done(2));
  EXPECT_FALSE(sender().done(2).front().ok);
  EXPECT_EQ(receiver().closed(transfer_id(1)).size(), 1u);
}

TEST_P(DataPlaneConformance, DestructionEndsEverythingOnce) {
  start({.pool_bytes = 64 << 20});
  for (std::uint64_t i = 0; i < 8; ++i) {
    open(transfer_id(i), blocks(4, 1 << 20, i * (4 << 20)));
    push(i, transfer_id(i), pieces(4, 1 << 20, i * (4 << 20)));
  }
  rig().destroy(0);
  for (std::uint64_t i = 0; i < 8; ++i) EXPECT_EQ(sender().done(i).size(), 1u) << i;
  rig().destroy(1);
  for (std::uint64_t i = 0; i < 8; ++i) EXPECT_EQ(receiver().closed(transfer_id(i)).size(), 1u) << i;
}

TEST_P(DataPlaneConformance, BothDirectionsAtOnce) {
  start({.pool_bytes = 32 << 20});
  fill_pattern(rig().pool(1), 1001);
  rig().connect(1, 0);
  constexpr std::size_t kCount = 128;
  const std::uint64_t half = 16 << 20;  // each pool: sources below, destinations above
  rig().plane(1).open(transfer_id(1), rig().key(0), blocks(kCount, kBlock, half), 20s);
  rig().plane(0).open(transfer_id(2), rig().key(1), blocks(kCount, kBlock, half), 20s);
  rig().plane(0).push(1, rig().key(1), transfer_id(1), pieces(kCount));
  rig().plane(1).push(1, rig().key(0), transfer_id(2), pieces(kCount));
  ASSERT_TRUE(wait_closed(transfer_id(1), 1) && wait_closed(transfer_id(2), 0));
  EXPECT_EQ(std::memcmp(rig().pool(1).data() + half, rig().pool(0).data(), kCount * kBlock), 0);
  EXPECT_EQ(std::memcmp(rig().pool(0).data() + half, rig().pool(1).data(), kCount * kBlock), 0);
}

TEST_P(DataPlaneConformance, OneClosedTransferLeavesTheOthersAlone) {
  start({.pool_bytes = 64 << 20});
  for (std::uint64_t i = 0; i < 8; ++i) open(transfer_id(i), blocks(8, kBlock, i * 8 * kBlock));
  for (std::uint64_t i = 0; i < 8; ++i) push(i, transfer_id(i), pieces(8, kBlock, i * 8 * kBlock));
  rig().plane(1).close(transfer_id(3));
  for (std::uint64_t i = 0; i < 8; ++i) {
    ASSERT_TRUE(wait_closed(transfer_id(i))) << i;
    if (i == 3) continue;
    EXPECT_EQ(receiver().closed(transfer_id(i)).front(), "complete") << i;
    EXPECT_TRUE(same(i * 8 * kBlock, i * 8 * kBlock, 8 * kBlock)) << i;
  }
}

TEST_P(DataPlaneConformance, TicketsOfOneTransferMayComeInSeveralPushes) {
  start();
  open(transfer_id(1), blocks(16));
  for (std::uint32_t i = 0; i < 16; ++i) push(i, transfer_id(1), {{i * kBlock, kBlock, 15 - i, 1}});
  expect_closed(transfer_id(1), "complete");
  for (std::uint32_t i = 0; i < 16; ++i) {
    ASSERT_TRUE(wait_done(i));
    EXPECT_TRUE(same((15 - i) * kBlock, i * kBlock, kBlock));
  }
}

std::size_t open_descriptors() {
  std::size_t count = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) ++count;
  return count;
}

std::size_t resident_kib() {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;)
    if (word == "VmRSS:") {
      std::size_t kib = 0;
      status >> kib;
      return kib;
    }
  return 0;
}

TEST_P(DataPlaneConformance, AThousandTransfersLeaveNothingBehind) {
  start();
  const auto round = [&](std::uint64_t first, std::uint64_t count) {
    for (std::uint64_t i = first; i < first + count; ++i) {
      open(transfer_id(i), blocks(4, 16 << 10));
      push(i, transfer_id(i), pieces(4, 16 << 10));
      if (i % 10 == 3) rig().plane(1).close(transfer_id(i));
      if (i % 10 == 7) rig().plane(0).abandon(transfer_id(i));
      if (i % 10 == 9) push(i + 1'000'000, transfer_id(i + 5'000'000), pieces(1, 1 << 20));  // refused
      if (i % 10 == 7) rig().plane(1).close(transfer_id(i));
      ASSERT_TRUE(wait_closed(transfer_id(i))) << i;
      ASSERT_TRUE(wait_done(i)) << i;
    }
  };
  round(0, 200);
  const std::size_t descriptors = open_descriptors();
  const std::size_t resident = resident_kib();
  round(200, 1000);
  EXPECT_TRUE(rig().wait([&] {
    const PlaneCore::Stats a = rig().stats(0), b = rig().stats(1);
    return a.posted_sends == 0 && b.posted_receives == 0 && b.open_transfers == 0 && b.quarantined_places == 0;
  }));
  EXPECT_LE(open_descriptors(), descriptors + 2);
  EXPECT_LE(resident_kib(), resident + 64 * 1024);
  EXPECT_EQ(receiver().closed_count(), 1200u);
}

}  // namespace
}  // namespace baton::test
