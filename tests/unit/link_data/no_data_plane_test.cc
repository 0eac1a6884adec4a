// SPDX-License-Identifier: Apache-2.0
#include "runtime/link/no_data_plane.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace baton {
namespace {

constexpr TransferId kTransfer{1, 2};
constexpr PeerKey kPeer{NodeId{3}, Incarnation{4}};

class NoDataPlaneTest : public ::testing::Test {
 protected:
  NoDataPlaneTest() {
    auto made = NoDataPlane::create(1 << 20, [this](DataPlaneEvent event) { events_.push_back(std::move(event)); });
    EXPECT_TRUE(made);
    plane_ = std::move(*made);
  }
  std::vector<DataPlaneEvent> events_;
  std::unique_ptr<NoDataPlane> plane_;
};

TEST_F(NoDataPlaneTest, OwnsAPoolOfZeros) {
  const std::span<std::byte> pool = plane_->pool();
  EXPECT_EQ(pool.size(), std::size_t{1} << 20);
  EXPECT_TRUE(std::all_of(pool.begin(), pool.end(), [](std::byte each) { return each == std::byte{0}; }));
  pool.back() = std::byte{1};
  EXPECT_EQ(plane_->address(), "");
  EXPECT_EQ(plane_->transport(kPeer), "none");
  EXPECT_FALSE(NoDataPlane::create(0, [](const DataPlaneEvent&) {}));
}

TEST_F(NoDataPlaneTest, EndsEveryTransferAndPushOnceWithAReason) {
  plane_->connect(kPeer, "somewhere");
  plane_->open(kTransfer, kPeer, {{0, 16, 0}}, std::chrono::seconds(1));
  plane_->close(kTransfer);
  plane_->push(7, kPeer, kTransfer, {{0, 16, 0, 1}});
  plane_->abandon(kTransfer);
  ASSERT_EQ(events_.size(), 2u);
  const auto* closed = std::get_if<TransferClosed>(&events_[0]);
  const auto* done = std::get_if<PushDone>(&events_[1]);
  ASSERT_TRUE(closed != nullptr && done != nullptr);
  EXPECT_EQ(closed->transfer, kTransfer);
  EXPECT_NE(closed->reason, "complete");
  EXPECT_EQ(done->ticket, 7u);
  EXPECT_FALSE(done->ok);
  EXPECT_NE(done->reason, "");
}

}  // namespace
}  // namespace baton
