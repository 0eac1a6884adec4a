// SPDX-License-Identifier: Apache-2.0
#include "benchmarks/kernels_bench.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "tests/support/tiny_llama.h"

namespace baton {
namespace {

constexpr auto kShortSample = std::chrono::microseconds(100);
constexpr std::size_t kFewBytes = std::size_t{1} << 20;

TEST(ParseShape, TakesRowsColumnsAndType) {
  EXPECT_EQ(parse_shape("4096x1024:Q8_0").value(), (MatrixShape{4096, 1024, WeightType::kQ8_0}));
  EXPECT_EQ(parse_shape("1x32").value(), (MatrixShape{1, 32, WeightType::kQ4_1}));
  for (const char* wrong : {"", "4096", "x32", "4096x", "4096x33", "0x32", "4096x0", "4096x1024:Q9", "4096x1024Q8_0", "99999999x32"}) EXPECT_FALSE(parse_shape(wrong)) << wrong;
}

TEST(KernelsBench, TimesAShapeColdAndWarmForEveryCount) {
  const auto rows = bench_kernels({.shapes = {{64, 64, WeightType::kQ8_0}}, .threads = 2, .rounds = 2, .cold_bytes = kFewBytes, .sample = kShortSample}, [](std::string_view) {});
  ASSERT_TRUE(rows);
  ASSERT_EQ(rows->size(), 8u);
  for (const KernelsBenchRow& row : *rows) {
    EXPECT_EQ(row.shape, "64x64 Q8_0");
    EXPECT_GT(row.rate.min, 0);
    EXPECT_GT(row.limit.min, 0);
    EXPECT_NEAR(row.rate.median, 2.0 * 64 * 64 * row.tokens / row.seconds.median, row.rate.max - row.rate.min + 1);
  }
}

TEST(KernelsBench, FindsAModelsShapes) {
  const std::string path = std::filesystem::temp_directory_path() / ("baton_kernels_" + std::to_string(getpid()) + ".gguf");
  std::ofstream(path, std::ios::binary) << test::build_tiny_llama({});
  const auto rows = bench_kernels({.model_path = path, .rounds = 1, .cold_bytes = kFewBytes, .sample = kShortSample}, [](std::string_view) {});
  std::filesystem::remove(path);
  ASSERT_TRUE(rows) << rows.error().message;
  std::vector<std::string> ops, shapes;
  for (const KernelsBenchRow& row : *rows) {
    if (ops.empty() || ops.back() != row.op) ops.push_back(row.op);
    if (row.op == "matmul" && (shapes.empty() || shapes.back() != row.shape)) shapes.push_back(row.shape);
    EXPECT_GT(row.of_limit.median, 0) << row.op;
  }
  EXPECT_EQ(ops, (std::vector<std::string>{"matmul", "quantize_block", "rms_norm", "silu_multiply", "attention, decode", "attention, prefill", "kv_digest"}));
  EXPECT_EQ(shapes, (std::vector<std::string>{"96x64 Q4_1", "64x64 Q4_1", "32x64 Q4_1", "64x96 Q4_1"}));
}

}  // namespace
}  // namespace baton
