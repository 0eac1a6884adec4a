// SPDX-License-Identifier: Apache-2.0
#include "runtime/base/ids.h"

#include "runtime/base/hash.h"

namespace baton {

NodeId node_id(std::string_view name) {
  const std::uint64_t hashed = hash_bytes(name.data(), name.size(), 0);
  return NodeId{hashed == 0 ? 1 : hashed};
}

std::string to_hex(std::uint64_t value) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text(16, '0');
  for (int i = 15; i >= 0; --i, value >>= 4) text[static_cast<std::size_t>(i)] = kDigits[value & 15];
  return text;
}

std::string to_string(const TransferId& id) { return to_hex(id.high) + to_hex(id.low); }

}  // namespace baton
