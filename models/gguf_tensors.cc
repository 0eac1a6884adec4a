// SPDX-License-Identifier: Apache-2.0
#include "models/gguf_tensors.h"

#include <algorithm>
#include <limits>
#include <optional>

#include "models/gguf_contents.h"

namespace baton {
namespace {

struct GgmlType {
  std::uint32_t id;
  std::string_view name;
  std::uint32_t block_elements;
  std::uint32_t block_bytes;
  std::optional<WeightType> weight;  // nullopt: we know its size, but do not compute with it
};

constexpr GgmlType kTypes[] = {
    {0, "F32", 1, 4, WeightType::kF32},     {1, "F16", 1, 2, WeightType::kF16},     {2, "Q4_0", 32, 18, WeightType::kQ4_0},
    {3, "Q4_1", 32, 20, WeightType::kQ4_1}, {6, "Q5_0", 32, 22, std::nullopt},      {7, "Q5_1", 32, 24, std::nullopt},
    {8, "Q8_0", 32, 34, WeightType::kQ8_0}, {9, "Q8_1", 32, 36, std::nullopt},      {10, "Q2_K", 256, 84, std::nullopt},
    {11, "Q3_K", 256, 110, std::nullopt},   {12, "Q4_K", 256, 144, std::nullopt},   {13, "Q5_K", 256, 176, std::nullopt},
    {14, "Q6_K", 256, 210, std::nullopt},   {15, "Q8_K", 256, 292, std::nullopt},   {16, "IQ2_XXS", 256, 66, std::nullopt},
    {17, "IQ2_XS", 256, 74, std::nullopt},  {18, "IQ3_XXS", 256, 98, std::nullopt}, {19, "IQ1_S", 256, 50, std::nullopt},
    {20, "IQ4_NL", 32, 18, std::nullopt},   {21, "IQ3_S", 256, 110, std::nullopt},  {22, "IQ2_S", 256, 82, std::nullopt},
    {23, "IQ4_XS", 256, 136, std::nullopt}, {24, "I8", 1, 1, std::nullopt},         {25, "I16", 1, 2, std::nullopt},
    {26, "I32", 1, 4, std::nullopt},        {27, "I64", 1, 8, std::nullopt},        {28, "F64", 1, 8, std::nullopt},
    {29, "IQ1_M", 256, 56, std::nullopt},   {30, "BF16", 1, 2, WeightType::kBF16},  {34, "TQ1_0", 256, 54, std::nullopt},
    {35, "TQ2_0", 256, 66, std::nullopt},   {39, "MXFP4", 32, 17, std::nullopt},
};

const GgmlType* find_type(std::uint32_t id) {
  const auto* found = std::ranges::find(kTypes, id, &GgmlType::id);
  return found == std::end(kTypes) ? nullptr : found;
}

tl::unexpected<Error> bad_tensor(std::string_view name, const std::string& what) {
  return fail(ErrorCode::kCorrupt,
              "tensor " + quoted(name) + " " + what + "; the file is damaged or cut off: download or convert it again");
}

bool multiply(std::uint64_t a, std::uint64_t b, std::uint64_t& out) { return !__builtin_mul_overflow(a, b, &out); }

// One line of the table. Offsets count from the start of the data, which is known only behind the table.
struct Entry {
  GgufTensor tensor;
  std::uint64_t offset = 0;
  std::uint64_t bytes = 0;
  std::uint64_t end() const { return offset + bytes; }  // cannot overflow: checked before it is used
};

Result<void> read_shape(ByteCursor& cursor, GgufTensor& tensor) {
  constexpr std::uint64_t kMax = std::numeric_limits<std::uint32_t>::max();
  std::uint32_t dimensions = 0;
  if (!cursor.read(dimensions)) return bad_tensor(tensor.name, "has no shape before the end of the file");
  if (dimensions < 1 || dimensions > kMaxGgufDimensions) {
    return bad_tensor(tensor.name, "has " + std::to_string(dimensions) + " dimensions, not 1 to 4");
  }
  std::uint64_t rows = 1;
  for (std::uint32_t i = 0; i < dimensions; ++i) {
    std::uint64_t size = 0;
    if (!cursor.read(size)) return bad_tensor(tensor.name, "has no shape before the end of the file");
    if (size == 0 || size > kMax) return bad_tensor(tensor.name, "has a dimension of " + std::to_string(size));
    if (i > 0 && (!multiply(rows, size, rows) || rows > kMax))
      return bad_tensor(tensor.name, "has more rows than 32 bits count");
    tensor.shape.push_back(size);
  }
  tensor.view.columns = static_cast<std::uint32_t>(tensor.shape[0]);
  tensor.view.rows = static_cast<std::uint32_t>(rows);
  return {};
}

Result<Entry> read_entry(ByteCursor& cursor, std::uint64_t index, std::uint64_t alignment) {
  Entry entry;
  std::string_view name;
  if (!cursor.read_string(name) || name.empty() || name.size() > kMaxGgufTensorNameBytes) {
    return fail(ErrorCode::kCorrupt, "the name of tensor number " + std::to_string(index) + " is empty, longer than " +
                                         std::to_string(kMaxGgufTensorNameBytes) +
                                         " bytes or cut off; the file is damaged: download or convert it again");
  }
  entry.tensor.name = name;
  RETURN_IF_ERROR(read_shape(cursor, entry.tensor));
  if (!cursor.read(entry.tensor.ggml_type) || !cursor.read(entry.offset)) return bad_tensor(name, "ends with the file");
  const GgmlType* type = find_type(entry.tensor.ggml_type);
  if (type == nullptr) {
    return fail(ErrorCode::kIncompatible,
                "tensor " + quoted(name) + " has " + ggml_type_name(entry.tensor.ggml_type) +
                    ", which this version does not know: convert the model to Q8_0, Q4_1, Q4_0, F16, BF16 or F32");
  }
  const WeightView& view = entry.tensor.view;
  if (view.columns % type->block_elements != 0) {
    return bad_tensor(name, "has " + std::to_string(view.columns) + " columns, not a multiple of the " +
                                std::to_string(type->block_elements) + " of a " + std::string(type->name) + " block");
  }
  // Below 2^64: both factors are below 2^32 and 2^32 * 292.
  const std::uint64_t row_bytes = std::uint64_t{view.columns} / type->block_elements * type->block_bytes;
  if (!multiply(row_bytes, view.rows, entry.bytes)) return bad_tensor(name, "is larger than 64 bits count");
  if (entry.offset % alignment != 0) {
    return bad_tensor(name, "begins at " + std::to_string(entry.offset) + ", not a multiple of the alignment of " +
                                std::to_string(alignment));
  }
  return entry;
}

Result<void> place(Entry& entry, std::span<const std::byte> data) {
  if (entry.offset > data.size() || entry.bytes > data.size() - entry.offset) {
    return bad_tensor(entry.tensor.name, "(" + std::to_string(entry.bytes) + " bytes at " + std::to_string(entry.offset) +
                                             ") ends behind the file's " + std::to_string(data.size()) +
                                             " bytes of tensor data");
  }
  const GgmlType* type = find_type(entry.tensor.ggml_type);
  if (!type->weight) return {};
  entry.tensor.view.type = *type->weight;
  entry.tensor.view.data = data.data() + entry.offset;
  return {};
}

Result<void> check_overlaps(std::span<const Entry> entries) {
  std::vector<const Entry*> by_offset;
  by_offset.reserve(entries.size());
  for (const Entry& entry : entries) by_offset.push_back(&entry);
  std::ranges::sort(by_offset, {}, &Entry::offset);
  for (std::size_t i = 1; i < by_offset.size(); ++i) {
    if (by_offset[i - 1]->end() > by_offset[i]->offset) {
      return bad_tensor(by_offset[i]->tensor.name, "overlaps tensor " + quoted(by_offset[i - 1]->tensor.name));
    }
  }
  return {};
}

}  // namespace

std::string ggml_type_name(std::uint32_t type) {
  const GgmlType* known = find_type(type);
  return known != nullptr ? std::string(known->name) : "type " + std::to_string(type);
}

Result<std::vector<GgufTensor>> read_gguf_tensors(ByteCursor& cursor, std::uint64_t count, std::uint64_t alignment,
                                                  std::span<const std::byte> file) {
  if (count > cursor.left() / kSmallestGgufTensorEntry) {
    return fail(ErrorCode::kCorrupt,
                "the header claims " + std::to_string(count) +
                    " tensors, more than fit behind the metadata; the file is damaged or cut off: download it again");
  }
  std::vector<Entry> entries;
  entries.reserve(count);
  for (std::uint64_t i = 0; i < count; ++i) {
    Result<Entry> entry = read_entry(cursor, i, alignment);
    if (!entry) return tl::unexpected<Error>(entry.error());
    entries.push_back(std::move(*entry));
  }
  // offset() <= file.size() < 2^63 and alignment <= 2^20, so rounding up cannot overflow.
  const std::size_t start = (cursor.offset() + alignment - 1) / alignment * alignment;
  const std::span<const std::byte> data = start <= file.size() ? file.subspan(start) : std::span<const std::byte>{};
  for (Entry& entry : entries) RETURN_IF_ERROR(place(entry, data));
  RETURN_IF_ERROR(check_overlaps(entries));
  std::vector<GgufTensor> tensors;
  tensors.reserve(entries.size());
  for (Entry& entry : entries) tensors.push_back(std::move(entry.tensor));
  return tensors;
}

}  // namespace baton
