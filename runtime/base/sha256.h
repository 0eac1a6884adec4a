// SPDX-License-Identifier: Apache-2.0
// SHA-256: to know a downloaded file for the one that was meant, and keys without keeping them. One thread per object.
// FIPS 180-4.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "runtime/base/result.h"

namespace baton {

class Sha256 {
 public:
  void update(std::string_view bytes);
  std::string finish();  // 64 hexadecimal digits; the object is used up

 private:
  void process(const unsigned char* block);

  std::array<std::uint32_t, 8> state_ = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                         0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  std::array<unsigned char, 64> buffer_{};
  std::size_t buffered_ = 0;
  std::uint64_t bytes_ = 0;
};

Result<std::string> sha256_of_file(const std::string& path);

}  // namespace baton
