// SPDX-License-Identifier: Apache-2.0
#include "models/gguf.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <filesystem>

#include "models/gguf_contents.h"
#include "models/model_path.h"
#include "tests/support/gguf_writer.h"
#include "tests/support/golden_data.h"

namespace baton {
namespace {

using test::gguf_string;
using test::GgufWriter;
using test::little_endian;
using test::TempFile;

GgufWriter proper() {
  GgufWriter writer;
  writer.add_string("general.architecture", "llama").add_uint("n", 7).add_float("f", 0.5F).add_bool("b", true);
  writer.add_raw("i8", 1, "\xff")
      .add_raw("u64", 10, little_endian(1ull << 40, 8))
      .add_raw("f64", 12, little_endian(0x3FF8000000000000, 8));
  writer.add_strings("names", {"a", "", "cc"}).add_ints("ints", {-1, 2}).add_floats("floats", {1.0F, -2.5F});
  writer.add_tensor_f32("norm", {4}, {1, 2, 3, 4})
      .add_tensor("q8", {64, 3}, WeightType::kQ8_0)
      .add_tensor("q41", {32, 2, 2}, WeightType::kQ4_1);
  return writer;
}

TEST(Gguf, GivesMetadataAndTensorsBack) {
  const TempFile file(proper().build());
  const auto gguf = GgufFile::open(file.path());
  ASSERT_TRUE(gguf) << gguf.error().message;
  const GgufFile& g = **gguf;
  EXPECT_EQ(g.path(), file.path());
  EXPECT_EQ(g.file_bytes(), std::filesystem::file_size(file.path()));
  EXPECT_EQ(g.keys().size(), 10u);
  EXPECT_EQ(g.get_string("general.architecture"), "llama");
  EXPECT_EQ(g.get_uint("n"), 7u);
  EXPECT_EQ(g.get_uint("u64"), 1ull << 40);
  EXPECT_EQ(g.get_uint("i8"), std::nullopt) << "negative";
  EXPECT_EQ(g.get_uint("f"), std::nullopt) << "another type";
  EXPECT_EQ(g.get_uint("absent"), std::nullopt);
  EXPECT_EQ(g.get_float("f"), 0.5);
  EXPECT_EQ(g.get_float("f64"), 1.5);
  EXPECT_EQ(g.get_bool("b"), true);
  EXPECT_EQ(g.get_strings("names"), (std::vector<std::string>{"a", "", "cc"}));
  EXPECT_EQ(g.get_ints("ints"), (std::vector<std::int64_t>{-1, 2}));
  EXPECT_EQ(g.get_ints("names"), std::nullopt);
  EXPECT_EQ(g.get_floats("floats"), (std::vector<float>{1.0F, -2.5F}));
  ASSERT_EQ(g.tensors().size(), 3u);
  const auto norm = g.tensor("norm");
  ASSERT_TRUE(norm);
  EXPECT_EQ((*norm)->view.rows, 1u);
  EXPECT_EQ((*norm)->view.columns, 4u);
  float third = 0;
  std::memcpy(&third, (*norm)->view.data + 8, 4);
  EXPECT_EQ(third, 3.0F);
  const WeightView q41 = (*g.tensor("q41"))->view;
  EXPECT_EQ(q41.type, WeightType::kQ4_1);
  EXPECT_EQ(q41.rows, 4u);
  EXPECT_EQ(q41.row_bytes(), 20u);
}

TEST(Gguf, IdentityFollowsTheContent) {
  const std::string bytes = proper().build();
  std::string changed = bytes;
  changed[changed.size() - 40] ^= 1;  // inside the last tensor
  const TempFile a(bytes), b(bytes), c(changed);
  const auto identity = [](const TempFile& file) { return (*GgufFile::open(file.path()))->identity(); };
  EXPECT_EQ(identity(a), identity(b));
  EXPECT_NE(identity(a), identity(c));
}

TEST(Gguf, AMissingOrUnsupportedTensorIsNamed) {
  GgufWriter writer = proper();
  writer.add_raw_tensor("blk.0.ffn_down.weight", {256, 1}, 14, std::string(210, '\0'));
  const TempFile file(writer.build());
  const auto gguf = GgufFile::open(file.path());
  ASSERT_TRUE(gguf) << gguf.error().message;
  const auto missing = (*gguf)->tensor("output.weight");
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, ErrorCode::kNotFound);
  EXPECT_NE(missing.error().message.find("output.weight"), std::string::npos);
  const auto unsupported = (*gguf)->tensor("blk.0.ffn_down.weight");
  ASSERT_FALSE(unsupported);
  EXPECT_EQ(unsupported.error().code, ErrorCode::kIncompatible);
  EXPECT_NE(unsupported.error().message.find("Q6_K"), std::string::npos) << unsupported.error().message;
  EXPECT_NE(unsupported.error().message.find("blk.0.ffn_down.weight"), std::string::npos);
}

TEST(Gguf, AcceptsVersion2OtherAlignmentsAndFilesWithoutTensors) {
  GgufWriter two = proper();
  two.version = 2;
  EXPECT_TRUE(GgufFile::open(TempFile(two.build()).path()));
  GgufWriter wide;
  wide.alignment = 4096;
  wide.add_uint("general.alignment", 4096).add_tensor_f32("t", {1}, {5}).add_tensor_f32("u", {1}, {6});
  const TempFile file(wide.build());
  const auto gguf = GgufFile::open(file.path());
  ASSERT_TRUE(gguf) << gguf.error().message;
  float value = 0;
  std::memcpy(&value, (*(*gguf)->tensor("u"))->view.data, 4);
  EXPECT_EQ(value, 6.0F);
  GgufWriter empty;
  empty.with_data = false;
  EXPECT_TRUE(GgufFile::open(TempFile(empty.add_uint("n", 1).build()).path()));
}

TEST(Gguf, AFileThatCannotBeReadSaysWhy) {
  const auto missing = GgufFile::open("/nonexistent/model.gguf");
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, ErrorCode::kNotFound);
  EXPECT_FALSE(GgufFile::open("/"));
  EXPECT_FALSE(GgufFile::open("/dev/null"));
  const TempFile empty("");
  const auto result = GgufFile::open(empty.path());
  ASSERT_FALSE(result);
  EXPECT_NE(result.error().message.find("empty"), std::string::npos);
}

