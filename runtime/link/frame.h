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
// that is longer, shorter or other than this is refused whole, and nothing is allocated on the word of a length field.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

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

struct Frame {
  FrameHeader header;
  std::vector<FrameMessage> messages;
};

// Builds one frame: the header first, then messages until the caller says it is enough.
class FrameWriter {
 public:
  explicit FrameWriter(const FrameHeader& header);
  void add(const FrameMessage& message);
  std::size_t bytes() const { return bytes_.size(); }
  std::uint32_t messages() const { return messages_; }
  // The finished frame; the writer is spent.
  std::string take();

 private:
  std::string bytes_;
  std::uint32_t messages_ = 0;
};

Result<Frame> decode_frame(std::string_view bytes);

}  // namespace baton
