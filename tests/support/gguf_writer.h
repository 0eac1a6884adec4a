// SPDX-License-Identifier: Apache-2.0
// GgufWriter: makes small GGUF files for tests: proper ones, and (by the raw and override calls) wrong ones in one chosen
// way. Keys and tensors keep the order of the calls. TempFile puts the bytes where GgufFile::open() can map them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/weight_view.h"

namespace baton::test {

class GgufWriter {
 public:
  std::uint32_t version = 3;
  std::uint32_t magic = 0x46554747;
  std::uint64_t alignment = 32;            // of the layout; the key is written only by add_uint("general.alignment", ...)
  std::optional<std::uint64_t> key_count;  // what the header claims instead of the truth
  std::optional<std::uint64_t> tensor_count;
  bool with_data = true;  // false: the file ends behind the tensor table

  GgufWriter& add_uint(std::string_view key, std::uint32_t value);
  GgufWriter& add_float(std::string_view key, float value);
  GgufWriter& add_bool(std::string_view key, bool value);
  GgufWriter& add_string(std::string_view key, std::string_view value);
  GgufWriter& add_strings(std::string_view key, const std::vector<std::string>& values);
  GgufWriter& add_ints(std::string_view key, const std::vector<std::int32_t>& values);
  GgufWriter& add_floats(std::string_view key, const std::vector<float>& values);
  // A key whose type and payload are given as they shall stand in the file.
  GgufWriter& add_raw(std::string_view key, std::uint32_t type, std::string_view payload);
  GgufWriter& add_raw_array(std::string_view key, std::uint32_t element_type, std::uint64_t count, std::string_view payload);

  // shape[0] is the number of columns. `bytes` empty: zeros of the right size (types of weight_view.h only).
  GgufWriter& add_tensor(std::string_view name, const std::vector<std::uint64_t>& shape, WeightType type,
                         std::string bytes = {});
  GgufWriter& add_tensor_f32(std::string_view name, const std::vector<std::uint64_t>& shape, const std::vector<float>& values);
  GgufWriter& add_raw_tensor(std::string_view name, const std::vector<std::uint64_t>& shape, std::uint32_t type,
                             std::string bytes, std::optional<std::uint64_t> offset = {},
                             std::optional<std::uint32_t> dimensions = {});

  std::string build() const;

 private:
  struct Tensor {
    std::string head;  // name, dimensions, type
    std::string bytes;
    std::optional<std::uint64_t> offset;
  };
  std::string keys_;
  std::uint64_t keys_written_ = 0;
  std::vector<Tensor> tensors_;
};

std::uint32_t ggml_type_id(WeightType type);
std::string little_endian(std::uint64_t value, int bytes);
std::string gguf_string(std::string_view text);

// A file in the test's temporary folder, removed with the object.
class TempFile {
 public:
  explicit TempFile(std::string_view bytes, std::string_view suffix = ".gguf");
  ~TempFile();
  TempFile(const TempFile&) = delete;
  TempFile& operator=(const TempFile&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace baton::test
