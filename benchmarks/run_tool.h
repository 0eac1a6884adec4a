// SPDX-License-Identifier: Apache-2.0
// Runs another program to its end and keeps what it wrote: how peers are measured. Blocks; any thread. Bounded: output above
// 4 MiB is dropped, and a program that takes longer than the limit is killed.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/base/result.h"
#include "runtime/base/time.h"

namespace baton {

struct ToolOutput {
  std::string text;                 // standard output and error, as they came
  std::uint64_t resident_bytes = 0;  // the most it held at once
};

// argv[0] is a path. An error if it could not be started, was killed or ended with another status than 0; then the
// message ends with the last lines it wrote.
Result<ToolOutput> run_tool(const std::vector<std::string>& argv, Duration limit);

// The number behind `"name":` in text that holds JSON objects, of the last one that has it.
Result<double> json_number(std::string_view text, std::string_view name);
// The text behind `"name":`; "" if there is none. Escapes are left as they are.
std::string json_text(std::string_view text, std::string_view name);

}  // namespace baton
