// SPDX-License-Identifier: Apache-2.0
#include "models/gguf.h"

#include <algorithm>

#include "models/byte_cursor.h"
#include "models/gguf_contents.h"
#include "models/mapped_file.h"
#include "runtime/base/hash.h"

namespace baton {
namespace {

constexpr std::size_t kSampleBytes = 4096;

// Header and table whole, and of each tensor its first, middle and last bytes: enough to tell two models apart without
// reading gigabytes at start.
std::uint64_t make_identity(std::span<const std::byte> file, const GgufContents& contents) {
  std::uint64_t identity = hash_bytes(file.data(), contents.header_bytes, file.size());
  for (const GgufTensor& tensor : contents.tensors) {
    if (tensor.view.data == nullptr) continue;
    const std::size_t bytes = tensor.view.row_bytes() * tensor.view.rows;
    const std::size_t sample = std::min(bytes, kSampleBytes);
    identity = hash_bytes(tensor.view.data, sample, identity);
    identity = hash_bytes(tensor.view.data + (bytes - sample) / 2, sample, identity);
    identity = hash_bytes(tensor.view.data + (bytes - sample), sample, identity);
  }
  return identity;
}

class MappedGgufFile final : public GgufFile {
 public:
  MappedGgufFile(std::string path, std::unique_ptr<MappedFile> file, GgufContents contents)
      : path_(std::move(path)),
        file_(std::move(file)),
        contents_(std::move(contents)),
        identity_(make_identity(file_->bytes(), contents_)) {}

  const std::string& path() const override { return path_; }
  std::uint64_t file_bytes() const override { return file_->bytes().size(); }
  std::uint64_t identity() const override { return identity_; }

  std::optional<std::uint64_t> get_uint(std::string_view key) const override { return get(key, to_uint); }
  std::optional<double> get_float(std::string_view key) const override { return get(key, to_float); }
  std::optional<bool> get_bool(std::string_view key) const override { return get(key, to_bool); }
  std::optional<std::string> get_string(std::string_view key) const override { return get(key, to_text); }
  std::optional<std::vector<std::string>> get_strings(std::string_view key) const override { return get(key, to_strings); }
  std::optional<std::vector<std::int64_t>> get_ints(std::string_view key) const override { return get(key, to_ints); }
  std::optional<std::vector<float>> get_floats(std::string_view key) const override { return get(key, to_floats); }

  std::vector<std::string> keys() const override {
    std::vector<std::string> out;
    for (const auto& [key, value] : contents_.metadata) out.emplace_back(key);
    return out;
  }

  std::span<const GgufTensor> tensors() const override { return contents_.tensors; }

  Result<const GgufTensor*> tensor(std::string_view name) const override {
    const auto found = contents_.tensor_index.find(name);
    if (found == contents_.tensor_index.end()) {
      return fail(ErrorCode::kNotFound,
                  path_ + " has no tensor " + quoted(name) + ": is it a model of the expected architecture?");
    }
    const GgufTensor& tensor = contents_.tensors[found->second];
    if (tensor.view.data == nullptr) {
      return fail(ErrorCode::kIncompatible, "tensor " + quoted(name) + " of " + path_ + " has type " +
                                                ggml_type_name(tensor.ggml_type) +
                                                ", which is not supported: use a file with F32, F16, BF16, Q8_0, Q4_0 or Q4_1");
    }
    return &tensor;
  }

  void release(const WeightView& view) const override { file_->release({view.data, view.rows * view.row_bytes()}); }

 private:
  template <class Convert>
  auto get(std::string_view key, Convert convert) const -> decltype(convert(GgufValue{})) {
    const auto found = contents_.metadata.find(key);
    return found == contents_.metadata.end() ? std::nullopt : convert(found->second);
  }

  const std::string path_;
  const std::unique_ptr<MappedFile> file_;  // contents_ points into it
  const GgufContents contents_;
  const std::uint64_t identity_;
};

}  // namespace

Result<std::unique_ptr<GgufFile>> GgufFile::open(const std::string& path) {
  Result<std::unique_ptr<MappedFile>> file = MappedFile::open(path);
  if (!file) return tl::unexpected<Error>(file.error());
  Result<GgufContents> contents = parse_gguf((*file)->bytes());
  if (!contents) return fail(contents.error().code, path + ": " + contents.error().message);
  return std::make_unique<MappedGgufFile>(path, std::move(*file), std::move(*contents));
}

}  // namespace baton
