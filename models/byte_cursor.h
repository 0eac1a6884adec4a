// SPDX-License-Identifier: Apache-2.0
// ByteCursor: reads little-endian values off a span, never past its end. A read that does not fit returns false and leaves
// the cursor where it was. Borrowed bytes; one thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>

namespace baton {

class ByteCursor {
 public:
  explicit ByteCursor(std::span<const std::byte> bytes) : bytes_(bytes) {}

  std::size_t offset() const { return offset_; }
  std::size_t left() const { return bytes_.size() - offset_; }

  template <class T>
  requires std::is_arithmetic_v<T>
  bool read(T& out) {
    if (left() < sizeof(T)) return false;
    std::memcpy(&out, bytes_.data() + offset_, sizeof(T));
    offset_ += sizeof(T);
    return true;
  }

  bool take(std::uint64_t count, std::span<const std::byte>& out) {
    if (left() < count) return false;
    out = bytes_.subspan(offset_, static_cast<std::size_t>(count));
    offset_ += static_cast<std::size_t>(count);
    return true;
  }

  // GGUF's string: a 64-bit length, then that many bytes.
  bool read_string(std::string_view& out) {
    std::uint64_t length = 0;
    std::span<const std::byte> content;
    const std::size_t before = offset_;
    if (!read(length) || !take(length, content)) {
      offset_ = before;
      return false;
    }
    out = {reinterpret_cast<const char*>(content.data()), content.size()};
    return true;
  }

 private:
  std::span<const std::byte> bytes_;
  std::size_t offset_ = 0;
};

// A name out of a file for an error message: quoted, cut at 80 bytes, control and non-ASCII bytes as \xNN.
std::string quoted(std::string_view name);

}  // namespace baton
