// SPDX-License-Identifier: Apache-2.0
#include "runtime/link/frame.h"

#include <bit>
#include <cstddef>
#include <cstring>
#include <limits>
#include <string>
#include <utility>

#include "runtime/base/check.h"

namespace baton {
namespace {

static_assert(std::endian::native == std::endian::little, "frames are little-endian and written as they lie in memory");
constexpr std::size_t kCountOffset = 72;

// How a frame begins, as it lies in memory.
struct WireHeader {
  std::uint32_t magic;
  std::uint16_t version;
  std::uint16_t flags;
  std::uint64_t source;
  std::uint64_t source_incarnation;
  std::uint64_t destination;
  std::uint64_t destination_incarnation;
  std::uint64_t first_sequence;
  std::uint64_t ack;
  std::uint64_t challenge;
  std::uint64_t echo;
  std::uint32_t count;
  std::uint32_t reserved;
};
static_assert(sizeof(WireHeader) == kFrameHeaderBytes && offsetof(WireHeader, count) == kCountOffset);

template <class Header>
Header header_at(const char* bytes) {
  Header header;
  std::memcpy(&header, bytes, sizeof header);
  return header;
}
tl::unexpected<Error> bogus(const char* what) { return fail(ErrorCode::kInvalidArgument, what); }

// Every message of `bytes` is whole and they fill it.
Result<void> check_messages(std::string_view bytes, std::uint32_t count) {
  for (std::uint32_t i = 0; i < count; ++i) {
    if (bytes.size() < kMessageHeaderBytes) return bogus("frame ends inside a message header");
    const auto header = header_at<MessageHeader>(bytes.data());
    if (header.kind == 0 || header.reserved != 0) return bogus("message header is malformed");
    if (header.bytes > bytes.size() - kMessageHeaderBytes) return bogus("frame ends inside a message");
    bytes.remove_prefix(kMessageHeaderBytes + header.bytes);
  }
  if (!bytes.empty()) return bogus("bytes after the last message");
  return {};
}

}  // namespace

void append_message(std::string& bytes, const MessageView& message) {
  CHECK(message.payload.kind != 0, "message kind 0 is never used");
  CHECK(message.payload.bytes.size() <= kMessageBytesMax, "message does not fit into a frame");
  const MessageHeader header{static_cast<std::uint32_t>(message.payload.bytes.size()), message.payload.kind, 0, message.source_slot,
                             message.source_generation, message.destination_slot, message.destination_generation};
  bytes.append(reinterpret_cast<const char*>(&header), sizeof header);
  bytes.append(message.payload.bytes);
}

MessageBatch::MessageBatch(std::string_view bytes, std::size_t count, std::string storage) : bytes_(std::move(storage)), count_(count) {
  bytes_.assign(bytes);
}

MessageView MessageBatch::operator[](std::size_t index) const {
  std::size_t at = at_;
  for (; index > 0; --index) at += message_bytes_at(bytes_, at);
  return view_at(at);
}

FrameWriter::FrameWriter(const FrameHeader& header, std::string storage) : bytes_(std::move(storage)) {
  const WireHeader wire{kFrameMagic, kFrameVersion, header.flags, header.source.value, header.source_incarnation.value, header.destination.value,
                        header.destination_incarnation.value, header.first_sequence, header.ack, header.challenge, header.echo, 0, 0};
  bytes_.assign(reinterpret_cast<const char*>(&wire), sizeof wire);
}

void FrameWriter::add(const MessageView& message) {
  append_message(bytes_, message);
  ++messages_;
}

void FrameWriter::add_written(std::string_view bytes, std::size_t count) {
  bytes_.append(bytes);
  messages_ += static_cast<std::uint32_t>(count);
}

std::string FrameWriter::take() {
  std::memcpy(bytes_.data() + kCountOffset, &messages_, sizeof messages_);
  return std::move(bytes_);
}

Result<Frame> decode_frame(std::string_view bytes, std::string storage) {
  if (bytes.size() < kFrameHeaderBytes) return bogus("frame is shorter than its header");
  if (bytes.size() > kFrameBytesMax) return bogus("frame is longer than allowed");
  const auto wire = header_at<WireHeader>(bytes.data());
  if (wire.magic != kFrameMagic) return bogus("not a link frame");
  if (wire.version != kFrameVersion) return fail(ErrorCode::kIncompatible, "frame of another link version");
  const FrameHeader header{wire.flags, NodeId{wire.source}, Incarnation{wire.source_incarnation}, NodeId{wire.destination},
                           Incarnation{wire.destination_incarnation}, wire.first_sequence, wire.ack, wire.challenge, wire.echo};
  const std::uint32_t count = wire.count;
  const std::string_view body = bytes.substr(kFrameHeaderBytes);
  if ((header.flags & ~kFrameFlagsKnown) != 0 || wire.reserved != 0) return bogus("frame sets bits of no meaning");
  if (header.source.value == 0 || header.source_incarnation.value == 0 || header.destination.value == 0) return bogus("frame without addresses");
  if ((header.challenge == 0) != ((header.flags & kFrameFenced) != 0)) return bogus("every frame but a refusal carries a challenge");
  if ((header.flags & kFrameFenced) != 0 && (header.flags != kFrameFenced || count != 0)) return bogus("a refusal says nothing else");
  if (count > kFrameMessagesMax || count * kMessageHeaderBytes > body.size()) return bogus("message count does not fit the frame");
  if ((count == 0) != (header.first_sequence == 0)) return bogus("sequence number and message count disagree");
  if (header.first_sequence > std::numeric_limits<std::uint64_t>::max() - count) return bogus("sequence number out of range");
  RETURN_IF_ERROR(check_messages(body, count));
  return Frame{header, MessageBatch(body, count, std::move(storage))};
}

}  // namespace baton
