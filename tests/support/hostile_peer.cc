// SPDX-License-Identifier: Apache-2.0
#include "tests/support/hostile_peer.h"

#include <thread>

#include "runtime/actor/real_loop.h"
#include "runtime/base/check.h"

namespace baton::test {

using namespace std::chrono_literals;

HostilePeer::HostilePeer(const std::string& address, NodeId victim, std::vector<std::string> messages, std::uint64_t seed)
    : random_(seed), victim_(victim), messages_(std::move(messages)) {
  auto opened = ZmqChannel::open({});
  CHECK(opened.has_value(), opened.error().message);
  channel_ = std::move(*opened);
  channel_->set_watcher([this](int descriptor, bool on) {
    if (on) descriptors_.insert(descriptor);
    else descriptors_.erase(descriptor);
  });
  channel_->set_receiver([this](ConnectionId, std::string_view bytes) { take(bytes); });
  connection_ = channel_->connect(address).value();
  new_life();
}

void HostilePeer::new_life() {
  header_ = {};
  header_.source = NodeId{random_.next() | 1};
  header_.source_incarnation = Incarnation{random_.next() | 1};
  header_.destination = victim_;
  header_.challenge = random_.next() | 1;
  open_ = false;
  sent_in_life_ = 0;
  fenced_ = false;
}

void HostilePeer::take(std::string_view bytes) {
  const Result<Frame> frame = decode_frame(bytes);
  CHECK(frame.has_value(), "the cluster sends whole frames");
  if (open_ && frame->header.destination == header_.source && (frame->header.flags & kFrameFenced) != 0) fenced_ = true;
  if (frame->header.destination != header_.source || frame->header.echo != header_.challenge || open_) return;
  header_.destination_incarnation = frame->header.source_incarnation;
  header_.echo = frame->header.challenge;
  header_.ack = 0;
  open_ = true;
  ++counts_.sessions;
}

std::string HostilePeer::hello() {
  FrameHeader greeting = header_;
  greeting.flags = kFrameHello;
  return FrameWriter(greeting).take();
}

std::string HostilePeer::mutated(std::string bytes) {
  if (bytes.empty()) return bytes;
  for (std::uint64_t flips = random_.below(6); flips > 0; --flips)
    bytes[random_.below(bytes.size())] = static_cast<char>(random_.next());
  if (random_.chance(1, 8)) bytes.resize(random_.below(bytes.size() + 1));
  if (random_.chance(1, 8)) bytes += std::string(random_.below(64), static_cast<char>(random_.next()));
  return bytes;
}

std::string HostilePeer::with_message() {
  const std::string& seed = messages_[random_.below(messages_.size())];
  FrameMessage message;
  message.source_slot = static_cast<std::uint32_t>(random_.below(4));
  message.source_generation = static_cast<std::uint32_t>(random_.below(3));
  message.destination_slot = static_cast<std::uint32_t>(random_.below(5));
  message.destination_generation = static_cast<std::uint32_t>(random_.below(2));
  message.payload.kind =
      static_cast<std::uint16_t>(static_cast<unsigned char>(seed[0]) | static_cast<unsigned char>(seed[1]) << 8);
  if (random_.chance(1, 20)) message.payload.kind = static_cast<std::uint16_t>(random_.next() | 1);  // our own writer refuses 0
  message.payload.bytes = random_.chance(1, 4) ? seed.substr(2) : mutated(seed.substr(2));
  header_.first_sequence = sent_in_life_ + 1;
  FrameWriter writer(header_);
  writer.add(message);
  ++sent_in_life_;
  return writer.take();
}

std::string HostilePeer::next_frame() {
  if (fenced_) {
    ++counts_.fenced;
    new_life();
  }
  if (sent_in_life_ >= 20) {
    // Listened to for a moment: the answer waits behind all that the cluster has still to read.
    for (int tries = 0; !fenced_ && tries < 60; ++tries) {
      std::this_thread::sleep_for(1ms);
      pump();
    }
    if (fenced_) ++counts_.fenced;
    new_life();
  }
  const std::uint64_t choice = random_.below(10);
  if (choice == 0) {
    ++counts_.bytes;
    std::string bytes(random_.below(400), '\0');
    for (char& byte : bytes) byte = static_cast<char>(random_.next());
    return bytes;
  }
  if (choice < 3) {
    ++counts_.mutated;
    if (!open_) return mutated(hello());
    const std::uint64_t sent = sent_in_life_;
    std::string bytes = with_message();
    // A wrong header ends the session sooner or later, so most lives keep theirs.
    const std::size_t kept = header_.source.value % 10 == 0 ? 0 : kFrameHeaderBytes;
    bytes = bytes.substr(0, kept) + mutated(bytes.substr(kept));
    sent_in_life_ = sent;  // it may not count, and a gap would silence all that follows
    return bytes;
  }
  ++counts_.messages;
  return open_ ? with_message() : hello();
}

void HostilePeer::pump() {
  for (const int descriptor : descriptors_) channel_->wake(descriptor);
  while (channel_->pump()) {
  }
}

bool HostilePeer::send(std::uint64_t frames) {
  for (std::uint64_t i = 0; i < frames; ++i) {
    const std::string frame = next_frame();
    const Time end = real_now() + 10s;
    while (!channel_->send(connection_, frame)) {
      if (real_now() >= end) return false;
      pump();
      std::this_thread::sleep_for(1ms);
    }
    if (i % 4 == 0) pump();
    // Frames outside of a session are soon thrown away; most of them shall get further.
    for (int tries = 0; !open_ && tries < 20; ++tries) {
      if (tries == 0 || tries == 10) (void)channel_->send(connection_, hello());
      std::this_thread::sleep_for(500us);
      pump();
    }
  }
  return true;
}

}  // namespace baton::test
