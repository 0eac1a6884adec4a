// SPDX-License-Identifier: Apache-2.0
#include "runtime/link/transfer_table.h"

#include <gtest/gtest.h>

#include "runtime/base/random.h"

namespace baton {
namespace {

constexpr PeerKey kPeer{NodeId{1}, Incarnation{10}};
constexpr PeerKey kOldLife{NodeId{1}, Incarnation{9}};
constexpr TransferId kId{1, 2};
constexpr std::uint64_t kPool = 1000;
const Duration kGrace{50};

Time at(std::int64_t ns) { return Time{Duration{ns}}; }

class TransferTableTest : public testing::Test {
 protected:
  void open(std::vector<Place> places, const TransferId& id = kId, std::int64_t limit = 100) {
    ASSERT_FALSE(table_.open(id, kPeer, std::move(places), at(0), Duration{limit}).has_value());
  }
  Refusal judge(const PieceClaim& claim) { return table_.accept(claim).refusal; }
  PieceClaim claim(std::uint32_t first, std::uint32_t count, std::uint64_t bytes) { return {kId, kPeer, first, count, bytes}; }
  // 0-9, 10-29, 30-59 in a row; then a gap; then 100-109.
  std::vector<Place> places() { return {{0, 10, 0}, {10, 20, 1}, {30, 30, 2}, {100, 10, 3}}; }

