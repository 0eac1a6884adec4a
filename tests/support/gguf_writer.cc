// SPDX-License-Identifier: Apache-2.0
#include "tests/support/gguf_writer.h"

#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "runtime/base/check.h"

namespace baton::test {
namespace {

constexpr std::uint32_t kUint32 = 4;
constexpr std::uint32_t kInt32 = 5;
constexpr std::uint32_t kFloat32 = 6;
constexpr std::uint32_t kBool = 7;
constexpr std::uint32_t kString = 8;
constexpr std::uint32_t kArray = 9;

template <class T>
std::string raw_bytes(const std::vector<T>& values) {
  std::string out(values.size() * sizeof(T), '\0');
  if (!values.empty()) std::memcpy(out.data(), values.data(), out.size());
  return out;
}

}  // namespace

std::uint32_t ggml_type_id(WeightType type) {
  switch (type) {
    case WeightType::kF32: return 0;
    case WeightType::kF16: return 1;
    case WeightType::kQ4_0: return 2;
    case WeightType::kQ4_1: return 3;
    case WeightType::kQ8_0: return 8;
    case WeightType::kBF16: return 30;
  }
  CHECK(false, "unknown weight type");
}

std::string little_endian(std::uint64_t value, int bytes) {
  std::string out;
  for (int i = 0; i < bytes; ++i) out += static_cast<char>(value >> (8 * i));
  return out;
}

std::string gguf_string(std::string_view text) { return little_endian(text.size(), 8) + std::string(text); }

GgufWriter& GgufWriter::add_raw(std::string_view key, std::uint32_t type, std::string_view payload) {
  keys_ += gguf_string(key) + little_endian(type, 4) + std::string(payload);
  ++keys_written_;
  return *this;
}

GgufWriter& GgufWriter::add_raw_array(std::string_view key, std::uint32_t element_type, std::uint64_t count,
                                      std::string_view payload) {
  return add_raw(key, kArray, little_endian(element_type, 4) + little_endian(count, 8) + std::string(payload));
}

GgufWriter& GgufWriter::add_uint(std::string_view key, std::uint32_t value) {
  return add_raw(key, kUint32, little_endian(value, 4));
}
GgufWriter& GgufWriter::add_float(std::string_view key, float value) {
  return add_raw(key, kFloat32, raw_bytes<float>({value}));
}
GgufWriter& GgufWriter::add_bool(std::string_view key, bool value) {
  return add_raw(key, kBool, value ? std::string(1, '\1') : std::string(1, '\0'));
}
GgufWriter& GgufWriter::add_string(std::string_view key, std::string_view value) {
  return add_raw(key, kString, gguf_string(value));
}

GgufWriter& GgufWriter::add_strings(std::string_view key, const std::vector<std::string>& values) {
  std::string payload;
  for (const std::string& value : values) payload += gguf_string(value);
  return add_raw_array(key, kString, values.size(), payload);
}

GgufWriter& GgufWriter::add_ints(std::string_view key, const std::vector<std::int32_t>& values) {
  return add_raw_array(key, kInt32, values.size(), raw_bytes(values));
}

GgufWriter& GgufWriter::add_floats(std::string_view key, const std::vector<float>& values) {
  return add_raw_array(key, kFloat32, values.size(), raw_bytes(values));
}

GgufWriter& GgufWriter::add_raw_tensor(std::string_view name, const std::vector<std::uint64_t>& shape, std::uint32_t type,
                                       std::string bytes, std::optional<std::uint64_t> offset,
                                       std::optional<std::uint32_t> dimensions) {
  std::string head = gguf_string(name) + little_endian(dimensions.value_or(static_cast<std::uint32_t>(shape.size())), 4);
  for (const std::uint64_t size : shape) head += little_endian(size, 8);
  tensors_.push_back({head + little_endian(type, 4), std::move(bytes), offset});
  return *this;
}

GgufWriter& GgufWriter::add_tensor(std::string_view name, const std::vector<std::uint64_t>& shape, WeightType type,
                                   std::string bytes) {
  std::uint64_t elements = 1;
  for (const std::uint64_t size : shape) elements *= size;
  const std::uint64_t size = elements / weight_block_elements(type) * weight_block_bytes(type);
  if (bytes.empty()) bytes.assign(size, '\0');
  CHECK(bytes.size() == size, "the bytes do not fill the shape");
  return add_raw_tensor(name, shape, ggml_type_id(type), std::move(bytes));
}

GgufWriter& GgufWriter::add_tensor_f32(std::string_view name, const std::vector<std::uint64_t>& shape,
                                       const std::vector<float>& values) {
  return add_tensor(name, shape, WeightType::kF32, raw_bytes(values));
}

std::string GgufWriter::build() const {
  const auto pad = [this](std::string& out) { out.resize((out.size() + alignment - 1) / alignment * alignment, '\0'); };
  std::string out = little_endian(magic, 4) + little_endian(version, 4) +
                    little_endian(tensor_count.value_or(tensors_.size()), 8) +
                    little_endian(key_count.value_or(keys_written_), 8) + keys_;
  std::string data;
  for (const Tensor& tensor : tensors_) {
    out += tensor.head + little_endian(tensor.offset.value_or(data.size()), 8);
    data += tensor.bytes;
    pad(data);
  }
  if (!with_data) return out;
  pad(out);
  return out + data;
}

TempFile::TempFile(std::string_view bytes, std::string_view suffix) {
  path_ = (std::filesystem::temp_directory_path() / "baton_test_XXXXXX").string() + std::string(suffix);
  const int descriptor = ::mkstemps(path_.data(), static_cast<int>(suffix.size()));
  CHECK(descriptor >= 0, "cannot make a temporary file");
  CHECK(::write(descriptor, bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()), "cannot fill a temporary file");
  ::close(descriptor);
}

TempFile::~TempFile() { ::unlink(path_.c_str()); }

}  // namespace baton::test
