// SPDX-License-Identifier: Apache-2.0
#include "runtime/link/frame.h"

#include <bit>
#include <cstring>
#include <limits>
#include <utility>

#include "runtime/base/check.h"

namespace baton {
namespace {

static_assert(std::endian::native == std::endian::little, "frames are little-endian and written as they lie in memory");
constexpr std::size_t kCountOffset = 72;

template <class Integer>
void put(std::string& bytes, Integer value) {
  bytes.append(reinterpret_cast<const char*>(&value), sizeof value);
}

// Reads in order; the caller has checked that enough is left.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : rest_(bytes) {}
  std::size_t left() const { return rest_.size(); }
  template <class Integer>
  Integer get() {
    Integer value;
    std::memcpy(&value, rest_.data(), sizeof value);
    rest_.remove_prefix(sizeof value);
    return value;
  }
  std::string_view take(std::size_t bytes) {
    const std::string_view part = rest_.substr(0, bytes);
    rest_.remove_prefix(bytes);
    return part;
  }

 private:
  std::string_view rest_;
};

tl::unexpected<Error> bogus(const char* what) { return fail(ErrorCode::kInvalidArgument, what); }

Result<void> decode_message(Reader& in, FrameMessage& message) {
  if (in.left() < kMessageHeaderBytes) return bogus("frame ends inside a message header");
  const auto bytes = in.get<std::uint32_t>();
  message.payload.kind = in.get<std::uint16_t>();
  const auto reserved = in.get<std::uint16_t>();
  message.source_slot = in.get<std::uint32_t>();
  message.source_generation = in.get<std::uint32_t>();
  message.destination_slot = in.get<std::uint32_t>();
  message.destination_generation = in.get<std::uint32_t>();
  if (message.payload.kind == 0 || reserved != 0) return bogus("message header is malformed");
  if (bytes > in.left()) return bogus("frame ends inside a message");
  message.payload.bytes = in.take(bytes);
  return {};
}

}  // namespace

FrameWriter::FrameWriter(const FrameHeader& header) {
  bytes_.reserve(256);
  put(bytes_, kFrameMagic);
  put(bytes_, kFrameVersion);
  put(bytes_, header.flags);
  put(bytes_, header.source.value);
  put(bytes_, header.source_incarnation.value);
  put(bytes_, header.destination.value);
  put(bytes_, header.destination_incarnation.value);
  put(bytes_, header.first_sequence);
  put(bytes_, header.ack);
  put(bytes_, header.challenge);
  put(bytes_, header.echo);
  put(bytes_, std::uint32_t{0});
  put(bytes_, std::uint32_t{0});
}

void FrameWriter::add(const FrameMessage& message) {
  CHECK(message.payload.kind != 0, "message kind 0 is never used");
  CHECK(message.payload.bytes.size() <= kMessageBytesMax, "message does not fit into a frame");
  put(bytes_, static_cast<std::uint32_t>(message.payload.bytes.size()));
  put(bytes_, message.payload.kind);
  put(bytes_, std::uint16_t{0});
  put(bytes_, message.source_slot);
  put(bytes_, message.source_generation);
  put(bytes_, message.destination_slot);
  put(bytes_, message.destination_generation);
  bytes_ += message.payload.bytes;
  ++messages_;
}

std::string FrameWriter::take() {
  std::memcpy(bytes_.data() + kCountOffset, &messages_, sizeof messages_);
  return std::move(bytes_);
}

Result<Frame> decode_frame(std::string_view bytes) {
  if (bytes.size() < kFrameHeaderBytes) return bogus("frame is shorter than its header");
  if (bytes.size() > kFrameBytesMax) return bogus("frame is longer than allowed");
  Reader in(bytes);
  if (in.get<std::uint32_t>() != kFrameMagic) return bogus("not a link frame");
  if (in.get<std::uint16_t>() != kFrameVersion) return fail(ErrorCode::kIncompatible, "frame of another link version");
  Frame frame;
  FrameHeader& header = frame.header;
  header.flags = in.get<std::uint16_t>();
  header.source.value = in.get<std::uint64_t>();
  header.source_incarnation.value = in.get<std::uint64_t>();
  header.destination.value = in.get<std::uint64_t>();
  header.destination_incarnation.value = in.get<std::uint64_t>();
  header.first_sequence = in.get<std::uint64_t>();
  header.ack = in.get<std::uint64_t>();
  header.challenge = in.get<std::uint64_t>();
  header.echo = in.get<std::uint64_t>();
  const auto count = in.get<std::uint32_t>();
  const auto reserved = in.get<std::uint32_t>();
  if ((header.flags & ~kFrameFlagsKnown) != 0 || reserved != 0) return bogus("frame sets bits of no meaning");
  if (header.source.value == 0 || header.source_incarnation.value == 0 || header.destination.value == 0) return bogus("frame without addresses");
  if ((header.challenge == 0) != ((header.flags & kFrameFenced) != 0)) return bogus("every frame but a refusal carries a challenge");
  if ((header.flags & kFrameFenced) != 0 && (header.flags != kFrameFenced || count != 0)) return bogus("a refusal says nothing else");
  if (count > kFrameMessagesMax || count * kMessageHeaderBytes > in.left()) return bogus("message count does not fit the frame");
  if ((count == 0) != (header.first_sequence == 0)) return bogus("sequence number and message count disagree");
  if (header.first_sequence > std::numeric_limits<std::uint64_t>::max() - count) return bogus("sequence number out of range");
  frame.messages.resize(count);
  for (FrameMessage& message : frame.messages) RETURN_IF_ERROR(decode_message(in, message));
  if (in.left() != 0) return bogus("bytes after the last message");
  return frame;
}

}  // namespace baton
