// SPDX-License-Identifier: Apache-2.0
#include "runtime/link/session.h"

#include <algorithm>
#include <utility>

#include "runtime/base/check.h"

namespace baton {
namespace {

// Memory kept by a session that has nothing to send.
constexpr std::size_t kSmallRunBytes = 4096;

}  // namespace

Session::~Session() {
  for (Run& run : runs_) pool_.give(std::move(run.bytes));
}

bool Session::push(const MessageView& message) {
  const std::size_t bytes = message.wire_bytes();
  if (queued_ >= limits_.queue_messages_max || queue_bytes_ + bytes > limits_.queue_bytes_max) return false;
  if (runs_.empty()) runs_.emplace_back();
  if (runs_.back().count > 0 && runs_.back().bytes.size() + bytes > kFrameBytesTarget - kFrameHeaderBytes) {
    runs_.push_back({pool_.take(), 0});
  } else if (runs_.back().bytes.capacity() <= kSmallRunBytes && runs_.back().bytes.size() + bytes > kSmallRunBytes) {
    // More than the few that most turns send.
    std::string big = pool_.take();
    big.assign(runs_.back().bytes);
    runs_.back().bytes = std::move(big);
  }
  append_message(runs_.back().bytes, message);
  ++runs_.back().count;
  queue_bytes_ += bytes;
  ++queued_;
  return true;
}

bool Session::at_end(const Place& place) const {
  const std::size_t run = static_cast<std::size_t>(place.run - runs_gone_);
  return run == runs_.size() || (run + 1 == runs_.size() && place.offset == runs_[run].bytes.size());
}

std::size_t Session::step(Place& place, std::size_t messages) const {
  std::size_t stepped = 0;
  while (messages > 0) {
    const Run& run = run_of(place);
    if (place.offset == run.bytes.size()) {
      place = {place.run + 1, 0};
    } else if (place.offset == 0 && messages >= run.count) {
      place.offset = run.bytes.size();
      stepped += place.offset;
      messages -= run.count;
    } else {
      const std::size_t bytes = message_bytes_at(run.bytes, place.offset);
      place.offset += bytes;
      stepped += bytes;
      --messages;
    }
  }
  return stepped;
}

bool Session::ready() const {
  if (sent_ == queued_) return false;
  Place next = cursor_;
  return sent_ == 0 || sent_bytes_ + step(next, 1) <= limits_.window_bytes;
}

std::size_t Session::fill(FrameWriter& frame, Place from, std::size_t window) const {
  std::size_t taken = 0;
  bool full = false;
  while (!full && !at_end(from)) {
    if (from.offset == run_of(from).bytes.size()) from = {from.run + 1, 0};
    const Run& run = run_of(from);
    const auto fits = [&](std::size_t count, std::size_t bytes) {
      return taken + count <= kFrameMessagesMax && frame.bytes() + bytes <= kFrameBytesTarget && window + bytes <= limits_.window_bytes;
    };
    std::size_t end = from.offset;
    std::size_t count = 0;
    if (from.offset == 0 && fits(run.count, run.bytes.size())) {
      end = run.bytes.size();
      count = run.count;
    }
    while (end < run.bytes.size() && !full) {
      const std::size_t bytes = message_bytes_at(run.bytes, end);
      const bool first = taken + count == 0;
      full = !first && !fits(count + 1, end - from.offset + bytes);
      if (full) break;
      end += bytes;
      ++count;
    }
    frame.add_written(std::string_view(run.bytes).substr(from.offset, end - from.offset), count);
    window += end - from.offset;
    taken += count;
    from.offset = end;
  }
  return taken;
}

void Session::mark_sent(std::size_t messages) {
  CHECK(sent_ + messages <= queued_);
  sent_bytes_ += step(cursor_, messages);
  sent_ += messages;
  sent_max_ = std::max(sent_max_, sent_);
}

void Session::rewind() {
  sent_ = 0;
  sent_bytes_ = 0;
  cursor_ = front_;
}

bool Session::acknowledge(std::uint64_t ack) {
  if (ack <= acknowledged_ || ack - acknowledged_ > sent_max_) return false;
  const std::size_t covered = static_cast<std::size_t>(ack - acknowledged_);
  const std::size_t in_flight = std::min(covered, sent_);
  const std::size_t bytes = step(front_, in_flight);
  sent_bytes_ -= bytes;
  queue_bytes_ -= bytes + step(front_, covered - in_flight);
  queued_ -= covered;
  if (covered >= sent_) cursor_ = front_;
  sent_ -= in_flight;
  sent_max_ -= covered;
  acknowledged_ = ack;
  forget_acknowledged();
  return true;
}

// The last run stays as memory for what comes next, unless it is big.
void Session::forget_acknowledged() {
  while (runs_.size() > 1 && runs_gone_ < front_.run) {
    pool_.give(std::move(runs_.front().bytes));
    runs_.pop_front();
    ++runs_gone_;
  }
  if (queued_ > 0) return;
  Run& last = runs_.front();
  last.count = 0;
  if (last.bytes.capacity() <= kSmallRunBytes) last.bytes.clear();
  else pool_.give(std::exchange(last.bytes, {}));
  front_ = cursor_ = {runs_gone_, 0};
}

Session::Accepted Session::accept(std::uint64_t first_sequence, MessageBatch messages) {
  Accepted accepted;
  if (messages.empty()) return accepted;
  const std::uint64_t last = first_sequence + messages.size() - 1;
  if (last <= received_) {
    accepted.duplicate = true;
    return accepted;
  }
  if (first_sequence > received_ + 1) {
    const std::size_t bytes = messages.wire_bytes();
    if (held_.contains(first_sequence)) {
      accepted.duplicate = true;
    } else if (held_.size() >= limits_.held_frames_max || held_bytes_ + bytes > limits_.held_bytes_max) {
      accepted.dropped = true;
    } else {
      messages.shrink();
      held_bytes_ += bytes;
      held_.emplace(first_sequence, std::move(messages));
    }
    return accepted;
  }
  const auto take = [&](std::uint64_t first, MessageBatch& from) {
    const std::uint64_t end = first + from.size();
    for (; first < end && first <= received_; ++first) from.pop_front();
    if (first < end) accepted.batches.push_back(std::move(from));
    received_ = std::max(received_, end - 1);
  };
  accepted.duplicate = first_sequence <= received_;
  take(first_sequence, messages);
  while (!held_.empty() && held_.begin()->first <= received_ + 1) {
    held_bytes_ -= held_.begin()->second.wire_bytes();
    take(held_.begin()->first, held_.begin()->second);
    held_.erase(held_.begin());
  }
  return accepted;
}

}  // namespace baton
