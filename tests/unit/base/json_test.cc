// SPDX-License-Identifier: Apache-2.0
#include "runtime/base/json.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>

namespace baton {
namespace {

TEST(Json, ReadsNumbersOfEachKindExactly) {
  const auto value = parse_json(R"({"a": -9223372036854775808, "b": 18446744073709551615, "c": 0.5, "d": [true, null]})");
  ASSERT_TRUE(value);
  EXPECT_EQ(json_member(*value, "a")->as_int64(), INT64_MIN);
  EXPECT_EQ(json_member(*value, "b")->as_uint64(), UINT64_MAX);
  EXPECT_EQ(json_member(*value, "c")->as_double(), 0.5);
  EXPECT_EQ(json_member(*value, "e"), nullptr);
  EXPECT_EQ(json_member(*json_member(*value, "d"), "a"), nullptr);
}

TEST(Json, SaysWhereItIsWrong) {
  for (const char* text : {"", "{", "{\"a\":1}x", "[1,]", "{\"a\" 1}", "\"\xff\"", "nan", "01", "'a'"}) {
    const auto value = parse_json(text);
    ASSERT_FALSE(value) << text;
    EXPECT_EQ(value.error().code, ErrorCode::kInvalidArgument) << text;
    EXPECT_NE(value.error().message.find("at byte "), std::string::npos) << value.error().message;
  }
}

TEST(Json, RefusesNumbersThatFloatsCannotHold) {
  for (const char* text : {"1e999", "[-1e999]", R"({"temperature": 0e999})"}) {
    const auto parsed = parse_json(text);
    ASSERT_FALSE(parsed.has_value()) << text;
    EXPECT_EQ(parsed.error().code, ErrorCode::kInvalidArgument);
  }
  EXPECT_TRUE(parse_json("[1e308, 1e-999]").has_value());
}

TEST(Json, HoldsItsLimits) {
  const auto nested = [](std::size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); };
  EXPECT_TRUE(parse_json(nested(64)));
  ASSERT_FALSE(parse_json(nested(65)));
  EXPECT_EQ(parse_json(nested(65)).error().code, ErrorCode::kResourceExhausted);
  EXPECT_FALSE(parse_json(std::string(1 << 20, '[')));
  JsonLimits small;
  small.bytes_max = 4;
  EXPECT_TRUE(parse_json("1234", small));
  EXPECT_FALSE(parse_json("12345", small));
}

TEST(Json, CountsValuesOutsideOfStrings) {
  const std::pair<const char*, std::size_t> cases[] = {  // names count as values
      {"7", 1}, {"[1,2,3]", 4}, {R"({"a":1,"b":[2,3]})", 7}, {R"("[,:{")", 1}, {R"(["\\",1])", 3},
      {R"(["\\\",[",1])", 3}, {R"("open [,)", 1}, {"", 1}};
  for (const auto& [text, count] : cases) EXPECT_EQ(count_json_values(text), count) << text;
  JsonLimits few;
  few.values_max = 4;
  EXPECT_TRUE(parse_json("[1,2,3]", few));
  EXPECT_TRUE(parse_json(R"(["a,b","c:d","[[[["])", few));
  for (const char* more : {"[1,2,3,4]", "[[1],[2]]", R"({"a":1,"b":2})"}) {
    const auto parsed = parse_json(more, few);
    ASSERT_FALSE(parsed) << more;
    EXPECT_EQ(parsed.error().code, ErrorCode::kResourceExhausted) << more;
  }
}

// The eight megabytes that a body may have, as the values that take most memory.
TEST(Json, MakesNoTreeOfMillionsOfValues) {
  std::string ones = "[1";
  while (ones.size() < (8u << 20) - 3) ones += ",1";
  const auto parsed = parse_json(ones + "]");
  ASSERT_FALSE(parsed);
  EXPECT_EQ(parsed.error().code, ErrorCode::kResourceExhausted);
}

}  // namespace
}  // namespace baton
