// SPDX-License-Identifier: Apache-2.0
// A small JSON reader for the fixtures of the tests: our own well-formed files, one value a line. Any error ends the test
// program with the file and line. Objects keep their order. Not for input from outside.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace baton::test {

struct Json {
  enum class Kind { kNull, kBool, kNumber, kString, kArray, kObject };
  Kind kind = Kind::kNull;
  double number = 0;  // also 0 or 1 of a kBool
  std::string text;
  std::vector<Json> items;         // of an array, or an object's values
  std::vector<std::string> names;  // of an object's values, in the same order

  const Json* find(std::string_view name) const;  // nullptr: no such field
  const Json& at(std::string_view name) const;    // CHECKs that the field is there
  std::vector<std::int32_t> ints() const;
  std::vector<float> floats() const;
};

Json parse_json(std::string_view text);
std::vector<Json> read_json_lines(const std::string& path);

}  // namespace baton::test
