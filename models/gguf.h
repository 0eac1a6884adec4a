// SPDX-License-Identifier: Apache-2.0
// GgufFile: a GGUF model file (versions 2 and 3) mapped read-only. Everything the header says is checked against the bytes
// that are there (counts, string and array lengths, types, alignment, tensor offsets by overflow-checked sums) before
// anything is used; errors name the key or tensor. Immutable after open(); any thread may read. Owns the mapping.
// Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "kernels/weight_view.h"
#include "runtime/base/result.h"

namespace baton {

struct GgufTensor {
  std::string name;
  std::vector<std::uint64_t> shape;  // GGUF order: shape[0] is the contiguous dimension (columns)
  std::uint32_t ggml_type = 0;
  WeightView view;                   // rows = product of shape[1..]
};

class GgufFile {
 public:
  static Result<std::unique_ptr<GgufFile>> open(const std::string& path);
  virtual ~GgufFile() = default;

  virtual const std::string& path() const = 0;
  virtual std::uint64_t file_bytes() const = 0;
  // Identity of the content: hash over header and tensor table and a sample of every tensor's bytes.
  virtual std::uint64_t identity() const = 0;

  // Metadata; nullopt if absent or of another type. Integers of any width are widened.
  virtual std::optional<std::uint64_t> get_uint(std::string_view key) const = 0;
  virtual std::optional<double> get_float(std::string_view key) const = 0;
  virtual std::optional<bool> get_bool(std::string_view key) const = 0;
  virtual std::optional<std::string> get_string(std::string_view key) const = 0;
  virtual std::optional<std::vector<std::string>> get_strings(std::string_view key) const = 0;
  virtual std::optional<std::vector<std::int64_t>> get_ints(std::string_view key) const = 0;
  virtual std::optional<std::vector<float>> get_floats(std::string_view key) const = 0;
  virtual std::vector<std::string> keys() const = 0;

  virtual std::span<const GgufTensor> tensors() const = 0;
  // Error names the tensor and says whether it is missing or of a type that is not supported.
  virtual Result<const GgufTensor*> tensor(std::string_view name) const = 0;
  // Lets go of the memory that holds a tensor of this file; it may be read again, from the disk's cache.
  virtual void release(const WeightView& view) const = 0;
};

}  // namespace baton
