// SPDX-License-Identifier: Apache-2.0
#include "kernels/cpu/row_hash.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>
#include <utility>
#include <vector>

namespace baton::cpu {
namespace {

std::vector<std::byte> bytes_of(std::size_t count) {
  std::vector<std::byte> bytes(count);
  for (std::size_t i = 0; i < count; ++i) bytes[i] = static_cast<std::byte>(i * 7 + i / 256);
  return bytes;
}

TEST(RowHash, IsWhatItsDefinitionSays) {
  // By a few lines of Python that follow the header's formula. Workers of one cluster compare such sums: they never change.
  const std::map<std::size_t, std::uint64_t> wanted = {{8, 0xa30d4c8350bf0e6a},   {20, 0x6df6bc2cd16faa98},  {32, 0xcd2ec4a32f4d0ad9},  {128, 0x847392515f9194a1},
                                                       {256, 0x1d6e259d370ec4fd}, {1024, 0xf51435a72f8dce37}, {2048, 0xbb487e0d9be1c94c}};
  const std::vector<std::byte> bytes = bytes_of(3 * 2048);
  for (const auto& [row_bytes, hash] : wanted) {
    EXPECT_EQ(scalar::hash_rows({bytes.data(), row_bytes, 3, 5}), hash) << row_bytes;
    EXPECT_EQ(hash_rows({bytes.data(), row_bytes, 3, 5}), hash) << row_bytes;
  }
}

TEST(RowHash, IsTheSameForEveryWidthOfVector) {
  if (__builtin_cpu_supports("avx2") == 0) GTEST_SKIP() << "no AVX2";
  const std::vector<std::byte> bytes = bytes_of(17 * 2080 + 1);
  for (std::size_t row_bytes = 32; row_bytes <= 2080; row_bytes += 32)
    for (const std::uint32_t count : {0u, 1u, 2u, 17u}) {
      const HashRows arguments{bytes.data() + 1, row_bytes, count, row_bytes * 977};  // not aligned
      EXPECT_EQ(avx2::hash_rows(arguments), scalar::hash_rows(arguments)) << row_bytes << " x " << count;
    }
}

// Each bit, each pair of neighbouring words and rows, and a row that is another position's.
TEST(RowHash, SeesWhatMayGoWrong) {
  constexpr std::size_t kRow = 128;
  std::vector<std::byte> bytes = bytes_of(4 * kRow);
  const HashRows all{bytes.data(), kRow, 4, 9};
  std::set<std::uint64_t> seen = {hash_rows(all)};
  std::size_t changes = 1;
  const auto look = [&] {
    ++changes;
    seen.insert(hash_rows(all));
  };
  for (std::size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    bytes[bit / 8] ^= static_cast<std::byte>(1u << bit % 8);
    look();
    bytes[bit / 8] ^= static_cast<std::byte>(1u << bit % 8);
  }
  const auto exchange = [&](std::size_t one, std::size_t other, std::size_t length) {
    std::swap_ranges(bytes.begin() + static_cast<std::ptrdiff_t>(one), bytes.begin() + static_cast<std::ptrdiff_t>(one + length), bytes.begin() + static_cast<std::ptrdiff_t>(other));
    look();
    std::swap_ranges(bytes.begin() + static_cast<std::ptrdiff_t>(one), bytes.begin() + static_cast<std::ptrdiff_t>(one + length), bytes.begin() + static_cast<std::ptrdiff_t>(other));
  };
  for (std::size_t word = 0; word + 8 < kRow; word += 8) exchange(word, word + 8, 8);
  for (std::size_t row = 0; row < 3; ++row) exchange(row * kRow, (row + 1) * kRow, kRow);
  for (std::uint32_t count = 0; count < 4; ++count, ++changes) seen.insert(hash_rows({bytes.data(), kRow, count, 9}));
  for (std::uint64_t tag = 10; tag < 20; ++tag, ++changes) seen.insert(hash_rows({bytes.data(), kRow, 4, tag}));
  for (std::size_t cut = 0; cut < bytes.size(); cut += 8) {  // what never landed
    std::vector<std::byte> part = bytes;
    std::fill(part.begin() + static_cast<std::ptrdiff_t>(cut), part.end(), std::byte{0});
    seen.insert(hash_rows({part.data(), kRow, 4, 9}));
    ++changes;
  }
  EXPECT_EQ(seen.size(), changes);
}

// A block's digest is the sum of its rows', so it adds up over any division.
TEST(RowHash, AddsUp) {
  const std::vector<std::byte> bytes = bytes_of(10 * 64);
  const std::uint64_t first = hash_rows({bytes.data(), 64, 4, 7});
  const std::uint64_t rest = hash_rows({bytes.data() + 4 * 64, 64, 6, 7 + 4 * kRowTagStep});
  EXPECT_EQ(first + rest, hash_rows({bytes.data(), 64, 10, 7}));
}

}  // namespace
}  // namespace baton::cpu
