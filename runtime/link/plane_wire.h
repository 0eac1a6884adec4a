// SPDX-License-Identifier: Apache-2.0
// The header of a data plane's messages (PlaneHeader). A hello opens a connection and names both ends; a piece announces bytes for places
// of a transfer. Little-endian, fixed size. Never trusted: parse() checks the form, TransferTable the content.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "runtime/link/data_plane.h"
#include "runtime/link/message_link.h"

namespace baton {

struct PlaneHeader {
  static constexpr std::uint32_t kMagic = 0x50444142;  // "BADP"
  static constexpr std::uint16_t kVersion = 1;
  static constexpr std::uint16_t kHello = 1;
  static constexpr std::uint16_t kPiece = 2;
  // Marks the send of a hello among operations (| endpoint); pieces count up from 1.
  static constexpr std::uint64_t kHelloOperation = std::uint64_t{1} << 63;

  std::uint32_t magic = kMagic;
  std::uint16_t version = kVersion;
  std::uint16_t kind = 0;
  std::uint64_t sender_node = 0;
  std::uint64_t sender_incarnation = 0;
  std::uint64_t first = 0;   // hello: the node that is dialled; piece: the transfer's high half
  std::uint64_t second = 0;  // hello: its incarnation; piece: the low half
  std::uint32_t first_place = 0;
  std::uint32_t place_count = 0;
  std::uint64_t bytes = 0;
};
static_assert(sizeof(PlaneHeader) == kPlaneHeaderBytes);

inline PlaneHeader header_of(std::uint16_t kind, const PeerKey& self) {
  PlaneHeader header;
  header.kind = kind;
  header.sender_node = self.node.value;
  header.sender_incarnation = self.incarnation.value;
  return header;
}

inline MessageHeaderBytes to_bytes(const PlaneHeader& header) {
  MessageHeaderBytes bytes;
  std::memcpy(bytes.data(), &header, sizeof header);
  return bytes;
}

inline bool parse(std::span<const std::byte> bytes, PlaneHeader& header) {
  if (bytes.size() != sizeof header) return false;
  std::memcpy(&header, bytes.data(), sizeof header);
  return header.magic == PlaneHeader::kMagic && header.version == PlaneHeader::kVersion &&
         (header.kind == PlaneHeader::kHello || header.kind == PlaneHeader::kPiece);
}

}  // namespace baton
