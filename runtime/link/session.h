// SPDX-License-Identifier: Apache-2.0
// Session: the exchange between this life and one life of a peer, both directions, without time or connections. The sending
// half numbers messages from 1 and keeps them, written as frames hold them, until the cumulative acknowledgement covers them; a
// cursor tells what has been handed to a connection, rewinding it sends again. The receiving half hands on every message once
// and in order, in the memory it came in.
// Single-threaded, owned by Links. Bounded: the queue by `queue_*_max`, the bytes in flight by the window, the frames held
// because an earlier one is missing by `held_*_max` (what does not fit is dropped and comes again).
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <vector>

#include "runtime/link/buffer_pool.h"
#include "runtime/link/frame.h"

namespace baton {

struct SessionLimits {
  std::size_t queue_messages_max = 65536;
  std::size_t queue_bytes_max = 64u << 20;
  std::size_t window_bytes = 8u << 20;  // in flight, unacknowledged; a single bigger message passes alone
  std::size_t held_frames_max = 1024;
  std::size_t held_bytes_max = 16u << 20;
};

class Session {
 public:
  // The pool is borrowed.
  Session(const SessionLimits& limits, BufferPool& pool) : limits_(limits), pool_(pool) {}
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // False: the queue is full and the message was not taken.
  bool push(const MessageView& message);
  bool empty() const { return queued_ == 0; }
  std::size_t queued() const { return queued_; }
  // Something that no connection has been given yet and that the window lets through.
  bool ready() const;
  // Something was given to a connection and is not acknowledged.
  bool in_flight() const { return sent_ > 0; }
  // Fills one frame from the cursor; returns how many messages it took. mark_sent moves the cursor once the channel took it.
  std::size_t fill(FrameWriter& frame) const { return fill(frame, cursor_, sent_bytes_); }
  // The same from the oldest unacknowledged message, whatever the cursor says.
  std::size_t fill_oldest(FrameWriter& frame) const { return fill(frame, front_, 0); }
  std::uint64_t cursor_sequence() const { return acknowledged_ + 1 + sent_; }
  std::uint64_t oldest_sequence() const { return acknowledged_ + 1; }
  void mark_sent(std::size_t messages);
  void rewind();
  // True if it covers something new. An acknowledgement of what was never sent is false and changes nothing.
  bool acknowledge(std::uint64_t ack);

  struct Accepted {
    std::vector<MessageBatch> batches;  // now in order
    bool duplicate = false;             // the sender repeats itself: it has missed our acknowledgement
    bool dropped = false;               // no room to hold it
  };
  Accepted accept(std::uint64_t first_sequence, MessageBatch messages);
  std::uint64_t received() const { return received_; }
  bool gap() const { return !held_.empty(); }

 private:
  // Messages one behind the other as frames hold them, up to kFrameBytesTarget or one bigger message.
  struct Run {
    std::string bytes;
    std::size_t count = 0;
  };
  // Where a message begins: the run, counted from the first there ever was, and the offset inside.
  struct Place {
    std::uint64_t run = 0;
    std::size_t offset = 0;
  };
  bool at_end(const Place& place) const;
  const Run& run_of(const Place& place) const { return runs_[static_cast<std::size_t>(place.run - runs_gone_)]; }
  // Steps over so many messages; returns their bytes.
  std::size_t step(Place& place, std::size_t messages) const;
  std::size_t fill(FrameWriter& frame, Place from, std::size_t window) const;
  void forget_acknowledged();

  SessionLimits limits_;
  BufferPool& pool_;
  // Sending: messages from acknowledged_ + 1 on lie in the runs from front_ on, the first sent_ of them, up to cursor_, are in flight.
  std::deque<Run> runs_;
  std::uint64_t runs_gone_ = 0;
  Place front_;
  Place cursor_;
  std::size_t queued_ = 0;
  std::uint64_t acknowledged_ = 0;
  std::size_t sent_ = 0;
  std::size_t sent_max_ = 0;  // how far sent_ has ever been: nothing beyond it can be acknowledged
  std::size_t queue_bytes_ = 0;
  std::size_t sent_bytes_ = 0;
  // Receiving.
  std::uint64_t received_ = 0;
  std::map<std::uint64_t, MessageBatch> held_;
  std::size_t held_bytes_ = 0;
};

}  // namespace baton