  TransferTable table_{kPool, kGrace};
};

TEST_F(TransferTableTest, PlacesNeighboursWhereTheReceiverWantsThem) {
  open(places());
  const auto verdict = table_.accept(claim(1, 2, 50));
  EXPECT_EQ(verdict.refusal, Refusal::kNone);
  EXPECT_EQ(verdict.offset, 10u);
  EXPECT_EQ(verdict.bytes, 50u);
  EXPECT_TRUE(table_.land(claim(1, 2, 50)).wanted);
}

TEST_F(TransferTableTest, RefusesEverythingThatDoesNotFit) {
  open(places());
  EXPECT_EQ(judge({TransferId{1, 3}, kPeer, 0, 1, 10}), Refusal::kUnknownTransfer);
  EXPECT_EQ(judge({TransferId{2, 2}, kPeer, 0, 1, 10}), Refusal::kUnknownTransfer);
  EXPECT_EQ(judge({kId, kOldLife, 0, 1, 10}), Refusal::kWrongPeer);
  EXPECT_EQ(judge({kId, {NodeId{2}, Incarnation{10}}, 0, 1, 10}), Refusal::kWrongPeer);
  EXPECT_EQ(judge(claim(0, 0, 0)), Refusal::kOutOfRange);
  EXPECT_EQ(judge(claim(4, 1, 10)), Refusal::kOutOfRange);
  EXPECT_EQ(judge(claim(4, 0, 0)), Refusal::kOutOfRange);
  EXPECT_EQ(judge(claim(0, 5, 70)), Refusal::kOutOfRange);
  EXPECT_EQ(judge(claim(3, 0xffffffff, 10)), Refusal::kOutOfRange);
  EXPECT_EQ(judge(claim(0xffffffff, 0xffffffff, 10)), Refusal::kOutOfRange);
  EXPECT_EQ(judge(claim(0xffffffff, 2, 10)), Refusal::kOutOfRange);
  EXPECT_EQ(judge(claim(2, 2, 40)), Refusal::kNotNeighbours);
  EXPECT_EQ(judge(claim(0, 1, 9)), Refusal::kWrongBytes);
  EXPECT_EQ(judge(claim(0, 1, 11)), Refusal::kWrongBytes);
  EXPECT_EQ(judge(claim(0, 2, 0xffffffffffffffff)), Refusal::kWrongBytes);
  EXPECT_EQ(judge(claim(0, 1, 0)), Refusal::kWrongBytes);
  EXPECT_EQ(table_.refused(Refusal::kOutOfRange), 7u);
  EXPECT_EQ(judge(claim(0, 1, 10)), Refusal::kNone);
  EXPECT_EQ(judge(claim(0, 1, 10)), Refusal::kTwice);  // posted
  EXPECT_EQ(judge(claim(0, 2, 30)), Refusal::kTwice);  // as part of a run
  EXPECT_TRUE(table_.land(claim(0, 1, 10)).wanted);
  EXPECT_EQ(judge(claim(0, 1, 10)), Refusal::kTwice);  // landed
}

TEST_F(TransferTableTest, CompletesWhenTheLastPlaceLanded) {
  open(places());
  ASSERT_EQ(judge(claim(3, 1, 10)), Refusal::kNone);
  ASSERT_EQ(judge(claim(0, 3, 60)), Refusal::kNone);
  EXPECT_FALSE(table_.land(claim(0, 3, 60)).closed.has_value());
  const auto landing = table_.land(claim(3, 1, 10));
  EXPECT_TRUE(landing.wanted);
  ASSERT_TRUE(landing.closed.has_value());
  EXPECT_EQ(landing.closed->reason, "complete");
  EXPECT_EQ(table_.size(), 0u);
  EXPECT_EQ(table_.next_due(), kNever);
  EXPECT_EQ(judge(claim(0, 1, 10)), Refusal::kUnknownTransfer);
}

TEST_F(TransferTableTest, ACloseWaitsForWhatIsPosted) {
  open(places());
  ASSERT_EQ(judge(claim(0, 1, 10)), Refusal::kNone);
  ASSERT_EQ(judge(claim(1, 1, 20)), Refusal::kNone);
  EXPECT_FALSE(table_.close(kId, "closed", at(5)).has_value());
  EXPECT_FALSE(table_.close(kId, "again", at(6)).has_value());
  EXPECT_EQ(table_.quarantined_places(), 2u);
  EXPECT_EQ(judge(claim(2, 1, 30)), Refusal::kClosing);
  const auto landing = table_.land(claim(0, 1, 10));
  EXPECT_FALSE(landing.wanted);
  EXPECT_FALSE(landing.closed.has_value());
  const auto closed = table_.lose(claim(1, 1, 20), "lost", at(7));
  ASSERT_TRUE(closed.has_value());
  EXPECT_EQ(closed->reason, "closed");  // the first reason stands
}

TEST_F(TransferTableTest, ClosedPlacesStayTakenUntilNothingIsPosted) {
  open(places());
  ASSERT_EQ(judge(claim(0, 1, 10)), Refusal::kNone);
  ASSERT_FALSE(table_.close(kId, "closed", at(5)).has_value());
  const TransferId other{5, 5};
  const auto refused = table_.open(other, kPeer, {{9, 1, 0}}, at(6), Duration{100});
  ASSERT_TRUE(refused.has_value());
  EXPECT_EQ(refused->reason, "not allowed: a place of another unfinished transfer");
  ASSERT_TRUE(table_.land(claim(0, 1, 10)).closed.has_value());
  EXPECT_FALSE(table_.open(other, kPeer, {{9, 1, 0}}, at(6), Duration{100}).has_value());
}

TEST_F(TransferTableTest, TimeLimitsCloseAndThenAskForTheConnection) {
  open(places());
  ASSERT_EQ(judge(claim(0, 1, 10)), Refusal::kNone);
  const TransferId idle{7, 7};
  open({{500, 10, 0}}, idle, 100);
  EXPECT_EQ(table_.next_due(), at(100));
  auto due = table_.due(at(99));
  EXPECT_TRUE(due.closed.empty() && due.stuck.empty());
  due = table_.due(at(100));
  ASSERT_EQ(due.closed.size(), 1u);
  EXPECT_EQ(due.closed[0].transfer, idle);
  EXPECT_EQ(due.closed[0].reason, "deadline");
  EXPECT_TRUE(due.stuck.empty());
  EXPECT_EQ(table_.next_due(), at(150));
  due = table_.due(at(150));
  EXPECT_EQ(due.stuck, std::vector{kId});
  EXPECT_EQ(table_.due(at(200)).stuck, std::vector{kId});  // asked again until it is over
  const auto closed = table_.lose(claim(0, 1, 10), "cancelled", at(201));
  ASSERT_TRUE(closed.has_value());
  EXPECT_EQ(closed->reason, "deadline");
}

TEST_F(TransferTableTest, ALostPieceClosesItsTransferOnly) {
  open(places());
  open({{500, 10, 0}}, TransferId{7, 7});
  ASSERT_EQ(judge(claim(0, 1, 10)), Refusal::kNone);
  const auto closed = table_.lose(claim(0, 1, 10), "connection lost", at(3));
  ASSERT_TRUE(closed.has_value());
  EXPECT_EQ(closed->reason, "connection lost");
  EXPECT_TRUE(table_.contains(TransferId{7, 7}));
}

TEST_F(TransferTableTest, CloseAllTakesOnePeersTransfers) {
  open(places());
  ASSERT_FALSE(table_.open(TransferId{9, 9}, kOldLife, {{500, 1, 0}}, at(0), Duration{100}).has_value());
  const auto closed = table_.close_all(kPeer, "gone", at(1));
  ASSERT_EQ(closed.size(), 1u);
  EXPECT_EQ(closed[0].transfer, kId);
  EXPECT_EQ(table_.close_all("stop", at(2)).size(), 1u);
  EXPECT_EQ(table_.size(), 0u);
}

TEST_F(TransferTableTest, RefusesPlacesThatCannotBe) {
  const auto reason = [&](std::vector<Place> wrong) {
    const auto closed = table_.open(kId, kPeer, std::move(wrong), at(0), Duration{1});
    return closed ? closed->reason : "";
  };
  EXPECT_EQ(reason({{kPool, 1, 0}}), "not allowed: a place outside the pool");
  EXPECT_EQ(reason({{kPool - 1, 2, 0}}), "not allowed: a place outside the pool");
  EXPECT_EQ(reason({{~std::uint64_t{0}, 2, 0}}), "not allowed: a place outside the pool");
  EXPECT_EQ(reason({{1, ~std::uint64_t{0}, 0}}), "not allowed: a place outside the pool");
  EXPECT_EQ(reason({{0, 10, 0}, {50, 1, 0}, {9, 1, 0}}), "not allowed: overlapping places");
  EXPECT_EQ(reason({{0, 0, 0}}), "not allowed: an empty place");
  EXPECT_EQ(reason({}), "complete");
  EXPECT_EQ(table_.size(), 0u);
  open({{0, kPool, 0}});  // nothing of the above is left behind
}

TEST_F(TransferTableTest, ANeverEndingLimitDoesNotOverflow) {
  ASSERT_FALSE(table_.open(kId, kPeer, places(), at(1'000'000), Duration::max()).has_value());
  EXPECT_EQ(table_.next_due(), kNever);
}

TEST_F(TransferTableTest, RandomClaimsNeverPostAPlaceTwiceOrOutside) {
  Random random(4711);
  for (int round = 0; round < 300; ++round) {
    std::vector<Place> list;
    std::uint64_t offset = 0;
    while (list.size() < 8) {
      const std::uint64_t bytes = 1 + random.below(20);
      list.push_back({offset, bytes, 0});
      offset += bytes + (random.chance(1, 3) ? random.below(20) : 0);
    }
    open(list);
    std::vector<int> owners(kPool, 0);
    std::vector<PieceClaim> posted;
    for (int i = 0; i < 60; ++i) {
      PieceClaim one = claim(static_cast<std::uint32_t>(random.below(10)), static_cast<std::uint32_t>(random.below(5)), 0);
      for (std::uint32_t p = 0; p < one.place_count && one.first_place + p < list.size(); ++p)
        one.bytes += list[one.first_place + p].bytes;
      if (random.chance(1, 5)) one.bytes += random.below(3);
      const auto verdict = table_.accept(one);
      if (verdict.refusal != Refusal::kNone) continue;
      ASSERT_EQ(verdict.offset, list[one.first_place].offset);
      ASSERT_LE(verdict.offset + verdict.bytes, kPool);
      for (std::uint64_t b = 0; b < verdict.bytes; ++b) ASSERT_EQ(++owners[verdict.offset + b], 1);
      posted.push_back(one);
    }
    auto closed = table_.close(kId, "closed", at(1));
    for (const PieceClaim& one : posted) {
      ASSERT_FALSE(closed.has_value());
      if (random.chance(1, 2)) closed = table_.land(one).closed;
      else closed = table_.lose(one, "lost", at(2));
    }
    ASSERT_TRUE(closed.has_value());
    ASSERT_EQ(table_.size(), 0u);
  }
}

}  // namespace
}  // namespace baton
