// SPDX-License-Identifier: Apache-2.0
// PlaneCore where its owner's calls and the network's messages race: driven by hand, without a transport.
#include <gtest/gtest.h>

#include <array>
#include <variant>

#include "runtime/link/plane_core.h"
#include "runtime/link/plane_wire.h"

namespace baton {
namespace {

class NoLink final : public MessageLink {
 public:
  Result<EndpointId> connect(const std::string&) override { return fail(ErrorCode::kUnavailable, "nobody"); }
  Sent send(EndpointId, std::uint64_t, const MessageHeaderBytes&, std::span<const std::byte>, std::string&) override { return Sent::kFailed; }
  void force_close(EndpointId) override {}
  std::string transport(EndpointId) const override { return "none"; }
};

// The owner opened a transfer on its own thread and told the peer; the peer's piece is here before the data thread has looked
// at what the owner asked for. It must be taken, or the hand-over is lost without need.
TEST(PlaneCore, APieceMayBeFasterThanTheCallThatOpenedItsTransfer) {
  const PeerKey self{NodeId{1}, Incarnation{10}};
  const PeerKey peer{NodeId{2}, Incarnation{20}};
  const TransferId transfer{3, 4};
  std::array<std::byte, 4096> pool{};
  std::vector<DataPlaneEvent> events;
  NoLink link;
  PlaneCore core({self, {}}, [&](DataPlaneEvent event) { events.push_back(std::move(event)); }, {});
  core.attach(link, pool);
  int asked = 0;
  core.set_late_opens([&] {
    if (++asked == 1) core.open(transfer, peer, {{0, pool.size(), 0}}, std::chrono::seconds(1));
  });

  PlaneHeader hello = header_of(PlaneHeader::kHello, peer);
  hello.first = self.node.value;
  hello.second = self.incarnation.value;
  constexpr EndpointId kFrom = 7;
  EXPECT_EQ(core.on_message(kFrom, to_bytes(hello), 0).to, nullptr);
  EXPECT_EQ(asked, 0);

  PlaneHeader piece = header_of(PlaneHeader::kPiece, peer);
  piece.first = transfer.high;
  piece.second = transfer.low;
  piece.place_count = 1;
  piece.bytes = pool.size();
  const MessageEvents::Destination to = core.on_message(kFrom, to_bytes(piece), piece.bytes);
  EXPECT_EQ(asked, 1);
  ASSERT_EQ(to.to, pool.data());
  core.on_received(to.operation, true, {});
  ASSERT_EQ(events.size(), 2u);
  EXPECT_TRUE(std::holds_alternative<PieceArrived>(events[0]));
  EXPECT_EQ(std::get<TransferClosed>(events[1]).reason, "complete");

  // A transfer that nobody opened is still refused.
  piece.first = 5;
  EXPECT_EQ(core.on_message(kFrom, to_bytes(piece), piece.bytes).to, nullptr);
  EXPECT_EQ(core.stats().refused_pieces, 1u);
}

}  // namespace
}  // namespace baton
