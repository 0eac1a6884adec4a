// SPDX-License-Identifier: Apache-2.0
// Reading the checked metadata values of a GGUF file (the checks are in gguf_parse.cc).
#include <limits>

#include "models/byte_cursor.h"
#include "models/gguf_contents.h"
#include "runtime/base/check.h"

namespace baton {
namespace {

template <class T>
T load(std::span<const std::byte> bytes, std::uint64_t index) {
  T out;
  std::memcpy(&out, bytes.data() + index * sizeof(T), sizeof(T));
  return out;
}

// nullopt: not an integer type, or an unsigned value that an int64 cannot hold.
std::optional<std::int64_t> load_int(const GgufValue& value, std::uint64_t index) {
  switch (value.type) {
    case GgufValueType::kUint8: return load<std::uint8_t>(value.bytes, index);
    case GgufValueType::kInt8: return load<std::int8_t>(value.bytes, index);
    case GgufValueType::kUint16: return load<std::uint16_t>(value.bytes, index);
    case GgufValueType::kInt16: return load<std::int16_t>(value.bytes, index);
    case GgufValueType::kUint32: return load<std::uint32_t>(value.bytes, index);
    case GgufValueType::kInt32: return load<std::int32_t>(value.bytes, index);
    case GgufValueType::kInt64: return load<std::int64_t>(value.bytes, index);
    case GgufValueType::kUint64: {
      const auto wide = load<std::uint64_t>(value.bytes, index);
      if (wide > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) return std::nullopt;
      return static_cast<std::int64_t>(wide);
    }
    default: return std::nullopt;
  }
}

std::string read_text(ByteCursor& cursor) {
  std::string_view text;
  CHECK(cursor.read_string(text), "parse_gguf let a bad string through");
  return std::string(text);
}

}  // namespace

std::optional<std::uint64_t> to_uint(const GgufValue& value) {
  if (value.is_array) return std::nullopt;
  if (value.type == GgufValueType::kUint64) return load<std::uint64_t>(value.bytes, 0);
  const std::optional<std::int64_t> number = load_int(value, 0);
  if (!number || *number < 0) return std::nullopt;
  return static_cast<std::uint64_t>(*number);
}

std::optional<double> to_float(const GgufValue& value) {
  if (value.is_array) return std::nullopt;
  if (value.type == GgufValueType::kFloat32) return load<float>(value.bytes, 0);
  if (value.type == GgufValueType::kFloat64) return load<double>(value.bytes, 0);
  return std::nullopt;
}

std::optional<bool> to_bool(const GgufValue& value) {
  if (value.is_array || value.type != GgufValueType::kBool) return std::nullopt;
  return load<std::uint8_t>(value.bytes, 0) != 0;
}

std::optional<std::string> to_text(const GgufValue& value) {
  if (value.is_array || value.type != GgufValueType::kString) return std::nullopt;
  ByteCursor cursor(value.bytes);
  return read_text(cursor);
}

std::optional<std::vector<std::string>> to_strings(const GgufValue& value) {
  if (!value.is_array || value.type != GgufValueType::kString) return std::nullopt;
  std::vector<std::string> out;
  out.reserve(value.count);
  ByteCursor cursor(value.bytes);
  for (std::uint64_t i = 0; i < value.count; ++i) out.push_back(read_text(cursor));
  return out;
}

std::optional<std::vector<std::int64_t>> to_ints(const GgufValue& value) {
  if (!value.is_array) return std::nullopt;
  std::vector<std::int64_t> out;
  out.reserve(value.count);
  for (std::uint64_t i = 0; i < value.count; ++i) {
    const std::optional<std::int64_t> number = load_int(value, i);
    if (!number) return std::nullopt;
    out.push_back(*number);
  }
  return out;
}

std::optional<std::vector<float>> to_floats(const GgufValue& value) {
  const bool wide = value.type == GgufValueType::kFloat64;
  if (!value.is_array || (!wide && value.type != GgufValueType::kFloat32)) return std::nullopt;
  std::vector<float> out;
  out.reserve(value.count);
  for (std::uint64_t i = 0; i < value.count; ++i) {
    out.push_back(wide ? static_cast<float>(load<double>(value.bytes, i)) : load<float>(value.bytes, i));
  }
  return out;
}

}  // namespace baton
