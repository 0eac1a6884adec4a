// SPDX-License-Identifier: Apache-2.0
// One connection of TcpWorker: a socket and what is under way on it, in one direction. Knows frames and answers, no other
// connection. Owned by TcpWorker, called from its thread; what is bounded: see tcp_worker.h.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <span>
#include <string>
#include <vector>

#include "runtime/base/time.h"
#include "runtime/link/message_link.h"

namespace baton {

inline constexpr std::size_t kTcpFrameBytes = 8 + kPlaneHeaderBytes;  // the payload's length, little-endian, and the header

class TcpConnection {
 public:
  TcpConnection(EndpointId id, int file, bool dialled, Time since, std::uint64_t payload_limit);
  ~TcpConnection();  // closes; what was not sent is dropped, and the other end is told
  TcpConnection(const TcpConnection&) = delete;
  TcpConnection& operator=(const TcpConnection&) = delete;

  // Dialling side.
  void queue(std::uint64_t operation, const MessageHeaderBytes& header, std::span<const std::byte> payload);
  // What epoll reported.
  void ready(std::uint32_t epoll_events);
  // Moves what can be moved now, at most a few MiB; true if anything happened. After it, look at broken().
  bool move(MessageEvents& events);
  bool has_work() const { return broken_.empty() && (readable_ || (writable_ && wants_to_write())); }
  const std::string& broken() const { return broken_; }  // why; empty: it is alive
  void say_broken(const std::string& why) {
    if (broken_.empty()) broken_ = why;
  }
  // Has not carried anything yet.
  bool silent() const { return silent_; }
  Time since() const { return since_; }
  bool dialled() const { return dialled_; }
  // The operations under way, which the caller ends.
  std::vector<std::uint64_t> take_sends();
  std::uint64_t take_receive();  // 0: none

 private:
  struct Message {
    std::uint64_t operation = 0;
    std::array<std::byte, kTcpFrameBytes> frame;
    std::span<const std::byte> payload;
    std::size_t bytes() const { return frame.size() + payload.size(); }
  };
  bool wants_to_write() const { return written_ < messages_.size() || !answers_.empty(); }
  bool write_frames();
  bool write_answers();
  bool read_answers(MessageEvents& events);
  bool read_frames(MessageEvents& events);
  void take_staged(MessageEvents& events);
  void begin_frame(MessageEvents& events);
  void end_payload(MessageEvents& events);
  bool failed(const char* what);

  const EndpointId id_;
  const int file_;
  const bool dialled_;
  const Time since_;
  const std::uint64_t payload_limit_;
  bool readable_ = false;
  bool writable_ = false;
  bool ending_ = false;  // the other end will send no more: read until nothing is left
  bool silent_ = true;
  std::string broken_;

  std::deque<Message> messages_;     // sent and not yet answered, then waiting
  std::size_t written_ = 0;          // so many of them are with the kernel
  std::size_t written_of_next_ = 0;  // bytes of the next one

  std::vector<std::byte> staged_;  // read, not yet looked at: [staged_from_, staged_to_)
  std::size_t staged_from_ = 0;
  std::size_t staged_to_ = 0;
  std::byte* place_ = nullptr;  // where the payload goes on; null: it was refused
  std::uint64_t payload_left_ = 0;
  std::uint64_t payload_bytes_ = 0;  // of the last frame
  std::uint64_t receive_ = 0;
  std::vector<std::byte> answers_;
};

}  // namespace baton
