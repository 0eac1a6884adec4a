// SPDX-License-Identifier: Apache-2.0
#include "runtime/link/tcp_connection.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "runtime/base/check.h"

namespace baton {
namespace {

constexpr std::byte kTaken{0};
constexpr std::byte kRefused{1};
// One connection's share of a turn; others wait meanwhile.
constexpr std::uint64_t kTurnBytes = 4 << 20;
constexpr std::size_t kStagingBytes = 64 << 10;
constexpr std::size_t kFramesPerCall = 32;
// From this size on a payload is read alone with the next frame's head, straight into place; below, copying out of a bulk
// read costs less than the calls.
constexpr std::uint64_t kLargePayload = 32 << 10;
// Answers the other end did not take: it does not read, or it means harm.
constexpr std::size_t kAnswersLimit = 64 << 10;

}  // namespace

TcpConnection::TcpConnection(EndpointId id, int file, bool dialled, Time since, std::uint64_t payload_limit)
    : id_(id), file_(file), dialled_(dialled), since_(since), payload_limit_(payload_limit) {
  if (!dialled) staged_.resize(kStagingBytes);
}

TcpConnection::~TcpConnection() {
  // A reset instead of a farewell: bytes the kernel still holds would be read from memory that is no longer ours to send.
  const linger now{1, 0};
  setsockopt(file_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
  ::close(file_);
}

void TcpConnection::queue(std::uint64_t operation, const MessageHeaderBytes& header, std::span<const std::byte> payload) {
  Message& message = messages_.emplace_back();
  message.operation = operation;
  message.payload = payload;
  const std::uint64_t bytes = payload.size();
  std::memcpy(message.frame.data(), &bytes, sizeof bytes);
  std::memcpy(message.frame.data() + sizeof bytes, header.data(), header.size());
}

void TcpConnection::ready(std::uint32_t epoll_events) {
  if ((epoll_events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) ending_ = readable_ = true;
  if ((epoll_events & EPOLLIN) != 0) readable_ = true;
  if ((epoll_events & EPOLLOUT) != 0) writable_ = true;
}

bool TcpConnection::move(MessageEvents& events) {
  bool moved = false;
  if (dialled_) {
    if (readable_) moved |= read_answers(events);
    if (writable_ && broken_.empty() && written_ < messages_.size()) moved |= write_frames();
  } else {
    if (readable_) moved |= read_frames(events);
    if (writable_ && broken_.empty() && !answers_.empty()) moved |= write_answers();
  }
  return moved;
}

// False: only not now.
bool TcpConnection::failed(const char* what) {
  if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) return false;
  say_broken(std::string(what) + ": " + std::strerror(errno));
  return true;
}

bool TcpConnection::write_frames() {
  std::uint64_t turn = 0;
  while (written_ < messages_.size() && turn < kTurnBytes) {
    std::array<iovec, 2 * kFramesPerCall> parts;
    std::size_t count = 0;
    std::size_t offered = 0;
    std::size_t skip = written_of_next_;
    for (std::size_t i = written_; i < messages_.size() && count + 2 <= parts.size() && offered < kTurnBytes; ++i) {
      Message& message = messages_[i];
      for (const std::span<const std::byte> part : {std::span<const std::byte>(message.frame), message.payload}) {
        const std::size_t from = std::min(skip, part.size());
        skip -= from;
        if (from == part.size()) continue;
        parts[count++] = {const_cast<std::byte*>(part.data()) + from, part.size() - from};
        offered += part.size() - from;
      }
    }
    msghdr call{};
    call.msg_iov = parts.data();
    call.msg_iovlen = count;
    const ssize_t sent = sendmsg(file_, &call, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0) {
      if (!failed("sending")) writable_ = errno == EINTR;
      break;
    }
    turn += static_cast<std::uint64_t>(sent);
    written_of_next_ += static_cast<std::size_t>(sent);
    while (written_ < messages_.size() && written_of_next_ >= messages_[written_].bytes())
      written_of_next_ -= messages_[written_++].bytes();
    if (static_cast<std::size_t>(sent) < offered) {  // the kernel's buffer is full
      writable_ = false;
      break;
    }
  }
  return turn > 0;
}

bool TcpConnection::read_answers(MessageEvents& events) {
  std::array<std::byte, 4096> answers;
  const ssize_t got = recv(file_, answers.data(), answers.size(), MSG_DONTWAIT);
  if (got == 0) say_broken("closed by the other end");
  if (got <= 0) {
    if (got < 0 && !failed("receiving")) readable_ = errno == EINTR;
    return false;
  }
  if (static_cast<std::size_t>(got) < answers.size() && !ending_) readable_ = false;
  silent_ = false;
  for (ssize_t i = 0; i < got; ++i) {
    const std::byte answer = answers[static_cast<std::size_t>(i)];
    if (written_ == 0 || (answer != kTaken && answer != kRefused)) {
      say_broken("the other end does not keep to the protocol");
      return true;
    }
    const std::uint64_t operation = messages_.front().operation;
    messages_.pop_front();
    --written_;
    events.on_sent(operation, answer == kTaken, answer == kTaken ? "" : "refused by the receiver");
  }
  return true;
}

bool TcpConnection::write_answers() {
  const ssize_t sent = send(file_, answers_.data(), answers_.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  if (sent < 0) {
    if (!failed("answering")) writable_ = errno == EINTR;
    if (answers_.size() > kAnswersLimit) say_broken("the other end does not read its answers");
    return false;
  }
  answers_.erase(answers_.begin(), answers_.begin() + sent);
  return true;
}

bool TcpConnection::read_frames(MessageEvents& events) {
  std::uint64_t turn = 0;
  while (broken_.empty() && turn < kTurnBytes) {
    std::array<std::byte, kStagingBytes> refused;
    iovec parts[2];
    int count = 0;
    std::size_t asked = 0;
    std::size_t direct = 0;
    std::size_t room = staged_.size() - staged_to_;
    if (payload_left_ > 0) {  // then nothing is staged
      direct = place_ != nullptr ? payload_left_ : std::min<std::uint64_t>(payload_left_, refused.size());
      parts[count++] = {place_ != nullptr ? place_ : refused.data(), direct};
      if (direct < payload_left_) room = 0;
    }
    if (payload_bytes_ >= kLargePayload) room = std::min(room, kTcpFrameBytes - staged_to_);
    if (room > 0) parts[count++] = {staged_.data() + staged_to_, room};
    asked = direct + room;
    const ssize_t got = readv(file_, parts, count);
    if (got == 0) say_broken("closed by the other end");
    if (got <= 0) {
      if (got < 0 && !failed("receiving")) readable_ = errno == EINTR;
      break;
    }
    const auto bytes = static_cast<std::size_t>(got);
    turn += bytes;
    const std::size_t placed = std::min(bytes, direct);
    if (placed > 0) {
      if (place_ != nullptr) place_ += placed;
      payload_left_ -= placed;
      if (payload_left_ == 0) end_payload(events);
    }
    staged_to_ += bytes - placed;
    take_staged(events);
    if (bytes < asked && !ending_) {
      readable_ = false;
      break;
    }
  }
  return turn > 0;
}

// Takes whole frames' heads, and what lies here of their payloads, out of what was read in bulk.
void TcpConnection::take_staged(MessageEvents& events) {
  while (broken_.empty()) {
    const std::size_t there = staged_to_ - staged_from_;
    if (payload_left_ > 0) {
      const std::size_t part = std::min<std::uint64_t>(there, payload_left_);
      if (part == 0) break;
      if (place_ != nullptr) {
        std::memcpy(place_, staged_.data() + staged_from_, part);
        place_ += part;
      }
      staged_from_ += part;
      payload_left_ -= part;
      if (payload_left_ == 0) end_payload(events);
    } else if (there >= kTcpFrameBytes) {
      begin_frame(events);
    } else {
      break;
    }
  }
  if (staged_from_ == 0) return;
  std::memmove(staged_.data(), staged_.data() + staged_from_, staged_to_ - staged_from_);
  staged_to_ -= staged_from_;
  staged_from_ = 0;
}

void TcpConnection::begin_frame(MessageEvents& events) {
  const std::byte* frame = staged_.data() + staged_from_;
  std::uint64_t bytes = 0;
  std::memcpy(&bytes, frame, sizeof bytes);
  staged_from_ += kTcpFrameBytes;
  if (bytes > payload_limit_) return say_broken("announces more bytes than the pool has");
  silent_ = false;
  payload_bytes_ = payload_left_ = bytes;
  const MessageEvents::Destination to = events.on_message(id_, {frame + sizeof bytes, kPlaneHeaderBytes}, bytes);
  place_ = bytes > 0 ? to.to : nullptr;
  receive_ = place_ != nullptr ? to.operation : 0;
  if (bytes == 0) answers_.push_back(kTaken);
}

void TcpConnection::end_payload(MessageEvents& events) {
  const bool taken = place_ != nullptr;
  place_ = nullptr;
  answers_.push_back(taken ? kTaken : kRefused);
  if (taken) events.on_received(std::exchange(receive_, 0), true, {});
}

std::vector<std::uint64_t> TcpConnection::take_sends() {
  std::vector<std::uint64_t> operations;
  for (const Message& message : messages_) operations.push_back(message.operation);
  messages_.clear();
  written_ = 0;
  return operations;
}

std::uint64_t TcpConnection::take_receive() { return std::exchange(receive_, 0); }

}  // namespace baton
