// SPDX-License-Identifier: Apache-2.0
// The parsed header of a GGUF file: metadata and tensor table as views into the file's bytes. parse_gguf() is the one place
// that trusts nothing: whatever the bytes, it returns contents whose every view lies inside them, or an error that names the
// key or tensor. Plain data, borrowed from the bytes given. Bounded: at most kMaxGgufKeys and kMaxGgufTensors entries, and
// no allocation is larger than a small multiple of the header's bytes.
// Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md (versions 2 and 3, little-endian)
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "models/gguf.h"
#include "runtime/base/result.h"

namespace baton {

constexpr std::uint64_t kMaxGgufKeys = 1u << 16;
constexpr std::uint64_t kMaxGgufTensors = 1u << 17;
constexpr std::uint64_t kMaxGgufKeyBytes = 65535;
constexpr std::uint64_t kMaxGgufTensorNameBytes = 64;
constexpr std::uint32_t kMaxGgufDimensions = 4;

enum class GgufValueType : std::uint32_t {
  kUint8 = 0,
  kInt8 = 1,
  kUint16 = 2,
  kInt16 = 3,
  kUint32 = 4,
  kInt32 = 5,
  kFloat32 = 6,
  kBool = 7,
  kString = 8,
  kArray = 9,
  kUint64 = 10,
  kInt64 = 11,
  kFloat64 = 12,
};

// A metadata value that was checked: count elements of `type` lie in `bytes` (strings each with their 8-byte length).
struct GgufValue {
  GgufValueType type = GgufValueType::kUint8;
  bool is_array = false;
  std::uint64_t count = 1;
  std::span<const std::byte> bytes;
};

struct GgufContents {
  std::map<std::string_view, GgufValue> metadata;
  std::vector<GgufTensor> tensors;  // in the file's order; a type we do not compute with has view.data == nullptr
  std::map<std::string, std::size_t, std::less<>> tensor_index;
  std::uint64_t header_bytes = 0;  // up to the end of the tensor table
};

Result<GgufContents> parse_gguf(std::span<const std::byte> file);

// ggml's name of a tensor type ("Q6_K"), or "type <n>".
std::string ggml_type_name(std::uint32_t type);

// Values as the getters of GgufFile give them.
std::optional<std::uint64_t> to_uint(const GgufValue& value);
std::optional<double> to_float(const GgufValue& value);
std::optional<bool> to_bool(const GgufValue& value);
std::optional<std::string> to_text(const GgufValue& value);
std::optional<std::vector<std::string>> to_strings(const GgufValue& value);
std::optional<std::vector<std::int64_t>> to_ints(const GgufValue& value);
std::optional<std::vector<float>> to_floats(const GgufValue& value);

}  // namespace baton
