// SPDX-License-Identifier: Apache-2.0
// A data plane over TCP and callers that mean harm: raw sockets that say anything.
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <random>
#include <utility>

#include "runtime/link/plane_wire.h"
#include "runtime/link/socket_address.h"
#include "runtime/link/threaded_data_plane.h"
#include "tests/support/data_plane_rig.h"

namespace baton::test {
namespace {

constexpr std::byte kCanary{0xA5};
constexpr std::uint64_t kBlock = 64 << 10;
constexpr PeerKey kStranger{NodeId{666}, Incarnation{1}};

class Caller {
 public:
  explicit Caller(const std::string& address) {
    const auto remote = address_from_text(address.substr(address.find("tcp=") + 4));
    EXPECT_TRUE(remote.has_value()) << address;
    file_ = socket(remote->storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    EXPECT_EQ(connect(file_, reinterpret_cast<const sockaddr*>(&remote->storage), remote->size), 0);
  }
  ~Caller() { ::close(file_); }
  Caller(const Caller&) = delete;
  Caller& operator=(const Caller&) = delete;

  bool say(const void* bytes, std::size_t count) {
    const char* at = static_cast<const char*>(bytes);
    while (count > 0) {
      const ssize_t sent = ::send(file_, at, count, MSG_NOSIGNAL);
      if (sent <= 0) return false;
      at += sent;
      count -= static_cast<std::size_t>(sent);
    }
    return true;
  }
  bool frame(const PlaneHeader& header, std::uint64_t payload) {
    const MessageHeaderBytes bytes = to_bytes(header);
    return say(&payload, sizeof payload) && say(bytes.data(), bytes.size());
  }
  bool hello(const PeerKey& self, const PeerKey& called) {
    PlaneHeader header = header_of(PlaneHeader::kHello, self);
    header.first = called.node.value;
    header.second = called.incarnation.value;
    return frame(header, 0);
  }
  // The next answer; -1: closed; -2: nothing came.
  int answer(Duration limit = 2s) {
    pollfd file{file_, POLLIN, 0};
    if (poll(&file, 1, static_cast<int>(limit / 1ms)) != 1) return -2;
    unsigned char byte = 0;
    return recv(file_, &byte, 1, 0) == 1 ? byte : -1;
  }
  bool is_closed(Duration limit = 2s) {
    for (int said = answer(limit); said != -2; said = answer(limit))
      if (said == -1) return true;
    return false;
  }

 private:
  int file_ = -1;
};

PlaneHeader piece_of(const PeerKey& self, const TransferId& transfer, std::uint32_t first, std::uint32_t count,
                     std::uint64_t bytes) {
  PlaneHeader header = header_of(PlaneHeader::kPiece, self);
  header.first = transfer.high;
  header.second = transfer.low;
  header.first_place = first;
  header.place_count = count;
  header.bytes = bytes;
  return header;
}

class TcpHostile : public testing::Test {
 protected:
  TcpHostile() : rig_(DataPlaneRig::make(PlaneKind::kTcp)) {
    fill_pattern(rig_->pool(0), 5);
    std::ranges::fill(rig_->pool(1), kCanary);
    rig_->connect(0, 1);
    rig_->plane(1).open(transfer_id(1), rig_->key(0), {{0, kBlock, 0}, {kBlock, kBlock, 1}}, 60s);
  }
  const std::string& address() { return rig_->plane(1).address(); }
  // Nothing was written, and an honest peer is served as ever.
  void expect_unharmed() {
    EXPECT_TRUE(std::ranges::all_of(rig_->pool(1), [](std::byte each) { return each == kCanary; }));
    rig_->plane(0).push(1, rig_->key(1), transfer_id(1), {{0, kBlock, 0, 1}, {kBlock, kBlock, 1, 1}});
    ASSERT_TRUE(rig_->wait([&] { return !rig_->log(1).closed(transfer_id(1)).empty(); }));
    EXPECT_EQ(rig_->log(1).closed(transfer_id(1)).front(), "complete");
    EXPECT_EQ(std::memcmp(rig_->pool(1).data(), rig_->pool(0).data(), 2 * kBlock), 0);
  }
  std::unique_ptr<DataPlaneRig> rig_;
};

TEST_F(TcpHostile, RandomBytesCloseTheCallersOwnConnectionAndNothingElse) {
  std::mt19937_64 random(1);
  for (int i = 0; i < 50; ++i) {
    Caller caller(address());
    std::vector<std::uint64_t> noise(16 + random() % 512);
    for (std::uint64_t& each : noise) each = random();
    if (i % 2 == 0) noise[0] = random() % kBlock;  // a length that is believed
    caller.say(noise.data(), noise.size() * sizeof noise[0]);
    EXPECT_TRUE(caller.is_closed()) << i;
  }
  expect_unharmed();
}

TEST_F(TcpHostile, ALengthAboveThePoolIsNotWaitedFor) {
  for (const std::uint64_t length : {~std::uint64_t{0}, std::uint64_t{1} << 63, rig_->pool(1).size() + 1}) {
    Caller caller(address());
    caller.hello(kStranger, rig_->key(1));
    caller.frame(piece_of(kStranger, transfer_id(1), 0, 1, length), length);
    EXPECT_TRUE(caller.is_closed());
  }
  expect_unharmed();
}

TEST_F(TcpHostile, APieceBeforeAnyHelloOrUnderAnothersNameIsRefused) {
  const std::vector<std::byte> payload(kBlock, std::byte{1});
  Caller silent(address());
  silent.frame(piece_of(rig_->key(0), transfer_id(1), 0, 1, kBlock), kBlock);
  silent.say(payload.data(), payload.size());
  EXPECT_EQ(silent.answer(), 1);
  Caller liar(address());
  liar.hello(kStranger, rig_->key(1));
  EXPECT_EQ(liar.answer(), 0);
  liar.frame(piece_of(rig_->key(0), transfer_id(1), 0, 1, kBlock), kBlock);
  liar.say(payload.data(), payload.size());
  EXPECT_EQ(liar.answer(), 1);
  liar.frame(piece_of(kStranger, transfer_id(1), 0, 1, kBlock), kBlock);
  liar.say(payload.data(), payload.size());
  EXPECT_EQ(liar.answer(), 1);
  expect_unharmed();
}

TEST_F(TcpHostile, ALengthThatTheHeaderDoesNotRepeatIsRefused) {
  const std::vector<std::byte> payload(2 * kBlock, std::byte{1});
  Caller caller(address());
  caller.hello(rig_->key(0), rig_->key(1));
  EXPECT_EQ(caller.answer(), 0);
  caller.frame(piece_of(rig_->key(0), transfer_id(1), 0, 1, kBlock), 2 * kBlock);
  caller.say(payload.data(), payload.size());
  EXPECT_EQ(caller.answer(), 1);
  expect_unharmed();
}

TEST_F(TcpHostile, WhoeverDialsAnEarlierLifeIsTurnedAway) {
  Caller caller(address());
  caller.hello(kStranger, {rig_->key(1).node, Incarnation{rig_->key(1).incarnation.value + 1}});
  EXPECT_TRUE(caller.is_closed());
  expect_unharmed();
}

TEST_F(TcpHostile, ACallerThatSaysNothingIsClosed) {
  Caller silent(address());
  Caller slow(address());
  slow.say("x", 1);  // a frame that never comes to its end
  expect_unharmed();
  EXPECT_TRUE(silent.is_closed(8s));
  EXPECT_TRUE(slow.is_closed(8s));
}

TEST_F(TcpHostile, AnAnswerNobodyAskedForBreaksTheConnection) {
  // The sender's side: it dials a listener that answers out of turn.
  const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  SocketAddress own = *address_of_interface("lo");
  ASSERT_EQ(bind(listener, reinterpret_cast<const sockaddr*>(&own.storage), own.size), 0);
  ASSERT_EQ(listen(listener, 1), 0);
  ASSERT_EQ(getsockname(listener, reinterpret_cast<sockaddr*>(&own.storage), &own.size), 0);
  rig_->plane(0).connect(kStranger, "tcp=" + to_text(own.storage));
  const int peer = accept(listener, nullptr, nullptr);
  ASSERT_GE(peer, 0);
  ::close(listener);
  const char answers[3] = {0, 0, 7};
  EXPECT_EQ(::send(peer, answers, sizeof answers, MSG_NOSIGNAL), 3);
  EXPECT_TRUE(rig_->wait([&] { return !rig_->log(0).failed(kStranger).empty(); }));
  ::close(peer);
  expect_unharmed();
}

}  // namespace
}  // namespace baton::test
