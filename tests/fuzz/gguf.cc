// SPDX-License-Identifier: Apache-2.0
// A model file: header, metadata, tensor table, and the tokenizer and chat template that the metadata describe.
#include <cstdlib>
#include <cstring>
#include <memory>

#include "models/chat_template_factory.h"
#include "models/gguf_contents.h"
#include "models/model.h"
#include "models/tokenizer_factory.h"
#include "runtime/base/check.h"
#include "tests/fuzz/target.h"

namespace baton::fuzz {
namespace {

// A GgufFile over bytes in memory; the one of models/ maps a file, which would cost more than what is tested.
class MemoryGguf final : public GgufFile {
 public:
  explicit MemoryGguf(const GgufContents& contents) : contents_(contents) {}
  const std::string& path() const override { return path_; }
  std::uint64_t file_bytes() const override { return 0; }
  std::uint64_t identity() const override { return 0; }
  std::optional<std::uint64_t> get_uint(std::string_view key) const override { return get(key, to_uint); }
  std::optional<double> get_float(std::string_view key) const override { return get(key, to_float); }
  std::optional<bool> get_bool(std::string_view key) const override { return get(key, to_bool); }
  std::optional<std::string> get_string(std::string_view key) const override { return get(key, to_text); }
  std::optional<std::vector<std::string>> get_strings(std::string_view key) const override { return get(key, to_strings); }
  std::optional<std::vector<std::int64_t>> get_ints(std::string_view key) const override { return get(key, to_ints); }
  std::optional<std::vector<float>> get_floats(std::string_view key) const override { return get(key, to_floats); }
  std::vector<std::string> keys() const override { return {}; }
  std::span<const GgufTensor> tensors() const override { return contents_.tensors; }
  Result<const GgufTensor*> tensor(std::string_view name) const override {
    return fail(ErrorCode::kNotFound, std::string(name));
  }
  void release(const WeightView&) const override {}

 private:
  template <class Convert>
  auto get(std::string_view key, Convert convert) const -> decltype(convert(GgufValue{})) {
    const auto found = contents_.metadata.find(key);
    return found == contents_.metadata.end() ? std::nullopt : convert(found->second);
  }
  std::string path_ = "fuzz.gguf";
  const GgufContents& contents_;
};

void look_at(const GgufContents& contents, std::span<const std::byte> file) {
  for (const auto& [key, value] : contents.metadata) {
    CHECK(value.bytes.empty() ||
          (value.bytes.data() >= file.data() && value.bytes.data() + value.bytes.size() <= file.data() + file.size()));
    to_uint(value), to_float(value), to_bool(value), to_text(value), to_strings(value), to_ints(value), to_floats(value);
  }
  for (const GgufTensor& tensor : contents.tensors) {
    if (tensor.view.data == nullptr) continue;
    const auto* begin = reinterpret_cast<const std::byte*>(tensor.view.data);
    CHECK(begin >= file.data() && begin + tensor.view.rows * tensor.view.row_bytes() <= file.data() + file.size(),
          "a tensor in the file");
  }
}

}  // namespace

void run_gguf(std::string_view bytes) {
  // Aligned as a mapped file is; that views lie within the file is checked below.
  const std::unique_ptr<std::byte, decltype(&std::free)> copy(
      static_cast<std::byte*>(std::aligned_alloc(64, (bytes.size() + 64) / 64 * 64)), &std::free);
  std::memcpy(copy.get(), bytes.data(), bytes.size());
  const std::span<const std::byte> file(copy.get(), bytes.size());
  const Result<GgufContents> contents = parse_gguf(file);
  if (!contents) {
    CHECK(!contents.error().message.empty());
    return;
  }
  look_at(*contents, file);
  const MemoryGguf model(*contents);
  const auto tokenizer = make_tokenizer(model);
  if (!tokenizer) return;
  stop_tokens_of(model, (*tokenizer)->vocab_size());
  const std::string text = "The <|end|> of\n\n 12345 'tis é世\xff";
  for (const bool special : {false, true}) {
    for (const TokenId id : (*tokenizer)->encode(text, {.add_special = special, .parse_special = special})) {
      CHECK(id >= 0 && static_cast<std::uint32_t>(id) < (*tokenizer)->vocab_size());
      (*tokenizer)->token_bytes(id, special);
    }
  }
  if (const auto chat = chat_template_of(model, **tokenizer); chat && *chat) {
    ChatInput input;
    (void)(*chat)->render(input);
  }
}

}  // namespace baton::fuzz
