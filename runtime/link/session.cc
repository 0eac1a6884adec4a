// SPDX-License-Identifier: Apache-2.0
#include "runtime/link/session.h"

#include <algorithm>
#include <utility>

#include "runtime/base/check.h"

namespace baton {
namespace {

std::size_t wire_bytes(const std::vector<FrameMessage>& messages) {
  std::size_t bytes = 0;
  for (const FrameMessage& message : messages) bytes += message.wire_bytes();
  return bytes;
}

}  // namespace

bool Session::push(FrameMessage message) {
  const std::size_t bytes = message.wire_bytes();
  if (queue_.size() >= limits_.queue_messages_max || queue_bytes_ + bytes > limits_.queue_bytes_max) return false;
  queue_bytes_ += bytes;
  queue_.push_back(std::move(message));
  return true;
}

bool Session::ready() const {
  if (sent_ == queue_.size()) return false;
  return sent_ == 0 || sent_bytes_ + queue_[sent_].wire_bytes() <= limits_.window_bytes;
}

std::size_t Session::fill(FrameWriter& frame, std::size_t from) const {
  std::size_t taken = 0;
  std::size_t window = from == sent_ ? sent_bytes_ : 0;
  while (from + taken < queue_.size() && taken < kFrameMessagesMax) {
    const FrameMessage& message = queue_[from + taken];
    const std::size_t bytes = message.wire_bytes();
    const bool first = taken == 0;
    if (!first && frame.bytes() + bytes > kFrameBytesTarget) break;
    if (!first && window + bytes > limits_.window_bytes) break;
    frame.add(message);
    window += bytes;
    ++taken;
  }
  return taken;
}

void Session::mark_sent(std::size_t messages) {
  CHECK(sent_ + messages <= queue_.size());
  for (std::size_t i = 0; i < messages; ++i) sent_bytes_ += queue_[sent_ + i].wire_bytes();
  sent_ += messages;
  sent_max_ = std::max(sent_max_, sent_);
}

void Session::rewind() {
  sent_ = 0;
  sent_bytes_ = 0;
}

bool Session::acknowledge(std::uint64_t ack) {
  if (ack <= acknowledged_ || ack - acknowledged_ > sent_max_) return false;
  const std::size_t covered = static_cast<std::size_t>(ack - acknowledged_);
  for (std::size_t i = 0; i < covered; ++i) {
    const std::size_t bytes = queue_.front().wire_bytes();
    queue_bytes_ -= bytes;
    if (i < sent_) sent_bytes_ -= bytes;
    queue_.pop_front();
  }
  sent_ -= std::min(sent_, covered);
  sent_max_ -= covered;
  acknowledged_ = ack;
  return true;
}

Session::Accepted Session::accept(std::uint64_t first_sequence, std::vector<FrameMessage> messages) {
  Accepted accepted;
  if (messages.empty()) return accepted;
  const std::uint64_t last = first_sequence + messages.size() - 1;
  if (last <= received_) {
    accepted.duplicate = true;
    return accepted;
  }
  if (first_sequence > received_ + 1) {
    const std::size_t bytes = wire_bytes(messages);
    if (held_.contains(first_sequence)) {
      accepted.duplicate = true;
    } else if (held_.size() >= limits_.held_frames_max || held_bytes_ + bytes > limits_.held_bytes_max) {
      accepted.dropped = true;
    } else {
      held_bytes_ += bytes;
      held_.emplace(first_sequence, std::move(messages));
    }
    return accepted;
  }
  const auto take = [&](std::uint64_t first, std::vector<FrameMessage>& from) {
    const std::uint64_t end = first + from.size();
    for (std::uint64_t sequence = std::max(first, received_ + 1); sequence < end; ++sequence)
      accepted.messages.push_back(std::move(from[static_cast<std::size_t>(sequence - first)]));
    received_ = std::max(received_, end - 1);
  };
  accepted.duplicate = first_sequence <= received_;
  take(first_sequence, messages);
  while (!held_.empty() && held_.begin()->first <= received_ + 1) {
    held_bytes_ -= wire_bytes(held_.begin()->second);
    take(held_.begin()->first, held_.begin()->second);
    held_.erase(held_.begin());
  }
  return accepted;
}

}  // namespace baton
