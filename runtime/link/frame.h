// SPDX-License-Identifier: Apache-2.0
// The link frame: what one Channel::send carries. Pure functions over bytes; any thread. Little-endian, fixed header:
//
//   0 magic u32   4 version u16   6 flags u16
//   8 source node u64         16 source incarnation u64
//  24 destination node u64    32 destination incarnation u64 (0: not known yet)
//  40 first sequence u64      48 cumulative ack u64
//  56 challenge u64           64 echo u64            72 message count u32   76 reserved u32 (0)
//
// then for each message: bytes u32, kind u16, reserved u16 (0), source slot u32, source generation u32, destination slot
// u32, destination generation u32, the bytes. Bounded by kFrameBytesMax and kFrameMessagesMax. Decoding is strict: a frame
// that is longer, shorter or other than this is refused whole, and nothing is allocated on the word of a length field. A change of
// this layout takes a new kFrameVersion; a frame of another version is refused (kIncompatible) and counted, its link never comes up.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>

#include "runtime/actor/outbox.h"
#include "runtime/base/ids.h"
#include "runtime/base/result.h"
#include "runtime/link/channel.h"

namespace baton {

inline constexpr std::uint32_t kFrameMagic = 0x4e544142;  // "BATN"
inline constexpr std::uint16_t kFrameVersion = 1;
inline constexpr std::size_t kFrameHeaderBytes = 80;
inline constexpr std::size_t kMessageHeaderBytes = 24;
inline constexpr std::size_t kFrameMessagesMax = 4096;
// Messages of one turn share frames up to this size; one bigger message gets a frame of its own.
inline constexpr std::size_t kFrameBytesTarget = 64u << 10;
inline constexpr std::size_t kMessageBytesMax = kFrameBytesMax - kFrameHeaderBytes - kMessageHeaderBytes;

enum FrameFlag : std::uint16_t {
  kFrameHello = 1,   // answer with a frame that echoes the challenge
  kFrameFenced = 2,  // the source has retired the destination's life and will never listen to it again
  kFrameGap = 4,     // the source holds frames beyond `ack`: resend what follows it
};
inline constexpr std::uint16_t kFrameFlagsKnown = kFrameHello | kFrameFenced | kFrameGap;

struct FrameHeader {
  std::uint16_t flags = 0;
  NodeId source;
  Incarnation source_incarnation;
  NodeId destination;
  Incarnation destination_incarnation;
  std::uint64_t first_sequence = 0;  // of the first message; 0 in a frame without messages
  std::uint64_t ack = 0;             // every sequence number up to this one has arrived
  std::uint64_t challenge = 0;
  std::uint64_t echo = 0;
};

// One message with its addresses inside the two lives the frame names.
struct FrameMessage {
  std::uint32_t source_slot = 0;
  std::uint32_t source_generation = 0;
  std::uint32_t destination_slot = 0;
  std::uint32_t destination_generation = 0;
  Payload payload;

  std::size_t wire_bytes() const { return kMessageHeaderBytes + payload.bytes.size(); }
};

// The same where it lies.
struct MessageView {
  MessageView(std::uint32_t from_slot, std::uint32_t from_generation, std::uint32_t to_slot, std::uint32_t to_generation, const PayloadView& what)
      : source_slot(from_slot), source_generation(from_generation), destination_slot(to_slot), destination_generation(to_generation), payload(what) {}
  MessageView(const FrameMessage& m)
      : MessageView(m.source_slot, m.source_generation, m.destination_slot, m.destination_generation, m.payload) {}
  std::uint32_t source_slot;
  std::uint32_t source_generation;
  std::uint32_t destination_slot;
  std::uint32_t destination_generation;
  PayloadView payload;

  std::size_t wire_bytes() const { return kMessageHeaderBytes + payload.bytes.size(); }
};

// How a message begins, as it lies in memory.
struct MessageHeader {
  std::uint32_t bytes;
  std::uint16_t kind;
  std::uint16_t reserved;
  std::uint32_t source_slot;
  std::uint32_t source_generation;
  std::uint32_t destination_slot;
  std::uint32_t destination_generation;
};
static_assert(sizeof(MessageHeader) == kMessageHeaderBytes);

// Appends a message as a frame holds it.
void append_message(std::string& bytes, const MessageView& message);
// The wire bytes, header included, of the message that begins at `offset` of what append_message() wrote.
inline std::size_t message_bytes_at(std::string_view bytes, std::size_t offset) {
  std::uint32_t size;
  std::memcpy(&size, bytes.data() + offset, sizeof size);
  return kMessageHeaderBytes + size;
}

// The messages of one frame that came in, in one piece of memory of their own that begins at a multiple of 16 (what malloc gives,
// and a message is longer than what a string holds inside itself). They are read in place and taken from the front; views hold
// as long as the batch lives, also if it is moved.
class MessageBatch {
 public:
  MessageBatch() = default;
  // `bytes` are `count` whole messages, which the caller has checked. `storage` is memory to use again.
  MessageBatch(std::string_view bytes, std::size_t count, std::string storage = {});

  std::size_t size() const { return count_; }
  bool empty() const { return count_ == 0; }
  std::size_t wire_bytes() const { return bytes_.size() - at_; }
  MessageView front() const { return view_at(at_); }
  void pop_front() {
    at_ += message_bytes_at(bytes_, at_);
    --count_;
  }
  MessageView operator[](std::size_t index) const;  // walks there
  // Gives up memory beyond what the messages need, for a batch that has to wait.
  void shrink() { bytes_.shrink_to_fit(); }
  // The memory, for the next; the batch is spent.
  std::string take_storage() { return std::move(bytes_); }

 private:
  MessageView view_at(std::size_t offset) const {
    MessageHeader h;
    std::memcpy(&h, bytes_.data() + offset, sizeof h);
    return {h.source_slot, h.source_generation, h.destination_slot, h.destination_generation, {h.kind, {bytes_.data() + offset + sizeof h, h.bytes}}};
  }

  std::string bytes_;
  std::size_t at_ = 0;
  std::size_t count_ = 0;
};

struct Frame {
  FrameHeader header;
  MessageBatch messages;
};

// Builds one frame: the header first, then messages until the caller says it is enough.
class FrameWriter {
 public:
  // `storage` is memory to use again; what it holds does not matter.
  explicit FrameWriter(const FrameHeader& header, std::string storage = {});
  void add(const MessageView& message);
  // `count` messages as append_message() wrote them.
  void add_written(std::string_view bytes, std::size_t count);
  std::size_t bytes() const { return bytes_.size(); }
  std::uint32_t messages() const { return messages_; }
  // The finished frame; the writer is spent.
  std::string take();

 private:
  std::string bytes_;
  std::uint32_t messages_ = 0;
};

// `storage` is memory that the messages may use; a frame that is refused leaves it alone.
Result<Frame> decode_frame(std::string_view bytes, std::string storage = {});

}  // namespace baton