TEST(Gguf, LoadsTheRealModel) {
  const auto path = test::golden_model_path();
  if (!path) GTEST_SKIP() << test::golden_model_missing();
  const auto gguf = GgufFile::open(*path);
  ASSERT_TRUE(gguf) << gguf.error().message;
  const GgufFile& g = **gguf;
  EXPECT_EQ(g.tensors().size(), 272u);
  EXPECT_EQ(g.get_uint("llama.block_count"), 30u);
  EXPECT_EQ(g.get_string("tokenizer.ggml.pre"), "smollm");
  EXPECT_EQ(g.get_strings("tokenizer.ggml.tokens")->size(), 49152u);
  const auto embedding = g.tensor("token_embd.weight");
  ASSERT_TRUE(embedding);
  EXPECT_EQ((*embedding)->view.type, WeightType::kQ8_0);
  EXPECT_EQ((*embedding)->view.rows, 49152u);
  EXPECT_EQ((*embedding)->view.columns, 576u);
  EXPECT_EQ((*g.tensor("blk.29.ffn_down.weight"))->view.type, WeightType::kQ4_1);
  EXPECT_EQ((*g.tensor("output_norm.weight"))->view.type, WeightType::kF32);
}

TEST(ModelPath, AFileOrADirectoryWithExactlyOne) {
  namespace fs = std::filesystem;
  const fs::path folder = fs::path(testing::TempDir()) / "baton_model_path";
  fs::remove_all(folder);
  fs::create_directories(folder / "sub.gguf");
  const auto add = [&](const char* name) { fs::copy_file(TempFile("x").path(), folder / name); };
  EXPECT_EQ(resolve_model_path(folder.string()).error().code, ErrorCode::kNotFound);
  EXPECT_EQ(resolve_model_path((folder / "none").string()).error().code, ErrorCode::kNotFound);
  add("one.gguf");
  add("readme.md");
  EXPECT_EQ(resolve_model_path(folder.string()), (folder / "one.gguf").string());
  EXPECT_EQ(resolve_model_path((folder / "readme.md").string()), (folder / "readme.md").string());
  add("two.gguf");
  const auto several = resolve_model_path(folder.string());
  ASSERT_FALSE(several);
  EXPECT_NE(several.error().message.find("two.gguf"), std::string::npos);
  fs::remove_all(folder);
}

}  // namespace
}  // namespace baton
