// SPDX-License-Identifier: Apache-2.0
// The header of a GGUF file and its metadata. Every count is compared with the bytes left before anything is reserved or
// looped over, so work and memory are bounded by the file's size. The tensor table is in gguf_tensors.cc.
#include <bit>

#include "models/byte_cursor.h"
#include "models/gguf_contents.h"
#include "models/gguf_tensors.h"

namespace baton {
namespace {

constexpr std::uint32_t kMagic = 0x46554747;           // "GGUF"
constexpr std::uint64_t kSmallestKey = 8 + 1 + 4 + 1;  // length, one character, type, one byte of value
constexpr std::uint64_t kDefaultAlignment = 32;
constexpr std::uint64_t kSmallestAlignment = 8;
constexpr std::uint64_t kLargestAlignment = 1u << 20;

// 0: not a scalar of fixed size.
std::uint64_t scalar_bytes(GgufValueType type) {
  switch (type) {
    case GgufValueType::kUint8:
    case GgufValueType::kInt8:
    case GgufValueType::kBool: return 1;
    case GgufValueType::kUint16:
    case GgufValueType::kInt16: return 2;
    case GgufValueType::kUint32:
    case GgufValueType::kInt32:
    case GgufValueType::kFloat32: return 4;
    case GgufValueType::kUint64:
    case GgufValueType::kInt64:
    case GgufValueType::kFloat64: return 8;
    default: return 0;
  }
}

tl::unexpected<Error> corrupt(const std::string& what) {
  return fail(ErrorCode::kCorrupt, what + "; the file is damaged or cut off: download or convert it again");
}

tl::unexpected<Error> bad_key(std::string_view key, const std::string& what) {
  return corrupt("key " + quoted(key) + " " + what);
}

struct Counts {
  std::uint64_t tensors = 0;
  std::uint64_t keys = 0;
};

Result<Counts> read_counts(ByteCursor& cursor) {
  std::uint32_t magic = 0;
  std::uint32_t version = 0;
  if (!cursor.read(magic) || magic != kMagic) {
    return fail(ErrorCode::kInvalidArgument,
                "not a GGUF file (it does not begin with \"GGUF\"): give the path of a .gguf model");
  }
  if (!cursor.read(version)) return corrupt("the file ends inside its header");
  if ((version & 0xFFFF) == 0 && version != 0) {
    return fail(ErrorCode::kIncompatible, "a big-endian GGUF file: convert the model for little-endian machines");
  }
  if (version != 2 && version != 3) {
    return fail(ErrorCode::kIncompatible, "GGUF version " + std::to_string(version) +
                                              " is not supported (2 and 3 are): convert the model with a current converter");
  }
  Counts counts;
  if (!cursor.read(counts.tensors) || !cursor.read(counts.keys)) return corrupt("the file ends inside its header");
  if (counts.keys > kMaxGgufKeys || counts.keys > cursor.left() / kSmallestKey) {
    return corrupt("the header claims " + std::to_string(counts.keys) +
                   " metadata keys, more than fit into the file or the limit of " + std::to_string(kMaxGgufKeys));
  }
  if (counts.tensors > kMaxGgufTensors || counts.tensors > cursor.left() / kSmallestGgufTensorEntry) {
    return corrupt("the header claims " + std::to_string(counts.tensors) +
                   " tensors, more than fit into the file or the limit of " + std::to_string(kMaxGgufTensors));
  }
  return counts;
}

bool all_bools(std::span<const std::byte> bytes) {
  for (const std::byte b : bytes) {
    if (b > std::byte{1}) return false;
  }
  return true;
}

// The cursor stands behind type and count; leaves it behind the elements.
Result<GgufValue> read_elements(ByteCursor& cursor, std::string_view key, GgufValue value) {
  const ByteCursor start = cursor;
  if (value.type == GgufValueType::kString) {
    if (value.count > cursor.left() / 8)
      return bad_key(key, "claims " + std::to_string(value.count) + " strings, more than the bytes left");
    std::string_view ignored;
    for (std::uint64_t i = 0; i < value.count; ++i) {
      if (!cursor.read_string(ignored))
        return bad_key(key, "has a string (number " + std::to_string(i) + ") longer than the bytes left");
    }
    ByteCursor again = start;
    again.take(cursor.offset() - start.offset(), value.bytes);
    return value;
  }
  const std::uint64_t size = scalar_bytes(value.type);
  if (size == 0) {
    return bad_key(
        key, "has values of type " + std::to_string(static_cast<std::uint32_t>(value.type)) + ", which cannot stand here");
  }
  if (value.count > cursor.left() / size)
    return bad_key(key, "claims " + std::to_string(value.count) + " values, more than the bytes left");
  cursor.take(value.count * size, value.bytes);
  if (value.type == GgufValueType::kBool && !all_bools(value.bytes))
    return bad_key(key, "has a boolean that is neither 0 nor 1");
  return value;
}

Result<GgufValue> read_value(ByteCursor& cursor, std::string_view key) {
  GgufValue value;
  std::uint32_t type = 0;
  if (!cursor.read(type)) return bad_key(key, "has no value before the end of the file");
  if (type == static_cast<std::uint32_t>(GgufValueType::kArray)) {
    value.is_array = true;
    if (!cursor.read(type) || !cursor.read(value.count)) return bad_key(key, "has no value before the end of the file");
  }
  value.type = static_cast<GgufValueType>(type);
  return read_elements(cursor, key, value);
}

Result<std::map<std::string_view, GgufValue>> read_metadata(ByteCursor& cursor, std::uint64_t count) {
  std::map<std::string_view, GgufValue> metadata;
  for (std::uint64_t i = 0; i < count; ++i) {
    std::string_view key;
    if (!cursor.read_string(key))
      return corrupt("the name of metadata key number " + std::to_string(i) + " is longer than the bytes left");
    if (key.empty() || key.size() > kMaxGgufKeyBytes) {
      return corrupt("the name of metadata key number " + std::to_string(i) + " is empty or longer than " +
                     std::to_string(kMaxGgufKeyBytes));
    }
    Result<GgufValue> value = read_value(cursor, key);
    if (!value) return tl::unexpected<Error>(value.error());
    if (!metadata.emplace(key, *value).second) return bad_key(key, "stands there twice");
  }
  return metadata;
}

Result<std::uint64_t> read_alignment(const std::map<std::string_view, GgufValue>& metadata) {
  constexpr std::string_view kKey = "general.alignment";
  const auto found = metadata.find(kKey);
  if (found == metadata.end()) return kDefaultAlignment;
  const std::optional<std::uint64_t> value = to_uint(found->second);
  if (!value) return bad_key(kKey, "is not an unsigned integer");
  if (!std::has_single_bit(*value) || *value < kSmallestAlignment || *value > kLargestAlignment) {
    return bad_key(kKey,
                   "is " + std::to_string(*value) + ", not a power of two from 8 to " + std::to_string(kLargestAlignment));
  }
  return *value;
}

Result<void> check_not_split(const std::map<std::string_view, GgufValue>& metadata) {
  const auto found = metadata.find("split.count");
  if (found == metadata.end() || to_uint(found->second).value_or(2) <= 1) return {};
  return fail(ErrorCode::kIncompatible,
              "key \"split.count\" says that this is one part of several: merge them into one file (llama-gguf-split --merge)");
}

}  // namespace

Result<GgufContents> parse_gguf(std::span<const std::byte> file) {
  ByteCursor cursor(file);
  const Result<Counts> counts = read_counts(cursor);
  if (!counts) return tl::unexpected<Error>(counts.error());
  Result<std::map<std::string_view, GgufValue>> metadata = read_metadata(cursor, counts->keys);
  if (!metadata) return tl::unexpected<Error>(metadata.error());
  RETURN_IF_ERROR(check_not_split(*metadata));
  const Result<std::uint64_t> alignment = read_alignment(*metadata);
  if (!alignment) return tl::unexpected<Error>(alignment.error());
  Result<std::vector<GgufTensor>> tensors = read_gguf_tensors(cursor, counts->tensors, *alignment, file);
  if (!tensors) return tl::unexpected<Error>(tensors.error());

  GgufContents contents;
  contents.metadata = std::move(*metadata);
  contents.tensors = std::move(*tensors);
  contents.header_bytes = cursor.offset();
  for (std::size_t i = 0; i < contents.tensors.size(); ++i) {
    if (!contents.tensor_index.emplace(contents.tensors[i].name, i).second) {
      return corrupt("tensor " + quoted(contents.tensors[i].name) + " stands there twice");
    }
  }
  return contents;
}

}  // namespace baton
