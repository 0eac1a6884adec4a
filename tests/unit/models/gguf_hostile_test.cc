// SPDX-License-Identifier: Apache-2.0
// Files made to hurt: each is refused with a reason, and none makes the parser read outside the bytes (they lie in a heap
// block of exactly their size, so that AddressSanitizer sees the first byte too far).
#include <gtest/gtest.h>

#include <malloc.h>

#include <chrono>
#include <cstring>
#include <filesystem>
#include <random>

#include "models/byte_cursor.h"
#include "models/gguf_contents.h"
#include "models/model_path.h"
#include "tests/support/gguf_writer.h"
#include "tests/support/golden_data.h"

namespace baton {
namespace {

using test::gguf_string;
using test::GgufWriter;
using test::little_endian;

struct ExactBytes {
  explicit ExactBytes(std::string_view text) : size(text.size()), data(new std::byte[text.size()]) {
    if (size > 0) std::memcpy(data.get(), text.data(), size);
  }
  std::span<const std::byte> span() const { return {data.get(), size}; }
  std::size_t size;
  std::unique_ptr<std::byte[]> data;
};

// Reads everything a caller could: every value by every getter, every byte of every tensor.
std::uint64_t use_everything(const GgufContents& contents) {
  std::uint64_t sum = 0;
  for (const auto& [key, value] : contents.metadata) {
    sum += key.size() + to_uint(value).value_or(0) + to_bool(value).value_or(false) + to_float(value).has_value();
    sum += to_text(value).value_or("").size() + to_strings(value).value_or(std::vector<std::string>{}).size();
    sum += to_ints(value).value_or(std::vector<std::int64_t>{}).size() + to_floats(value).value_or(std::vector<float>{}).size();
  }
  for (const GgufTensor& tensor : contents.tensors) {
    if (tensor.view.data == nullptr) continue;
    for (std::uint32_t row = 0; row < tensor.view.rows; ++row) {
      for (std::size_t i = 0; i < tensor.view.row_bytes(); ++i) sum += static_cast<std::uint64_t>(tensor.view.row(row)[i]);
    }
  }
  return sum;
}

struct BadFile {
  const char* name;
  std::string bytes;
  const char* reason;  // must be part of the message
};

GgufWriter with_tensor() {
  GgufWriter writer;
  writer.add_string("general.architecture", "llama").add_tensor_f32("first", {8}, std::vector<float>(8, 1.0F));
  return writer;
}

template <class Change>
std::string changed(Change change) {
  GgufWriter writer = with_tensor();
  change(writer);
  return writer.build();
}

std::vector<BadFile> bad_headers() {
  const std::string good = with_tensor().build();
  const std::uint64_t huge = ~0ull;
  return {
      {"nothing", "", "not a GGUF file"},
      {"three bytes", "GGU", "not a GGUF file"},
      {"magic only", "GGUF", "header"},
      {"another format", "PK\x03\x04" + std::string(100, 'x'), "not a GGUF file"},
      {"version 0", changed([](auto& w) { w.version = 0; }), "version 0"},
      {"version 1", changed([](auto& w) { w.version = 1; }), "version 1"},
      {"version 4", changed([](auto& w) { w.version = 4; }), "version 4"},
      {"big endian", changed([](auto& w) { w.version = 0x03000000; }), "big-endian"},
      {"cut in the counts", good.substr(0, 20), "header"},
      {"2^64-1 keys", changed([=](auto& w) { w.key_count = huge; }), "metadata keys"},
      {"2^60 keys", changed([](auto& w) { w.key_count = 1ull << 60; }), "metadata keys"},
      {"one key too many", changed([](auto& w) { w.key_count = 2; }), "the file is damaged"},
      {"one key too few", changed([](auto& w) { w.key_count = 0; }), "tensor"},
      {"2^64-1 tensors", changed([=](auto& w) { w.tensor_count = huge; }), "tensors"},
      {"2^58 tensors", changed([](auto& w) { w.tensor_count = 1ull << 58; }), "tensors"},
      {"more tensors than bytes", changed([](auto& w) {
         w.tensor_count = 5;
         w.with_data = false;
       }),
       "tensors"},
      {"empty key", changed([](auto& w) { w.add_uint("", 1); }), "empty"},
      {"key of 2^16 bytes", changed([](auto& w) { w.add_uint(std::string(65536, 'k'), 1); }), "longer than 65535"},
      {"duplicate key", changed([](auto& w) { w.add_uint("twice", 1).add_uint("twice", 2); }), "\"twice\" stands there twice"},
      {"value type 13", changed([](auto& w) { w.add_raw("odd", 13, "xxxxxxxx"); }), "\"odd\" has values of type 13"},
      {"value type 2^32-1", changed([](auto& w) { w.add_raw("odd", 0xFFFFFFFF, "xxxxxxxx"); }), "\"odd\""},
      {"string longer than the file", changed([](auto& w) { w.add_raw("s", 8, little_endian(1 << 20, 8)); }),
       "\"s\" has a string"},
      {"string of 2^64-1 bytes", changed([=](auto& w) { w.add_raw("s", 8, little_endian(huge, 8)); }), "\"s\" has a string"},
      {"array of arrays", changed([](auto& w) { w.add_raw_array("a", 9, 1, std::string(40, '\0')); }),
       "\"a\" has values of type 9"},
      {"array of type 77", changed([](auto& w) { w.add_raw_array("a", 77, 1, std::string(40, '\0')); }),
       "\"a\" has values of type 77"},
      {"array of 2^62 int64", changed([](auto& w) { w.add_raw_array("a", 11, 1ull << 62, "12345678"); }), "\"a\" claims"},
      {"array of 2^61+1 int64 wraps to 8", changed([](auto& w) { w.add_raw_array("a", 11, (1ull << 61) + 1, "12345678"); }),
       "\"a\" claims"},
      {"array of 2^63 strings", changed([](auto& w) { w.add_raw_array("a", 8, 1ull << 63, "12345678"); }), "\"a\" claims"},
      {"strings that run out",
       changed([](auto& w) { w.add_raw_array("a", 8, 2, gguf_string("x") + little_endian(1 << 30, 8)); }),
       "\"a\" has a string (number 1)"},
      {"boolean 2", changed([](auto& w) { w.add_raw("b", 7, "\2"); }), "neither 0 nor 1"},
      {"boolean array with 255", changed([](auto& w) { w.add_raw_array("b", 7, 3, std::string("\0\1\xff", 3)); }),
       "neither 0 nor 1"},
      {"alignment 0", changed([](auto& w) { w.add_uint("general.alignment", 0); }), "power of two"},
      {"alignment 24", changed([](auto& w) { w.add_uint("general.alignment", 24); }), "power of two"},
      {"alignment 1", changed([](auto& w) { w.add_uint("general.alignment", 1); }), "power of two"},
      {"alignment 2^31", changed([](auto& w) { w.add_uint("general.alignment", 1u << 31); }), "power of two"},
      {"alignment as a string", changed([](auto& w) { w.add_string("general.alignment", "32"); }), "unsigned integer"},
      {"alignment negative", changed([](auto& w) { w.add_raw("general.alignment", 5, little_endian(~0ull, 4)); }),
       "unsigned integer"},
      {"part of a split model", changed([](auto& w) { w.add_uint("split.count", 3); }), "merge"},
      {"split count of a wrong type", changed([](auto& w) { w.add_string("split.count", "1"); }), "merge"},
  };
}

std::vector<BadFile> bad_tensors() {
  const std::uint64_t huge = ~0ull;
  const std::string f32(32, '\0');
  const auto tensor = [&](std::vector<std::uint64_t> shape, std::uint32_t type, std::string bytes,
                          std::optional<std::uint64_t> offset = {}, std::optional<std::uint32_t> dimensions = {}) {
    return changed([&](auto& w) { w.add_raw_tensor("bad", shape, type, bytes, offset, dimensions); });
  };
  return {
      {"no name", changed([&](auto& w) { w.add_raw_tensor("", {8}, 0, f32); }), "number 1 is empty"},
      {"name of 65 bytes", changed([&](auto& w) { w.add_raw_tensor(std::string(65, 'n'), {8}, 0, f32); }), "longer than 64"},
      {"duplicate name", changed([&](auto& w) { w.add_raw_tensor("first", {8}, 0, f32); }), "\"first\" stands there twice"},
      {"no dimension", tensor({}, 0, f32), "\"bad\" has 0 dimensions"},
      {"five dimensions", tensor({8, 1, 1, 1, 1}, 0, f32), "\"bad\" has 5 dimensions"},
      {"2^32-1 dimensions", tensor({8}, 0, f32, {}, 0xFFFFFFFF), "\"bad\" has 4294967295 dimensions"},
      {"a dimension of 0", tensor({8, 0}, 0, f32), "\"bad\" has a dimension of 0"},
      {"a dimension of 2^64-1", tensor({huge}, 0, f32), "\"bad\" has a dimension"},
      {"a dimension of 2^63", tensor({8, 1ull << 63}, 0, f32), "\"bad\" has a dimension"},
      {"product wraps to 8", tensor({8, 1u << 31, 1u << 31, 4}, 0, f32), "\"bad\" has more rows"},
      {"rows over 32 bits", tensor({1, 65536, 65537}, 0, f32), "\"bad\" has more rows"},
      {"2^64 bytes wrap to 0", tensor({1u << 31, 1u << 31}, 0, f32), "\"bad\" is larger than 64 bits"},
      {"4 EB in a small file", tensor({1u << 31, 1u << 30}, 24, f32), "\"bad\" (2305843009213693952 bytes"},
      {"unknown type 4", tensor({32}, 4, f32), "\"bad\" has type 4"},
      {"unknown type 999", tensor({32}, 999, f32), "\"bad\" has type 999"},
      {"type 2^32-1", tensor({32}, 0xFFFFFFFF, f32), "\"bad\" has type 4294967295"},
      {"Q8_0 with 31 columns", tensor({31}, 8, f32), "multiple of the 32"},
      {"Q4_1 with 33 columns", tensor({33, 2}, 3, f32), "multiple of the 32"},
      {"Q6_K with 32 columns", tensor({32}, 14, f32), "multiple of the 256"},
      {"offset not aligned", tensor({8}, 0, f32, 33), "not a multiple of the alignment"},
      {"offset behind the file", tensor({8}, 0, f32, 1 << 20), "ends behind"},
      {"offset that wraps", tensor({8}, 0, f32, huge - 31), "ends behind"},
      {"offset at the end", tensor({8}, 0, f32, 64), "ends behind"},
      {"one row too many", tensor({8, 2}, 0, f32), "ends behind"},
      {"overlap, same place", tensor({8}, 0, f32, 0), "overlaps tensor \"first\""},
      {"overlap, inside", changed([&](auto& w) {
         w.add_raw_tensor("big", {32}, 0, std::string(128, '\0')).add_raw_tensor("in", {8}, 0, f32, 64);
       }),
       "\"in\" overlaps tensor \"big\""},
      {"no data at all", changed([](auto& w) { w.with_data = false; }), "ends behind the file's 0 bytes"},
      {"last byte missing", with_tensor().build().substr(0, with_tensor().build().size() - 1), "ends behind"},
      {"hostile bytes in a name", changed([&](auto& w) { w.add_raw_tensor("\x1b[31m\n\"", {8}, 999, f32); }),
       "\\x1b[31m\\x0a\\x22"},
  };
}

TEST(GgufHostile, EveryBadFileIsRefusedWithItsReason) {
  std::vector<BadFile> files = bad_headers();
  for (BadFile& file : bad_tensors()) files.push_back(std::move(file));
  EXPECT_GE(files.size(), 60u);
  for (const BadFile& file : files) {
    const ExactBytes bytes(file.bytes);
    const auto result = parse_gguf(bytes.span());
    ASSERT_FALSE(result) << file.name;
    EXPECT_NE(result.error().message.find(file.reason), std::string::npos) << file.name << ": " << result.error().message;
    EXPECT_LT(result.error().message.size(), 400u) << file.name;
  }
}

GgufWriter rich() {
  GgufWriter writer = with_tensor();
  writer.add_strings("names", {"alpha", "", "gamma"})
      .add_ints("ints", {1, 2, 3})
      .add_floats("floats", {1, 2})
      .add_bool("yes", true);
  writer.add_raw_array("bools", 7, 2, std::string("\0\1", 2)).add_uint("general.alignment", 32).add_float("f", 2);
  writer.add_tensor("q8", {32, 4}, WeightType::kQ8_0)
      .add_tensor("q40", {64, 2}, WeightType::kQ4_0)
      .add_tensor("h", {5, 3, 2}, WeightType::kF16);
  return writer;
}

TEST(GgufHostile, NoTruncationIsAcceptedOrReadPast) {
  const std::string whole = rich().build();
  ASSERT_TRUE(parse_gguf(ExactBytes(whole).span()));
  std::size_t accepted = 0;
  for (std::size_t size = 0; size < whole.size(); ++size) {
    const ExactBytes bytes(std::string_view(whole).substr(0, size));
    const auto result = parse_gguf(bytes.span());
    if (!result) continue;
    ++accepted;
    use_everything(*result);
  }
  EXPECT_LT(accepted, 32u) << "only the padding behind the last tensor may be missing";
}

// Bytes of heap in use, with what the allocator keeps for its own.
std::size_t heap_bytes() { return mallinfo2().uordblks + mallinfo2().hblkhd; }

// Every byte up to the end of the tensor table, each with values that make lengths, counts, types and offsets huge, zero or
// just another: accepted or refused with a reason, at once, and never for more memory than the file is worth.
TEST(GgufHostile, EveryHeaderByteMayBeAnythingAtASmallPrice) {
  const std::string whole = rich().build();
  const auto parsed = parse_gguf(ExactBytes(whole).span());
  ASSERT_TRUE(parsed);
  int accepted = 0, refused = 0;
  for (std::size_t at = 0; at < parsed->header_bytes; ++at) {
    std::vector<char> values = {0, 1, 0x7f, static_cast<char>(0x80), static_cast<char>(0xff)};
    for (int bit = 0; bit < 8; ++bit) values.push_back(static_cast<char>(whole[at] ^ (1 << bit)));
    for (const char value : values) {
      std::string bytes = whole;
      bytes[at] = value;
      const ExactBytes exact(bytes);
      const std::size_t before = heap_bytes();
      const auto begin = std::chrono::steady_clock::now();
      const auto result = parse_gguf(exact.span());
      EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(1)) << at;
      EXPECT_LT(heap_bytes(), before + 16 * whole.size() + 65536) << "byte " << at << " = " << int{static_cast<unsigned char>(value)};
      if (result) {
        ++accepted;
        use_everything(*result);
      } else {
        ++refused;
        EXPECT_FALSE(result.error().message.empty());
      }
    }
  }
  EXPECT_GT(refused, 1000);
  EXPECT_GT(accepted, 1000) << "the mutations never reach the inside of the parser";
}

// Through the file, as a user meets it: the error names the file.
TEST(GgufHostile, ARefusedFileIsNamed) {
  const std::string whole = rich().build();
  for (std::size_t size = 1; size < whole.size(); size += 13) {
    const test::TempFile file(std::string_view(whole).substr(0, size));
    const auto opened = GgufFile::open(file.path());
    EXPECT_TRUE(opened || opened.error().message.find(file.path()) != std::string::npos) << opened.error().message;
  }
}

// The shapes of published holes in other readers. CVE-2024-21802: a dimension count larger than the array for it.
// CVE-2024-23605: a number of pairs whose bytes wrap. CVE-2025-53630 and CVE-2026-27940: sums of padded tensor sizes that wrap,
// so that the buffer for them is small. CVE-2026-33298: a tensor of exabytes in 4 MB whose size in bytes wraps.
TEST(GgufHostile, PublishedHolesOfOtherReadersAreRefused) {
  const std::string f32(32, '\0');
  const auto refused = [](const char* name, const std::string& bytes) {
    const ExactBytes exact(bytes);
    const std::size_t before = heap_bytes();
    const auto result = parse_gguf(exact.span());
    EXPECT_FALSE(result) << name;
    EXPECT_LT(heap_bytes(), before + 65536 + bytes.size()) << name;
  };
  refused("CVE-2024-21802", changed([&](auto& w) { w.add_raw_tensor("t", {8, 1, 1, 1}, 0, f32, {}, 0x7fffffff); }));
  refused("CVE-2024-23605", changed([](auto& w) { w.key_count = ~0ull / 48 + 2; }));
  refused("CVE-2025-53630", changed([&](auto& w) {
            w.add_raw_tensor("a", {1ull << 62}, 24, f32, 32).add_raw_tensor("b", {1ull << 62}, 24, f32, (1ull << 62) + 32);
            w.add_raw_tensor("c", {1ull << 62}, 24, f32, (1ull << 63) + 32).add_raw_tensor("d", {(1ull << 62) - 64}, 24, f32, 3 * (1ull << 62) + 32);
          }));
  refused("CVE-2026-27940", changed([&](auto& w) { w.add_raw_tensor("t", {8}, 0, f32, ~0ull - 30); }));
  refused("CVE-2026-33298", changed([&](auto& w) { w.add_raw_tensor("t", {1u << 31, 1u << 30, 2}, 0, std::string(4 << 20, '\0')); }));
  refused("CVE-2026-33298, wrapping to the file's size", changed([&](auto& w) {
            w.add_raw_tensor("t", {1ull << 20, 1ull << 22, 1ull << 20, 1}, 0, std::string(4 << 20, '\0'));
          }));
}

// S22: what a model's folder may point at. A name that a shard index could carry is never followed, for there is none in
// GGUF; a link in the folder is taken only if it leads to a file within it.
TEST(GgufHostile, AFoldersLinkOutOfItIsNotAModel) {
  namespace fs = std::filesystem;
  const test::TempFile outside(with_tensor().build());
  const fs::path folder = outside.path() + ".folder";
  fs::create_directory(folder);
  fs::create_symlink(outside.path(), folder / "model.gguf");
  const auto found = resolve_model_path(folder.string());
  ASSERT_FALSE(found);
  EXPECT_NE(found.error().message.find("model.gguf leads out of it"), std::string::npos) << found.error().message;
  fs::copy_file(outside.path(), folder / "blob");
  fs::remove(folder / "model.gguf");
  fs::create_symlink("blob", folder / "model.gguf");
  const auto within = resolve_model_path(folder.string());
  EXPECT_TRUE(within) << within.error().message;
  fs::remove_all(folder);
}

TEST(GgufHostile, RandomMutationsNeverReadOutsideTheBytes) {
  const std::string whole = rich().build();
  std::mt19937_64 random(20250207);
  int accepted = 0;
  for (int round = 0; round < 20000; ++round) {
    std::string bytes = whole;
    for (std::uint64_t edits = 1 + random() % 4; edits > 0; --edits) {
      const std::size_t at = random() % bytes.size();
      switch (random() % 4) {
        case 0: bytes[at] = static_cast<char>(random()); break;
        case 1: bytes[at] = static_cast<char>(bytes[at] ^ (1 << (random() % 8))); break;
        case 2: bytes.replace(at, 8, little_endian(random() % 2 ? random() : ~0ull >> (random() % 64), 8)); break;
        default:
          random() % 2 ? bytes.erase(at, 1 + random() % 16) : bytes.insert(at, 1 + random() % 16, static_cast<char>(random()));
          break;
      }
      if (bytes.empty()) break;
    }
    const ExactBytes exact(bytes);
    const auto result = parse_gguf(exact.span());
    if (!result) continue;
    ++accepted;
    use_everything(*result);
  }
  EXPECT_GT(accepted, 100) << "the mutations never reach the inside of the parser";
}

TEST(GgufHostile, TheRealModelsHeaderCutAnywhereIsRefused) {
  const auto path = test::golden_model_path();
  if (!path) GTEST_SKIP() << test::golden_model_missing();
  const auto gguf = GgufFile::open(*path);
  ASSERT_TRUE(gguf);
  const auto data = (*gguf)->tensors()[0].view.data;
  std::vector<std::size_t> sizes = {1, 24, 100, 1000, 65536, 1 << 20, 4 << 20, 90 << 20};
  std::mt19937_64 random(7);
  for (int i = 0; i < 40; ++i) sizes.push_back(random() % (2 << 20));
  std::FILE* file = std::fopen(path->c_str(), "rb");
  std::string bytes(90 << 20, '\0');
  ASSERT_EQ(std::fread(bytes.data(), 1, bytes.size(), file), bytes.size());
  std::fclose(file);
  ASSERT_NE(data, nullptr);
  for (const std::size_t size : sizes) {
    const ExactBytes exact(std::string_view(bytes).substr(0, size));
    EXPECT_FALSE(parse_gguf(exact.span())) << size;
  }
}

}  // namespace
}  // namespace baton
