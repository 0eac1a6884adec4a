// SPDX-License-Identifier: Apache-2.0
#include "models/byte_cursor.h"

namespace baton {

std::string quoted(std::string_view name) {
  constexpr std::size_t kShown = 80;
  constexpr char kHex[] = "0123456789abcdef";
  std::string out = "\"";
  for (const char c : name.substr(0, kShown)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte < 0x7F && byte != '"' && byte != '\\') {
      out += c;
    } else {
      out += {'\\', 'x', kHex[byte >> 4], kHex[byte & 15]};
    }
  }
  return out + (name.size() > kShown ? "...\"" : "\"");
}

}  // namespace baton
